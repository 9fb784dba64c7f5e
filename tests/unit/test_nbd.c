/* SPDX-License-Identifier: MIT */

/* The NBD server's side, by what a client sends: as QEMU does, and as somebody
 * does who means harm. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "disks/nbd.h"
#include "wire/reader.h"

enum { SIZE = 1 << 20 };

struct talk {
	struct nbd nbd;
	uint8_t sent[1024];
	size_t sent_len;
	struct nbd_request request;
	struct error e;
};

static void gather(struct talk *t, const struct nbd_out *out)
{
	assert_true(t->sent_len + out->len <= sizeof(t->sent));
	memcpy(t->sent + t->sent_len, out->bytes, out->len);
	t->sent_len += out->len;
}

static void begin(struct talk *t)
{
	struct nbd_out out;

	*t = (struct talk){ .sent_len = 0 };
	nbd_init(&t->nbd, "disk-root", SIZE, &out);
	gather(t, &out);
}

/* Takes all of @w; the last call's answer. */
static int take(struct talk *t, struct writer *w)
{
	const uint8_t *at = w->start;
	int r = 0;

	assert_false(w->bad);
	while (r == 0 && at < w->at) {
		size_t n = nbd_wants(&t->nbd);
		struct nbd_out out;

		assert_true(n > 0 && n <= (size_t)(w->at - at));
		r = nbd_take(&t->nbd, at, &t->request, &out, &t->e);
		gather(t, &out);
		at += n;
	}
	return r;
}

static uint8_t buf[8192];

static struct writer script(void)
{
	return writer_to(buf, sizeof(buf));
}

static void write_option(struct writer *w, uint32_t option, const void *data,
			 uint32_t len)
{
	write_u64(w, 0x49484156454f5054);
	write_u32(w, option);
	write_u32(w, len);
	write_bytes(w, data, len);
}

/* Name, and one thing that is asked for besides. */
static void write_go(struct writer *w, uint32_t option, const char *name)
{
	uint8_t data[128];
	struct writer d = writer_to(data, sizeof(data));

	write_u32(&d, (uint32_t)strlen(name));
	write_bytes(&d, name, strlen(name));
	write_u16(&d, 1);
	write_u16(&d, 3);
	write_option(w, option, data, (uint32_t)writer_used(&d));
}

static void write_request(struct writer *w, unsigned type, unsigned flags,
			  uint64_t offset, uint32_t len)
{
	write_u32(w, 0x25609513);
	write_u16(w, (uint16_t)flags);
	write_u16(w, (uint16_t)type);
	write_u64(w, 0x1122334455667788);
	write_u64(w, offset);
	write_u32(w, len);
}

static void connect_client(struct talk *t)
{
	struct writer w = script();

	begin(t);
	write_u32(&w, 3);
	write_go(&w, 7, "disk-root");
	assert_int_equal(take(t, &w), 0);
	assert_int_equal(t->nbd.state, NBD_REQUESTS);
}

static uint64_t number_at(const struct talk *t, size_t at, size_t bytes)
{
	uint64_t n = 0;

	assert_true(at + bytes <= t->sent_len);
	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | t->sent[at + i];
	return n;
}

/* Structured replies are offered, and are refused; so are meta contexts. */
static void qemu_connects(void **state)
{
	struct talk t;
	struct writer w = script();

	(void)state;
	begin(&t);
	assert_int_equal(t.sent_len, NBD_GREETING_SIZE);
	assert_memory_equal(t.sent, "NBDMAGICIHAVEOPT\0\3", 18);
	write_u32(&w, 3);
	write_option(&w, 8, NULL, 0);
	write_option(&w, 10, "....", 4);
	write_go(&w, 7, "disk-root");
	assert_int_equal(take(&t, &w), 0);
	/* Each answer: magic, option, type, length. */
	assert_int_equal(number_at(&t, 18 + 8, 4), 8);
	assert_int_equal(number_at(&t, 18 + 12, 4), 0x80000001);
	assert_int_equal(number_at(&t, 38 + 8, 4), 10);
	assert_int_equal(number_at(&t, 38 + 12, 4), 0x80000001);
	assert_int_equal(number_at(&t, 58 + 8, 4), 7);
	assert_int_equal(number_at(&t, 58 + 12, 4), 3);
	assert_int_equal(number_at(&t, 58 + 16, 4), 12);
	assert_int_equal(number_at(&t, 78, 2), 0);
	assert_int_equal(number_at(&t, 80, 8), SIZE);
	/* flags, flush, trim, zeroes; it may be written to */
	assert_int_equal(number_at(&t, 88, 2), 0x65);
	assert_int_equal(number_at(&t, 90 + 12, 4), 1);
	assert_int_equal(t.sent_len, 110);
	assert_int_equal(t.nbd.state, NBD_REQUESTS);
}

