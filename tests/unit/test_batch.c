/* SPDX-License-Identifier: MIT */

/* Batches while they are filled: what one takes, and what is left for the
 * next. */
#include "unit.h"

#include <string.h>

#include "base/error.h"
#include "frames/outbox.h"
#include "relay/batch.h"

static struct batch batch;
static struct frame_out frame;

static void begin(void)
{
	memset(&frame, 0, sizeof(frame));
	batch_open(&batch, &frame, 0);
}

static bool takes_filled(uint64_t page, uint64_t word)
{
	struct batch_page p = { .number = page };

	batch_page_filled(&p, word);
	if (!batch_takes(&batch, 0, &p))
		return false;
	batch_add(&batch, &p);
	return true;
}

static struct batch_head closed(void)
{
	struct batch_head head;
	struct batch_body body;
	struct error e;

	batch_close(&batch);
	if (batch_head_read(&head, frame.iov[0].iov_base, frame.head.len, &body,
			    &e) < 0)
		fail_msg("%s", e.text);
	return head;
}

static void pages_of_one_word_are_one_run(void **state)
{
	struct batch_head head;

	(void)state;
	begin();
	for (unsigned i = 0; i < 10; i++)
		assert_true(takes_filled(i, i < 7 ? 0xcc : 0xdd));
	head = closed();
	assert_int_equal(head.runs, 2);
	assert_int_equal(head.run[0].count, 7);
	assert_int_equal(head.run[1].count, 3);
	assert_int_equal(head.side, 2 * BATCH_FILL_SIZE);
}

/* Else a frame of some bytes would keep the reader at the other side busy with
 * gigabytes. */
static void a_batch_without_data_ends_as_well(void **state)
{
	static const uint64_t words[] = { 0, 0xcc };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint64_t page = 0;

		begin();
		while (page < 100000 && takes_filled(page, words[i]))
			page++;
		assert_int_equal(page, 4096);
		assert_int_equal(closed().run[0].count, 4096);
		begin();
		assert_true(takes_filled(page, words[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_of_one_word_are_one_run),
		cmocka_unit_test(a_batch_without_data_ends_as_well),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
