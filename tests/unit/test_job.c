/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "move/job.h"

static struct job *job_with_id(const char *id)
{
	const struct job_subject of = { .id = id,
					.kind = JOB_MOVE,
					.role = ROLE_SOURCE,
					.machine = "web1",
					.peer = "beta" };
	struct job *j;
	struct error e;

	assert_int_equal(job_new(&j, &of, &e), 0);
	return j;
}

static struct job *job_made(void)
{
	return job_with_id(NULL);
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void a_new_job_runs_and_has_an_id_of_its_own(void **state)
{
	struct job *a = job_made(), *b = job_made();
	json_t *shown = job_json(a);

	(void)state;
	assert_string_not_equal(a->id, b->id);
	assert_int_equal(job_state(a), JOB_RUNNING);
	assert_string_equal(text_of(shown, "state"), "running");
	assert_true(json_is_null(json_object_get(shown, "error")));
	assert_true(json_is_null(json_object_get(shown, "ended")));
	json_decref(shown);
	job_drop(a);
	job_drop(b);
}

static void a_given_id_is_kept(void **state)
{
	struct job *j = job_with_id("00ff");

	(void)state;
	assert_string_equal(j->id, "00ff");
	job_drop(j);
}

static void an_end_has_its_sentence_and_wakes_who_waits(void **state)
{
	struct job *j = job_made();
	json_t *shown;

	(void)state;
	assert_false(job_wait_ended(j, clock_us() + 10000));
	job_finish(j, JOB_FAILED, "host beta is full", "free some memory");
	assert_true(job_wait_ended(j, clock_us()));
	shown = job_json(j);
	assert_string_equal(text_of(shown, "state"), "failed");
	assert_string_equal(text_of(shown, "error"), "host beta is full");
	assert_string_equal(text_of(shown, "advice"), "free some memory");
	assert_true(json_is_real(json_object_get(shown, "ended")));
	json_decref(shown);
	job_drop(j);
}

static void doubt_can_turn_into_any_end(void **state)
{
	static const enum job_state ends[] = { JOB_DONE, JOB_FAILED };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct job *j = job_made();

		job_set_doubt(j, "beta does not answer", "ask beta");
		assert_int_equal(job_state(j), JOB_IN_DOUBT);
		job_finish(j, ends[i], NULL, NULL);
		assert_int_equal(job_state(j), ends[i]);
		assert_string_equal(j->error, "");
		job_drop(j);
	}
}

static void asking_wakes_the_job(void **state)
{
	struct job *j = job_made();
	struct error e;
	uint64_t began = clock_us();

	(void)state;
	assert_int_equal(job_check_cancel(j, &e), 0);
	job_request_cancel(j);
	job_sleep(j, began + 10 * USEC_PER_SEC);
	assert_int_equal(job_check_cancel(j, &e), -ECANCELED);
	job_request_verdict(j, JOB_RUN_HERE);
	job_sleep(j, began + 10 * USEC_PER_SEC);
	assert_int_equal(j->verdict, JOB_RUN_HERE);
	job_tell_commit(j);
	job_sleep(j, began + 10 * USEC_PER_SEC);
	assert_true(j->told_commit);
	assert_true(clock_us() - began < USEC_PER_SEC);
	job_sleep(j, clock_us() + 5000); /* nobody asks: the deadline */
	job_drop(j);
}

static void a_job_that_was_not_taken_up_yet_says_nothing(void **state)
{
	struct job *j = job_made();

	(void)state;
	assert_int_equal(job_answer(j), ACT_SAY_UNDECIDED);
	job_begin(j, SOURCE_GIVING);
	assert_int_equal(job_answer(j), ACT_SAY_COMMIT);
	assert_non_null(job_decide(j, EVENT_RUN_HERE, 0));
	assert_int_equal(job_answer(j), ACT_SAY_UNDECIDED);
	assert_null(job_decide(j, EVENT_LOADED, 0));
	assert_int_equal(job_course(j), SOURCE_ASKS_KEEP);
	job_drop(j);
}