static void other_ways_to_the_export_are_answered(void **state)
{
	struct talk t;
	struct writer w = script();

	(void)state;
	begin(&t);
	write_u32(&w, 1);
	write_option(&w, 3, NULL, 0);
	write_go(&w, 6, "disk-root");
	write_go(&w, 7, "another");
	write_option(&w, 7, "\0\0\0\377x", 5);
	write_option(&w, 1, "disk-root", 9);
	assert_int_equal(take(&t, &w), 0);
	assert_int_equal(number_at(&t, 18 + 12, 4), 2);
	assert_memory_equal(t.sent + 18 + 20 + 4, "disk-root", 9);
	assert_int_equal(number_at(&t, 71 - 20 + 12, 4), 1);
	/* INFO takes nothing. */
	assert_int_equal(number_at(&t, 71 + 12, 4), 3);
	assert_int_equal(number_at(&t, 123 + 8, 4), 7);
	assert_int_equal(number_at(&t, 123 + 12, 4), 0x80000006);
	assert_int_equal(number_at(&t, 143 + 12, 4), 0x80000003);
	/* The oldest has no head, and 124 zeros for who did not say no. */
	assert_int_equal(number_at(&t, 163, 8), SIZE);
	assert_int_equal(t.sent_len, 163 + 10 + 124);
	assert_int_equal(t.nbd.state, NBD_REQUESTS);
}

static void requests_are_read(void **state)
{
	static const struct {
		unsigned type, flags;
		uint64_t offset;
		uint32_t len;
		enum nbd_error refused;
	} cases[] = {
		{ NBD_WRITE, 0, 0, SIZE, NBD_OK },
		{ NBD_WRITE, 0, SIZE - 1, 1, NBD_OK },
		{ NBD_FLUSH, 0, 0, 0, NBD_OK },
		{ NBD_TRIM, 0, 512, 512, NBD_OK },
		{ NBD_WRITE_ZEROES, 2, 0, SIZE, NBD_OK },
		{ NBD_WRITE_ZEROES, 0, 0, SIZE, NBD_OK },
		/* nothing is behind them: the connection goes on */
		{ NBD_WRITE_ZEROES, 0, 1, SIZE, NBD_EINVAL },
		{ NBD_WRITE_ZEROES, 16, 0, 1, NBD_EINVAL },
		{ NBD_TRIM, 0, UINT64_MAX, 2, NBD_EINVAL },
		{ NBD_TRIM, 0, 0, 0, NBD_EINVAL },
		{ NBD_FLUSH, 0, 0, 1, NBD_EINVAL },
		{ 0, 0, 0, 512, NBD_EINVAL },
		{ 7, 0, 0, 512, NBD_EINVAL },
		{ 0xffff, 0, 0, 0, NBD_EINVAL },
	};
	struct talk t;

	(void)state;
	connect_client(&t);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct writer w = script();

		write_request(&w, cases[i].type, cases[i].flags,
			      cases[i].offset, cases[i].len);
		assert_int_equal(take(&t, &w), 1);
		assert_int_equal(t.request.command, cases[i].type);
		assert_int_equal(t.request.refused, cases[i].refused);
		assert_int_equal(t.request.offset, cases[i].offset);
		assert_int_equal(t.request.len, cases[i].len);
		assert_int_equal(t.request.cookie, 0x1122334455667788);
		assert_int_equal(t.request.no_hole,
				 cases[i].type == NBD_WRITE_ZEROES &&
					 cases[i].flags == 2);
	}
}

