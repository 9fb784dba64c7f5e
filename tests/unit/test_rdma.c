/* SPDX-License-Identifier: MIT */

/* What two hosts tell each other of queue pairs, and who may use RDMA. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "nic/address.h"
#include "nic/rdma_policy.h"
#include "wire/frame.h"
#include "wire/rdma.h"

static void words_come_back_as_they_went(void **state)
{
	struct rdma_words w = { .pairs_count = 2 }, back;
	AUTO_FREE char *text = NULL;
	struct error e;

	(void)state;
	w.pairs[0] = (struct rdma_pair_words){ .number = 7,
					       .state = RDMA_OPEN,
					       .at = UINT64_C(0x7f0012345000),
					       .key = UINT32_MAX,
					       .buffers = 16,
					       .buffer_bytes = 262144 };
	w.pairs[1] = (struct rdma_pair_words){ .number = 8,
					       .state = RDMA_OFFERED,
					       .port = 65535,
					       .secret = { { 1, 2, 255 } } };
	text = rdma_words_text(&w);
	assert_non_null(text);
	assert_true(strlen(text) < RDMA_MAX_PAYLOAD);
	assert_int_equal(rdma_words_parse(&back, text, strlen(text), &e), 0);
	assert_int_equal(back.pairs_count, 2);
	assert_memory_equal(&back.pairs[0], &w.pairs[0], sizeof(w.pairs[0]));
	assert_memory_equal(&back.pairs[1], &w.pairs[1], sizeof(w.pairs[1]));
}

static void the_longest_words_fit_a_frame(void **state)
{
	struct rdma_words w = { .pairs_count = RDMA_PAIRS_MAX };
	AUTO_FREE char *text = NULL;

	(void)state;
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++) {
		w.pairs[i].number = UINT32_MAX;
		memset(w.pairs[i].why, 0x01, RDMA_WHY - 1);
		memset(w.pairs[i].address, 'a', RDMA_ADDRESS_TEXT - 1);
		w.pairs[i].at = INT64_MAX;
	}
	text = rdma_words_text(&w);
	assert_non_null(text);
	assert_true(strlen(text) < RDMA_MAX_PAYLOAD);
}

static void words_that_are_wrong_are_refused(void **state)
{
	static const char *const wrong[] = {
		"[]",
		"{}",
		"{\"queue_pairs\": [{\"number\": 0, \"state\": \"asked\"}]}",
		"{\"queue_pairs\": [{\"number\": 1, \"state\": \"what\"}]}",
		"{\"queue_pairs\": [{\"number\": 1}]}",
		"{\"queue_pairs\": [{\"number\": 1, \"state\": \"offered\", "
		"\"secret\": \"12\"}]}",
		"{\"queue_pairs\": [{\"number\": 1, \"state\": \"offered\", "
		"\"port\": 65536}]}",
		"{\"queue_pairs\": [{\"number\": 1, \"state\": \"open\", "
		"\"buffers\": 65}]}",
	};
	struct rdma_words w;
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(rdma_words_parse(&w, wrong[i],
						  strlen(wrong[i]), &e),
				 -EBADMSG);
}

static void only_the_very_greeting_is_taken(void **state)
{
	const struct rdma_greeting mine = { 0x123456789abcdef0,
					    3,
					    { { 9, 8, 7, 1 } } };
	uint8_t buf[56] = { 0 }; /* what the connection manager makes of it */

	(void)state;
	rdma_greeting_write(&mine, buf);
	assert_int_equal(rdma_greeting_check(&mine, buf, sizeof(buf)), 0);
	assert_int_equal(rdma_greeting_check(&mine, buf, RDMA_GREETING), 0);
	assert_int_equal(rdma_greeting_check(&mine, buf, RDMA_GREETING - 1),
			 -EACCES);
	assert_int_equal(rdma_greeting_check(&mine, NULL, 0), -EACCES);
	/* Another session's, an older queue pair's, a wrong secret: any bit. */
	for (unsigned bit = 0; bit < 8 * RDMA_GREETING; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(rdma_greeting_check(&mine, buf, sizeof(buf)),
				 -EACCES);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void a_place_is_a_queue_pair_and_a_buffer(void **state)
{
	uint64_t place = rdma_place(UINT32_MAX, 15);

	(void)state;
	assert_int_equal(rdma_place_number(place), UINT32_MAX);
	assert_int_equal(rdma_place_buffer(place), 15);
}

static size_t meta_of(struct batch_head *b, uint8_t meta[BATCH_META_MAX])
{
	b->runs = 1;
	b->run[0] = (struct batch_run){ 5, b->pages, RUN_DATA };
	return batch_head_write(b, NULL, meta);
}

static int read_apart(const struct batch_head *b, size_t extra, size_t room)
{
	static uint8_t data[BATCH_MAX_PAGES * WIRE_PAGE];
	uint8_t meta[BATCH_META_MAX];
	struct batch_head got = *b;
	struct batch_body body;
	struct error e;
	size_t len = meta_of(&got, meta);
	int r = batch_apart_read(&got, meta, len + extra, data, room, &body,
				 &e);

	if (r == 0) {
		assert_ptr_equal(body.data, data);
		assert_int_equal(body.len, (size_t)b->pages * WIRE_PAGE);
	}
	return r;
}

static void a_batch_whose_data_stand_elsewhere_is_checked(void **state)
{
	const struct batch_head raw = { .pages = 3 };
	const struct batch_head pressed = { .pages = 3, .codec = 1 };

	(void)state;
	assert_int_equal(read_apart(&raw, 0, sizeof(uint8_t[3 * WIRE_PAGE])),
			 0);
	assert_int_equal(read_apart(&raw, 0, 3 * WIRE_PAGE - 1), -EBADMSG);
	assert_int_equal(read_apart(&raw, 1, 3 * WIRE_PAGE), -EBADMSG);
	assert_int_equal(read_apart(&pressed, 0, 3 * WIRE_PAGE), -EBADMSG);
}

static void the_policy_says_where_and_why_not(void **state)
{
	struct rdma_policy p = { .use = RDMA_PREFER };
	char why[RDMA_POLICY_WHY];
	struct nic_address near, far;
	struct error e;

	(void)state;
	assert_int_equal(nic_address_parse(&near, "10.9.0.1"), 0);
	assert_int_equal(nic_address_parse(&far, "192.0.2.1"), 0);
	assert_true(rdma_policy_may(&p, "e0", &near, false, why));
	assert_false(rdma_policy_may(&p, "e0", &near, true, why));
	assert_non_null(strstr(why, "rdma-plain"));
	assert_int_equal(networks_add(&p.plain, "10.9.0.0/24", &e), 0);
	assert_true(rdma_policy_may(&p, "e0", &near, true, why));
	assert_false(rdma_policy_may(&p, "e0", &far, true, why));
	assert_int_equal(networks_add(&p.off, "e1", &e), 0);
	assert_false(rdma_policy_may(&p, "e1", &near, false, why));
	assert_false(rdma_policy_requires(&p, "e0", &near));
	assert_int_equal(networks_add(&p.required, "10.9.0.0/24", &e), 0);
	assert_true(rdma_policy_requires(&p, "e0", &near));
	assert_false(rdma_policy_requires(&p, "e0", &far));
	p.use = RDMA_OFF;
	assert_false(rdma_policy_may(&p, "e0", &near, false, why));
	p.use = RDMA_REQUIRE;
	assert_true(rdma_policy_requires(&p, "e0", &far));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_come_back_as_they_went),
		cmocka_unit_test(the_longest_words_fit_a_frame),
		cmocka_unit_test(words_that_are_wrong_are_refused),
		cmocka_unit_test(only_the_very_greeting_is_taken),
		cmocka_unit_test(a_place_is_a_queue_pair_and_a_buffer),
		cmocka_unit_test(a_batch_whose_data_stand_elsewhere_is_checked),
		cmocka_unit_test(the_policy_says_where_and_why_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