static void a_job_is_shown_whatever_its_error_says(void **state)
{
	struct job *j = job_made();
	char text[400];
	json_t *shown;

	(void)state;
	/* Cut inside of a letter, and no letter at all. */
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 3);
	job_finish(j, JOB_FAILED, text, "\xff");
	shown = job_json(j);
	assert_non_null(shown);
	assert_string_equal(text_of(shown, "state"), "failed");
	assert_true(strlen(text_of(shown, "error")) > 100);
	json_decref(shown);
	job_drop(j);
}

static void progress_says_what_the_press_did_so_far(void **state)
{
	struct job *j = job_made();
	struct job_progress p = {
		.presses = true,
		.press = { .in = 3, .out = 2, .incompressible = 4 }
	};
	json_t *shown, *press;

	(void)state;
	job_set_progress(j, &p);
	shown = job_json(j);
	press = json_object_get(json_object_get(shown, "progress"), "press");
	assert_int_equal(json_integer_value(json_object_get(press, "before")),
			 3);
	assert_int_equal(json_integer_value(json_object_get(press, "after")),
			 2);
	assert_int_equal(json_integer_value(json_object_get(press, "dense")),
			 4);
	json_decref(shown);
	p.presses = false;
	job_set_progress(j, &p);
	shown = job_json(j);
	press = json_object_get(json_object_get(shown, "progress"), "press");
	assert_true(json_is_null(press));
	json_decref(shown);
	job_drop(j);
}

static void progress_that_is_not_known_is_null(void **state)
{
	struct job *j = job_made();
	struct job_progress p = { .percent = 40,
				  .time_left_ms = -1,
				  .downtime_estimate_ms = 12 };
	json_t *shown, *progress;

	(void)state;
	job_set_progress(j, &p);
	job_set_stage(j, "pre-copy");
	job_set_report(j, json_pack("{s:i}", "total_ms", 5));
	shown = job_json(j);
	progress = json_object_get(shown, "progress");
	assert_int_equal(json_integer_value(
				 json_object_get(progress, "percent")),
			 40);
	assert_true(json_is_null(json_object_get(progress, "time_left_ms")));
	assert_int_equal(json_integer_value(
				 json_object_get(progress,
						 "downtime_estimate_ms")),
			 12);
	assert_string_equal(text_of(shown, "stage"), "pre-copy");
	json_decref(shown);
	job_drop(j);
}

static void *hold_and_look(void *arg)
{
	struct job *j = arg;

	for (int i = 0; i < 2000; i++)
		json_decref(job_json(j));
	job_drop(j);
	return NULL;
}

static void a_job_lives_as_long_as_anybody_holds_it(void **state)
{
	struct job *j = job_made();
	pthread_t t;

	(void)state;
	pthread_create(&t, NULL, hold_and_look, job_hold(j));
	for (int i = 0; i < 200; i++)
		job_set_report(j, json_pack("{s:i}", "n", i));
	job_finish(j, JOB_DONE, NULL, NULL);
	job_drop(j);
	pthread_join(t, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_job_runs_and_has_an_id_of_its_own),
		cmocka_unit_test(a_given_id_is_kept),
		cmocka_unit_test(an_end_has_its_sentence_and_wakes_who_waits),
		cmocka_unit_test(doubt_can_turn_into_any_end),
		cmocka_unit_test(asking_wakes_the_job),
		cmocka_unit_test(a_job_that_was_not_taken_up_yet_says_nothing),
		cmocka_unit_test(a_job_is_shown_whatever_its_error_says),
		cmocka_unit_test(progress_says_what_the_press_did_so_far),
		cmocka_unit_test(progress_that_is_not_known_is_null),
		cmocka_unit_test(a_job_lives_as_long_as_anybody_holds_it),
	};

	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