/* Its data would be taken for requests. */
static void a_write_that_cannot_be_ends_the_connection(void **state)
{
	static const struct {
		unsigned flags;
		uint64_t offset;
		uint32_t len;
	} cases[] = {
		{ 0, SIZE, 1 },       { 0, 0, SIZE + 1 }, { 0, UINT64_MAX, 1 },
		{ 0, 0, 0 },          { 1, 0, 512 },      { 0, SIZE - 1, 2 },
		{ 0, 0, UINT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct talk t;
		struct writer w = script();

		connect_client(&t);
		write_request(&w, NBD_WRITE, cases[i].flags, cases[i].offset,
			      cases[i].len);
		assert_int_equal(take(&t, &w), -EBADMSG);
	}
}

static void a_write_that_is_too_long_for_anybody_ends_it(void **state)
{
	struct talk t;
	struct nbd_out out;
	struct writer w = script();

	(void)state;
	connect_client(&t);
	nbd_init(&t.nbd, "big", UINT64_MAX, &out);
	t.nbd.state = NBD_REQUESTS;
	write_request(&w, NBD_WRITE, 0, 0, NBD_WRITE_MOST + 1);
	assert_int_equal(take(&t, &w), -EBADMSG);
}

static void the_end_is_told_from_a_failure(void **state)
{
	struct talk t;
	struct writer w = script();

	(void)state;
	connect_client(&t);
	write_request(&w, NBD_DISCONNECT, 0, 0, 0);
	assert_int_equal(take(&t, &w), 0);
	assert_int_equal(t.nbd.state, NBD_ENDED);
	assert_int_equal(nbd_wants(&t.nbd), 0);

	begin(&t);
	w = script();
	write_u32(&w, 3);
	write_option(&w, 2, NULL, 0);
	assert_int_equal(take(&t, &w), 0);
	assert_int_equal(t.nbd.state, NBD_ENDED);
}

static void what_is_no_handshake_ends_it(void **state)
{
	struct talk t;
	struct writer w = script();

	(void)state;
	begin(&t);
	write_u32(&w, 0);
	assert_int_equal(take(&t, &w), -EBADMSG);

	begin(&t);
	w = script();
	write_u32(&w, 5);
	assert_int_equal(take(&t, &w), -EBADMSG);

	begin(&t);
	w = script();
	write_u32(&w, 3);
	write_u64(&w, 1);
	write_u64(&w, 0);
	assert_int_equal(take(&t, &w), -EBADMSG);

	/* longer than anything that is meant seriously */
	begin(&t);
	w = script();
	write_u32(&w, 3);
	write_u64(&w, 0x49484156454f5054);
	write_u32(&w, 7);
	write_u32(&w, NBD_OPTION_MAX + 1);
	assert_int_equal(take(&t, &w), -EBADMSG);

	begin(&t);
	w = script();
	write_u32(&w, 3);
	write_option(&w, 1, "other", 5);
	assert_int_equal(take(&t, &w), -EBADMSG);

	connect_client(&t);
	w = script();
	write_u64(&w, 0);
	write_u64(&w, 0);
	write_u64(&w, 0);
	write_u32(&w, 0);
	assert_int_equal(take(&t, &w), -EBADMSG);
}

static void options_do_not_go_on_for_ever(void **state)
{
	struct talk t;
	struct writer w = script();

	(void)state;
	begin(&t);
	write_u32(&w, 3);
	assert_int_equal(take(&t, &w), 0);
	for (int i = 0; i < NBD_OPTIONS_MOST; i++) {
		w = script();
		write_option(&w, 99, NULL, 0);
		t.sent_len = 0;
		assert_int_equal(take(&t, &w), 0);
	}
	w = script();
	write_option(&w, 99, NULL, 0);
	assert_int_equal(take(&t, &w), -EBADMSG);
}

static void a_reply_is_as_the_protocol_has_it(void **state)
{
	uint8_t reply[NBD_REPLY_SIZE];

	(void)state;
	nbd_reply(reply, 0x0102030405060708, NBD_ENOSPC);
	assert_memory_equal(reply,
			    "\x67\x44\x66\x98\0\0\0\x1c\1\2\3\4\5\6\7\x8", 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qemu_connects),
		cmocka_unit_test(other_ways_to_the_export_are_answered),
		cmocka_unit_test(requests_are_read),
		cmocka_unit_test(a_write_that_cannot_be_ends_the_connection),
		cmocka_unit_test(a_write_that_is_too_long_for_anybody_ends_it),
		cmocka_unit_test(the_end_is_told_from_a_failure),
		cmocka_unit_test(what_is_no_handshake_ends_it),
		cmocka_unit_test(options_do_not_go_on_for_ever),
		cmocka_unit_test(a_reply_is_as_the_protocol_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
