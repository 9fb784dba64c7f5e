/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/words.h"
#include "move/job.h"
#include "move/job_view.h"

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

static struct job_view view_of(struct job *j)
{
	struct job_view v = { .kind = JOB_MOVE };
	struct error e;

	if (job_view(j, &v, &e) < 0)
		fail_msg("%s", e.text);
	return v;
}

/* As the control API gives it. */
static char *text_of(struct job *j)
{
	struct job_view v = view_of(j);
	char *text = shape_text(&job_view_shape, &v);

	assert_non_null(text);
	shape_done(&job_view_shape, &v);
	return text;
}

static void assert_says(struct job *j, const char *what)
{
	char *text = text_of(j);

	if (!strstr(text, what))
		fail_msg("no %s in %s", what, text);
	free(text);
}

static void a_new_job_runs_and_has_an_id_of_its_own(void **state)
{
	struct job *a = job_made(), *b = job_made();

	(void)state;
	assert_string_not_equal(a->id, b->id);
	assert_int_equal(job_state(a), JOB_RUNNING);
	assert_says(a, "\"kind\":\"move\",\"role\":\"source\"");
	assert_says(a, "\"state\":\"running\"");
	assert_says(a, "\"ended\":null,\"error\":null,\"error_kind\":null");
	assert_says(a, "\"report\":null");
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
	struct job_view v;

	(void)state;
	assert_false(job_wait_ended(j, clock_us() + 10000));
	job_finish(j, JOB_FAILED, "host beta is full", "free some memory");
	assert_true(job_wait_ended(j, clock_us()));
	v = view_of(j);
	assert_int_equal(v.state, JOB_FAILED);
	assert_string_equal(v.error, "host beta is full");
	assert_string_equal(v.advice, "free some memory");
	assert_true(v.ended_us >= v.started_us);
	assert_says(j, "\"error_kind\":\"failed\"");
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

enum { CHANGES = 300 };

struct changes {
	struct job *j;
	atomic_uint begun, done;
};

static void *change_terms(void *arg)
{
	struct changes *c = arg;

	for (unsigned i = 1; i <= CHANGES; i++) {
		struct job_terms was, now;

		while (atomic_load(&c->begun) < i)
			sched_yield();
		assert_true(job_terms(c->j, &was));
		now = was;
		now.limit_us = i;
		assert_true(job_change_terms(c->j, &was, &now));
		atomic_store(&c->done, i);
	}
	return NULL;
}

/* A wake that nobody takes would be one for ever. */
static void new_terms_and_their_wake_are_taken_together(void **state)
{
	struct changes c = { .j = job_made() };
	struct pollfd p = { .fd = c.j->wake_fd, .events = POLLIN };
	struct job_terms terms = { 0 };
	unsigned left = 0;
	pthread_t other;

	(void)state;
	job_open_terms(c.j, &terms);
	assert_int_equal(pthread_create(&other, NULL, change_terms, &c), 0);
	for (unsigned i = 1; i <= CHANGES; i++) {
		atomic_store(&c.begun, i);
		while (!job_new_terms(c.j, &terms))
			;
		while (atomic_load(&c.done) < i)
			sched_yield();
		left += poll(&p, 1, 0) > 0;
	}
	pthread_join(other, NULL);
	assert_int_equal(left, 0);
	job_drop(c.j);
}

static void of_two_who_set_terms_at_once_one_looks_again(void **state)
{
	struct job *j = job_made();
	const struct job_terms was = { .limit_us = 300000 };
	const struct job_terms slower = { .limit_us = 300000, .converge = 1 };
	const struct job_terms shorter = { .limit_us = 50000 };
	struct job_terms now;

	(void)state;
	job_open_terms(j, &was);
	assert_true(job_change_terms(j, &was, &slower));
	assert_false(job_change_terms(j, &was, &shorter));
	assert_true(job_terms(j, &now));
	assert_int_equal(now.limit_us, 300000);
	assert_int_equal(now.converge, 1);
	job_drop(j);
}

static void terms_of_a_job_that_has_ended_are_not_changed(void **state)
{
	struct job *j = job_made();
	struct job_terms terms = { 0 };

	(void)state;
	job_open_terms(j, &terms);
	job_finish(j, JOB_FAILED, "no way", NULL);
	assert_false(job_terms(j, &terms));
	assert_false(job_change_terms(j, &terms, &terms));
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

	(void)state;
	/* Cut inside of a letter, and no letter at all. */
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 3);
	job_finish(j, JOB_FAILED, text, "\xff");
	assert_says(j, "\"state\":\"failed\"");
	assert_says(j, "\"advice\":\"?\"");
	job_drop(j);
}

static void progress_says_what_the_press_did_so_far(void **state)
{
	struct job *j = job_made();
	struct job_progress p = {
		.presses = true,
		.press = { .in = 3, .out = 2, .incompressible = 4 }
	};

	(void)state;
	job_set_progress(j, &p);
	assert_says(j, "\"press\":{\"before\":3,\"after\":2,\"dense\":4,");
	p.presses = false;
	job_set_progress(j, &p);
	assert_says(j, "\"press\":null");
	job_drop(j);
}

