/* SPDX-License-Identifier: MIT */

/* What is in QEMU's socket is acknowledged when QEMU has read it. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "ends.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "relay/ending.h"
#include "relay/taken.h"
#include "wire/frame.h"

enum { PIECE = 1000, SOON_US = 50000, LONG_US = 10000000 };

struct destination {
	struct ends ends;
	struct ending ending;
	struct taken taken;
	int relay, qemu; /* of the socket between them */
};

static void made(struct destination *d)
{
	struct error e;
	int fd[2];

	ends_init(&d->ends, 1);
	assert_int_equal(ends_open(&d->ends, 1, LONG_US, &e), 0);
	ending_init(&d->ending);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	d->relay = fd[0];
	d->qemu = fd[1];
	assert_int_equal(taken_start(&d->taken, d->ends.far, &d->ending,
				     d->relay, &e),
			 0);
}

static void unmade(struct destination *d)
{
	taken_stop(&d->taken);
	ending_done(&d->ending);
	close(d->relay);
	if (d->qemu >= 0)
		close(d->qemu);
	ends_close(&d->ends);
	ends_done(&d->ends);
}

/* From the source into QEMU's socket; the frame's number. */
static uint64_t written(struct destination *d, uint64_t offset)
{
	struct outbox *o = session_outbox(d->ends.near);
	struct frame_out *f = outbox_frame(o);
	struct piece *p;
	struct error e;
	uint64_t seq;

	f->owned = calloc(1, PIECE);
	f->iov[0] = (struct iovec){ f->owned, PIECE };
	f->iovs = 1;
	f->head.kind = FRAME_STREAM;
	f->head.len = PIECE;
	f->head.offset = offset;
	assert_int_equal(outbox_put(o, f, &seq, &e), 0);
	p = inbox_read(session_inbox(d->ends.far), 0);
	assert_non_null(p);
	assert_int_equal(write(d->relay, p->data, p->len), PIECE);
	taken_put(&d->taken, p);
	return seq;
}

static void qemu_reads(const struct destination *d)
{
	char data[PIECE];

	assert_int_equal(recv(d->qemu, data, PIECE, MSG_WAITALL), PIECE);
}

static int acknowledged(struct destination *d, uint64_t seq, uint64_t within_us)
{
	return outbox_wait_acked(session_outbox(d->ends.near), seq,
				 clock_us() + within_us);
}

static void what_qemu_has_not_read_is_not_acknowledged(void **state)
{
	struct destination d;
	uint64_t seq;

	(void)state;
	made(&d);
	for (uint64_t i = 0; i < 3; i++) {
		seq = written(&d, i * PIECE);
		assert_int_not_equal(acknowledged(&d, seq, SOON_US), 0);
		qemu_reads(&d);
		assert_int_equal(acknowledged(&d, seq, LONG_US), 0);
	}
	unmade(&d);
}

/* The kernel throws away what was in the socket, which looks empty then. */
static void a_qemu_that_closes_has_not_taken_the_rest(void **state)
{
	struct destination d;
	uint64_t seq;

	(void)state;
	made(&d);
	seq = written(&d, 0);
	close(d.qemu);
	d.qemu = -1;
	assert_int_not_equal(acknowledged(&d, seq, 4 * SOON_US), 0);
	unmade(&d);
}

static void at_the_end_of_a_migration_it_may_close(void **state)
{
	static const uint8_t head[] = "QEVM";
	static const uint8_t shut[] = { 0, 1, 0, 4, 0, 0, 0, 0 };
	struct destination d;
	uint64_t seq;

	(void)state;
	made(&d);
	ending_sent(&d.ending, head, 4);
	ending_answered(&d.ending, shut, sizeof(shut));
	seq = written(&d, 0);
	qemu_reads(&d);
	close(d.qemu);
	d.qemu = -1;
	assert_int_equal(acknowledged(&d, seq, LONG_US), 0);
	unmade(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_qemu_has_not_read_is_not_acknowledged),
		cmocka_unit_test(a_qemu_that_closes_has_not_taken_the_rest),
		cmocka_unit_test(at_the_end_of_a_migration_it_may_close),
	};

	return cmocka_run_group_tests_name("taken", tests, NULL, NULL);
}
