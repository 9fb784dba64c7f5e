/* SPDX-License-Identifier: MIT */

/*
 * Relays that wait for their source, with a host that has no daemon around it:
 * what src/host/moves.c does for them is done here.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/internal.h"

static struct {
	bool no_threads;
	bool source_comes; /* as the thread is about to be started */
	void *(*run)(void *);
	void *arg;
	struct job *job; /* the last that was added */
} seen;

/* As relay_serve() does. */
static struct relay_wait *take_first(struct host *h)
{
	struct relay_wait *w = h->relays;

	h->relays = w->next;
	return w;
}

static void free_wait(struct relay_wait *w)
{
	job_drop(w->job);
	free(w);
}

int thread_start(struct host *h, const char *name, void *(*run)(void *),
		 void *arg, struct error *e)
{
	(void)name;
	if (seen.source_comes)
		free_wait(take_first(h));
	if (seen.no_threads)
		return error_set(e, EAGAIN, "no thread for a job");
	seen.run = run;
	seen.arg = arg;
	return 0;
}

void job_add(struct host *h, struct job *j)
{
	(void)h;
	job_drop(seen.job);
	seen.job = job_hold(j);
}

void job_settle(struct job *j, int r, const struct error *e)
{
	assert_int_equal(job_state(j), JOB_RUNNING);
	job_finish(j, r == -ECANCELED ? JOB_CANCELLED : JOB_FAILED, e->text,
		   NULL);
}

struct terms terms_of(struct host *h)
{
	(void)h;
	return (struct terms){ .settings = NULL };
}

int peer_of(const struct settings *s, const char *name, struct move_peer *ret,
	    struct error *e)
{
	(void)s;
	(void)ret;
	return error_set(e, ENOENT, "no host %s", name);
}

static struct host empty_host(void)
{
	seen = (typeof(seen)){ .run = NULL };
	return (struct host){ .lock = PTHREAD_MUTEX_INITIALIZER };
}

static int accept_one(struct host *h, struct error *e)
{
	json_t *options = json_pack("{s:s,s:s,s:s}", "role", "accept", "name",
				    "r1", "qemu", "/run/web1.in");
	json_t *shown = NULL;
	int r = relay_start(h, options, &shown, e);

	json_decref(options);
	json_decref(shown);
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
	first = take_first(&h);
	served = job_hold(first->job);
	assert_int_equal(accept_one(&h, &e), 0);
	job_request_cancel(served);
	run(arg);
	/* Whoever serves it settles it. */
	assert_int_equal(job_state(served), JOB_RUNNING);
	assert_non_null(h.relays);
	assert_ptr_equal(h.relays->job, seen.job);

	job_request_cancel(seen.job);
	seen.run(seen.arg);
	assert_int_equal(job_state(seen.job), JOB_CANCELLED);
	assert_null(h.relays);
	job_drop(seen.job);
	job_drop(served);
	free_wait(first);
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
}

static void without_a_thread_nothing_waits(void **state)
{
	struct host h = empty_host();
	struct error e;

	(void)state;
	seen.no_threads = true;
	assert_int_equal(accept_one(&h, &e), -EAGAIN);
	assert_string_equal(e.text, "no thread for a job");
	assert_null(h.relays);
	assert_null(seen.job);
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
