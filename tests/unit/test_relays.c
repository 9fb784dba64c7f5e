/* SPDX-License-Identifier: MIT */

/*
 * Relays that wait for their source, with a host that has no daemon around it:
 * what jobs.c and terms.c do for them is done here.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/host.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/relay_waits.h"
#include "host/terms.h"
#include "move/job_view.h"

static struct {
	bool no_threads;
	bool source_comes; /* as the thread is about to be started */
	void *(*run)(void *);
	void *arg;
	struct job *job; /* the last that was added */
} seen;

static struct relay_waits *waits;

/* As relay_serve() does. */
static struct relay_wait *take_first(void)
{
	return relay_waits_take(waits, "r1", NULL);
}

int jobs_thread(struct jobs *all, const char *name, void *(*run)(void *),
		void *arg, struct error *e)
{
	(void)all;
	(void)name;
	if (seen.source_comes)
		relay_wait_free(take_first());
	if (seen.no_threads)
		return error_set(e, EAGAIN, "no thread for a job");
	seen.run = run;
	seen.arg = arg;
	return 0;
}

void jobs_add(struct jobs *all, struct job *j)
{
	(void)all;
	job_drop(seen.job);
	seen.job = job_hold(j);
}

void job_settle(struct job *j, int r, const struct error *e)
{
	assert_int_equal(job_state(j), JOB_RUNNING);
	job_finish(j, r == -ECANCELED ? JOB_CANCELLED : JOB_FAILED, e->text,
		   NULL);
}

bool jobs_carry_relay(struct jobs *all, const char *name, const char *peer)
{
	(void)all;
	(void)name;
	(void)peer;
	return false;
}

struct terms terms_of(struct host *h)
{
	(void)h;
	return (struct terms){ .settings = NULL };
}

int peer_of(const struct terms *t, const char *name, struct move_peer *ret,
	    struct error *e)
{
	(void)t;
	(void)ret;
	return error_set(e, ENOENT, "no host %s", name);
}

static struct host empty_host(void)
{
	seen = (typeof(seen)){ .run = NULL };
	waits = relay_waits_new();
	return (struct host){ .relay_waits = waits };
}

static int accept_one(struct host *h, struct error *e)
{
	char role[] = "accept", name[] = "r1", qemu[] = "/run/web1.in";
	const struct relay_request of = { .role = role,
					  .name = name,
					  .qemu = qemu };
	struct job_view shown = { .kind = JOB_RELAY };
	int r = relay_start(h, &of, &shown, e);

	shape_done(&job_view_shape, &shown);
	return r;
}

static void a_cancel_takes_its_own_waiter_only(void **state)
{
	struct host h = empty_host();
	struct relay_wait *first;
	struct job *served;
	void *(*run)(void *);
	struct error e;
	void *arg;

	(void)state;
	assert_int_equal(accept_one(&h, &e), 0);
	run = seen.run;
	arg = seen.arg;
	first = take_first();
	served = job_hold(first->job);
	assert_int_equal(accept_one(&h, &e), 0);
	job_request_cancel(served);
	run(arg);
	/* Whoever serves it settles it. */
	assert_int_equal(job_state(served), JOB_RUNNING);
	assert_true(relay_waits_has(waits, seen.job));

	job_request_cancel(seen.job);
	seen.run(seen.arg);
	assert_int_equal(job_state(seen.job), JOB_CANCELLED);
	assert_null(take_first());
	job_drop(seen.job);
	job_drop(served);
	relay_wait_free(first);
	relay_waits_free(waits);
}

static void a_name_waits_once(void **state)
{
	struct host h = empty_host();
	struct error e;

	(void)state;
	assert_int_equal(accept_one(&h, &e), 0);
	assert_int_equal(accept_one(&h, &e), -EEXIST);
	assert_non_null(strstr(e.text, "a relay called r1 waits already"));
	job_request_cancel(seen.job);
	seen.run(seen.arg);
	job_drop(seen.job);
	relay_waits_free(waits);
}

static void without_a_thread_nothing_waits(void **state)
{
	struct host h = empty_host();
	struct error e;

	(void)state;
	seen.no_threads = true;
	assert_int_equal(accept_one(&h, &e), -EAGAIN);
	assert_string_equal(e.text, "no thread for a job");
	assert_null(take_first());
	assert_null(seen.job);
	relay_waits_free(waits);
}

static void a_source_that_comes_early_needs_no_thread(void **state)
{
	struct host h = empty_host();
	struct error e;

	(void)state;
	seen.no_threads = seen.source_comes = true;
	assert_int_equal(accept_one(&h, &e), 0);
	assert_non_null(seen.job);
	job_drop(seen.job);
	relay_waits_free(waits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cancel_takes_its_own_waiter_only),
		cmocka_unit_test(a_name_waits_once),
		cmocka_unit_test(without_a_thread_nothing_waits),
		cmocka_unit_test(a_source_that_comes_early_needs_no_thread),
	};

	return cmocka_run_group_tests_name("relays", tests, NULL, NULL);
}