static void progress_that_is_not_known_is_null(void **state)
{
	struct job *j = job_made();
	struct job_progress p = { .percent = 40,
				  .time_left_ms = -1,
				  .time_left_least_ms = -1,
				  .time_left_most_ms = 2,
				  .downtime_estimate_ms = 12 };

	(void)state;
	job_set_progress(j, &p);
	job_set_stage(j, "pre-copy");
	assert_says(j, "\"stage\":\"pre-copy\"");
	assert_says(j, "\"percent\":40,");
	assert_says(j, "\"time_left_ms\":null,\"time_left_least_ms\":null,"
		       "\"time_left_most_ms\":2,\"sure\":\"low\","
		       "\"ends\":\"unknown\",\"downtime_estimate_ms\":12,");
	job_drop(j);
}

static struct job_report report_with(const char *reason)
{
	struct job_report r = { .total_ms = 5,
				.downtime_ms = -1,
				.setup_ms = -1,
				.transfer_ms = -1,
				.rounds = -1,
				.downtime_limit_ms = -1,
				.throttle = -1,
				.cpu_latency_us = -1,
				.session.known = true };
	struct error e;

	assert_int_equal(words_add(&r.reasons, reason, &e), 0);
	return r;
}

static void a_report_of_a_relay_has_what_relays_have(void **state)
{
	const struct job_report r = report_with("one network");
	struct job *j = job_made();

	(void)state;
	job_set_report(j, &r);
	assert_says(j, "\"report\":{\"total_ms\":5,\"downtime_ms\":null,"
		       "\"bytes\":{\"zero\":0,");
	assert_says(j, "\"reasons\":[\"one network\"],\"paths\":[],"
		       "\"cards\":[],\"press\":null}");
	job_drop(j);
}

static void a_report_of_a_move_has_times_and_modes(void **state)
{
	struct job_report r = report_with("one network");
	struct job *j = job_made();

	(void)state;
	r.setup_ms = 210;
	r.transfer_ms = 30000;
	r.rounds = 0;
	r.downtime_limit_ms = 38;
	r.throttle = 0;
	r.has_switchover = true;
	r.switchover = (struct switchover_report){ 40, 60, -1 };
	strcpy(r.mode_asked, "auto");
	strcpy(r.mode_got, "multichannel");
	job_set_report(j, &r);
	assert_says(j, "\"switchover\":{\"sent_ms\":40,\"loaded_ms\":60,"
		       "\"running_ms\":null},\"setup_ms\":210,"
		       "\"transfer_ms\":30000,\"rounds\":0,"
		       "\"downtime_limit_ms\":38,\"throttle\":0,");
	assert_says(j, "\"mode_asked\":\"auto\",\"mode_got\":\"multichannel\","
		       "\"option_asked\":\"auto\","
		       "\"option_got\":\"multichannel\"");
	job_drop(j);
}

static void details_of_a_job_that_ended_are_those_of_its_report(void **state)
{
	struct job_report r = report_with("one network");
	struct job *j = job_made();
	struct job_details d;
	struct error e;

	(void)state;
	assert_int_equal(job_details(j, &d, &e), 0);
	assert_false(d.session.known);
	shape_done(&job_details_shape, &d);
	r.session.presses = true;
	r.session.press.used = (struct codec_choice){ CODEC_ZSTD, 3 };
	job_set_report(j, &r);
	assert_int_equal(job_details(j, &d, &e), 0);
	assert_true(d.session.known && d.session.presses);
	assert_int_equal(d.session.press.used.level, 3);
	assert_string_equal(d.job.report.reasons.at[0], "one network");
	shape_done(&job_details_shape, &d);
	job_drop(j);
}

static void *hold_and_look(void *arg)
{
	struct job *j = arg;

	for (int i = 0; i < 2000; i++)
		free(text_of(j));
	job_drop(j);
	return NULL;
}

static void a_job_lives_as_long_as_anybody_holds_it(void **state)
{
	struct job *j = job_made();
	pthread_t t;

	(void)state;
	pthread_create(&t, NULL, hold_and_look, job_hold(j));
	for (int i = 0; i < 200; i++) {
		const struct job_report r = report_with("again");

		job_set_report(j, &r);
	}
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
		cmocka_unit_test(new_terms_and_their_wake_are_taken_together),
		cmocka_unit_test(of_two_who_set_terms_at_once_one_looks_again),
		cmocka_unit_test(terms_of_a_job_that_has_ended_are_not_changed),
		cmocka_unit_test(a_job_that_was_not_taken_up_yet_says_nothing),
		cmocka_unit_test(a_job_is_shown_whatever_its_error_says),
		cmocka_unit_test(progress_says_what_the_press_did_so_far),
		cmocka_unit_test(progress_that_is_not_known_is_null),
		cmocka_unit_test(a_report_of_a_relay_has_what_relays_have),
		cmocka_unit_test(a_report_of_a_move_has_times_and_modes),
		cmocka_unit_test(
			details_of_a_job_that_ended_are_those_of_its_report),
		cmocka_unit_test(a_job_lives_as_long_as_anybody_holds_it),
	};

	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
