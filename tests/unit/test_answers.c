/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "qemu/split.h"
#include "relay/answers.h"

/* SWITCHOVER_ACK, our PONG about block 2, QEMU's own PONG, our PONG about block
 * 3: in this order the destination's QEMU says it, since it acknowledges as
 * soon as it has a return path. */
enum { OURS = SPLIT_PING >> 24, ACK = 4, OWN_PONG = 8 };
static const uint8_t sample[] = {
	0, 7, 0, 0, 0, 2, 0, 4, OURS, 0, 2,    1, 0, 2,
	0, 4, 9, 9, 9, 9, 0, 2, 0,    4, OURS, 0, 3, 1,
};
static const uint8_t handed_on[ACK + OWN_PONG] = { 0, 7, 0, 0, 0, 2,
						   0, 4, 9, 9, 9, 9 };

struct qemu {
	struct answers answers;
	uint8_t got[64];
	size_t len;
	uint32_t pongs[4];
	unsigned count;
	bool may_switch;
	int fails;
};

static int on_write(void *context, const uint8_t *data, size_t len,
		    struct error *e)
{
	struct qemu *q = context;

	if (q->fails)
		return error_set(e, q->fails, "the socket is closed");
	assert_true(q->len + len <= sizeof(q->got));
	memcpy(q->got + q->len, data, len);
	q->len += len;
	return 0;
}

static bool may_switch(void *context)
{
	return ((struct qemu *)context)->may_switch;
}

static void on_pong(void *context, uint32_t value)
{
	struct qemu *q = context;

	assert_true(q->count < 4);
	q->pongs[q->count++] = value;
}

static const struct answers_calls calls = { on_write, may_switch, on_pong };

static void feed(struct qemu *q, size_t chunk)
{
	struct error e;

	*q = (struct qemu){ .answers = { .calls = &calls, .context = q } };
	for (size_t at = 0; at < sizeof(sample); at += chunk) {
		size_t n = sizeof(sample) - at < chunk ? sizeof(sample) - at
						       : chunk;
		uint64_t until_us;

		assert_int_equal(answers_write(&q->answers, sample + at, n, &e),
				 0);
		assert_int_equal(answers_turn(&q->answers, &until_us, &e), 0);
		assert_true((until_us == UINT64_MAX) == !q->answers.holds);
	}
}

static void answers_of_ours_do_not_wait_behind_the_acknowledgement(void **state)
{
	(void)state;
	for (size_t chunk = 1; chunk <= sizeof(sample); chunk++) {
		struct qemu q;
		uint64_t until_us;
		struct error e;

		feed(&q, chunk);
		assert_int_equal(q.count, 2);
		assert_int_equal(q.pongs[0], SPLIT_PING | 2 << 8 | 1);
		assert_int_equal(q.pongs[1], SPLIT_PING | 3 << 8 | 1);
		assert_int_equal(q.len, 0);

		q.may_switch = true;
		assert_int_equal(answers_turn(&q.answers, &until_us, &e), 0);
		assert_true(until_us == UINT64_MAX);
		assert_int_equal(q.len, sizeof(handed_on));
		assert_memory_equal(q.got, handed_on, sizeof(handed_on));
		answers_done(&q.answers);
	}
}

static void at_the_end_all_is_handed_on(void **state)
{
	struct qemu q;
	struct error e;

	(void)state;
	feed(&q, sizeof(sample));
	assert_int_equal(answers_end(&q.answers, &e), 0);
	assert_int_equal(q.len, sizeof(handed_on));
	assert_int_equal(answers_end(&q.answers, &e), 0);
	assert_int_equal(q.len, sizeof(handed_on));
	answers_done(&q.answers);
}

static void a_socket_that_is_closed_is_said(void **state)
{
	struct qemu q;
	uint64_t until_us;
	struct error e;

	(void)state;
	feed(&q, sizeof(sample));
	q.fails = EPIPE;
	q.may_switch = true;
	assert_int_equal(answers_turn(&q.answers, &until_us, &e), -EPIPE);
	assert_int_equal(answers_turn(&q.answers, &until_us, &e), 0);
	answers_done(&q.answers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			answers_of_ours_do_not_wait_behind_the_acknowledgement),
		cmocka_unit_test(at_the_end_all_is_handed_on),
		cmocka_unit_test(a_socket_that_is_closed_is_said),
	};

	return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
