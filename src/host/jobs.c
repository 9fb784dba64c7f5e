/* SPDX-License-Identifier: MIT */
#include "host/jobs.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/thread.h"
#include "host/host.h"
#include "host/parts.h"
#include "move/job_view.h"

enum {
	JOBS_KEPT = 200,
	ANSWER_US = 20000000,
	STOP_US = 20000000,
	TURN_US = 100000,
};

struct jobs {
	const char *host_name; /* set when made, and these before jobs */
	void (*changed)(void *context, struct job *j);
	void *changed_context;
	int news_fd; /* set when made */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t ended; /* a thread has */
	struct job *first;    /* the newest */
	unsigned threads;     /* of jobs and of connections */
	bool stopping;
};

struct jobs *jobs_new(const char *host_name)
{
	struct jobs *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->host_name = host_name;
	all->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all->news_fd < 0) {
		free(all);
		return NULL;
	}
	pthread_mutex_init(&all->lock, NULL);
	clock_cond_init(&all->ended);
	return all;
}

void jobs_free(struct jobs *all)
{
	if (!all)
		return;
	while (all->first) {
		struct job *j = all->first;

		all->first = j->next;
		job_drop(j);
	}
	pthread_cond_destroy(&all->ended);
	pthread_mutex_destroy(&all->lock);
	close(all->news_fd);
	free(all);
}

/* --- the list */

/* Ended ones beyond JOBS_KEPT are forgotten. */
static void forget_old(struct jobs *all)
{
	unsigned n = 0;

	for (struct job **p = &all->first; *p;) {
		struct job *j = *p;

		if (++n > JOBS_KEPT && job_wait_ended(j, 0)) {
			*p = j->next;
			job_drop(j);
		} else {
			p = &j->next;
		}
	}
}

void jobs_watch(struct jobs *all, void (*changed)(void *context, struct job *j),
		void *context)
{
	all->changed = changed;
	all->changed_context = context;
}

static void enlist(struct jobs *all, struct job *j)
{
	WITH_LOCK(&all->lock);

	job_hold(j);
	j->next = all->first;
	all->first = j;
	/* Those before it have heard that the host ends. */
	if (all->stopping)
		job_request_cancel(j);
	forget_old(all);
	eventfd_write(all->news_fd, 1);
}

int jobs_news_fd(const struct jobs *all)
{
	return all->news_fd;
}

unsigned jobs_hold_running(struct jobs *all, struct job **ret, unsigned cap)
{
	unsigned n = 0;

	WITH_LOCK(&all->lock);

	for (struct job *j = all->first; j && n < cap; j = j->next)
		if (job_state(j) == JOB_RUNNING)
			ret[n++] = job_hold(j);
	return n;
}

void jobs_add(struct jobs *all, struct job *j)
{
	j->changed = all->changed;
	j->changed_context = all->changed_context;
	enlist(all, j);
	if (j->changed)
		j->changed(j->changed_context, j);
}

void jobs_remove(struct jobs *all, struct job *j)
{
	WITH_LOCK(&all->lock);

	for (struct job **p = &all->first; *p; p = &(*p)->next)
		if (*p == j) {
			*p = j->next;
			job_drop(j);
			return;
		}
}

struct job *jobs_find(struct jobs *all, const char *id, enum role role)
{
	WITH_LOCK(&all->lock);

	for (struct job *j = all->first; j; j = j->next)
		if (!strcmp(j->id, id) && (role == ROLES || j->role == role))
			return job_hold(j);
	return NULL;
}

bool jobs_in_doubt(struct jobs *all, const char *id, const char *machine)
{
	WITH_LOCK(&all->lock);

	for (struct job *j = all->first; j; j = j->next)
		if (!strcmp(j->id, id) && !strcmp(j->machine, machine) &&
		    job_state(j) == JOB_IN_DOUBT)
			return true;
	return false;
}

bool jobs_carry_relay(struct jobs *all, const char *name, const char *peer)
{
	WITH_LOCK(&all->lock);

	for (struct job *j = all->first; j; j = j->next)
		if (j->kind == JOB_RELAY && j->role == ROLE_SOURCE &&
		    !strcmp(j->machine, name) && !strcmp(j->peer, peer) &&
		    job_state(j) == JOB_RUNNING)
			return true;
	return false;
}

/* Locked. */
static unsigned count(const struct jobs *all, enum job_state state)
{
	unsigned n = 0;

	for (struct job *j = all->first; j; j = j->next)
		n += job_state(j) == state;
	return n;
}

unsigned jobs_running(struct jobs *all)
{
	WITH_LOCK(&all->lock);

	return count(all, JOB_RUNNING);
}

unsigned jobs_doubtful(struct jobs *all, enum role role)
{
	unsigned n = 0;

	WITH_LOCK(&all->lock);

	for (struct job *j = all->first; j; j = j->next)
		n += j->kind == JOB_MOVE && j->role == role &&
		     job_state(j) == JOB_IN_DOUBT;
	return n;
}

/* What some moves took, or will. */
struct mean {
	double s;
	unsigned count;
};

static void add_time(struct mean *m, double s)
{
	m->s += s;
	m->count++;
}

/* What a move that runs has left, and takes in all. */
static double time_left(struct job *j, struct mean *takes)
{
	double left, since;

	WITH_LOCK(&j->lock);

	if (j->progress.time_left_ms < 0)
		return NAN;
	left = (double)j->progress.time_left_ms / 1000;
	since = (double)(clock_wall_us() - j->started_us) / USEC_PER_SEC;
	add_time(takes, left + since);
	return left;
}

static bool has_taken(struct job *j, struct mean *took)
{
	WITH_LOCK(&j->lock);

	if (j->ended_us == 0)
		return false;
	if (j->state == JOB_DONE && j->ended_us > j->started_us)
		add_time(took,
			 (double)(j->ended_us - j->started_us) / USEC_PER_SEC);
	return true;
}

size_t jobs_time_left(struct jobs *all, double *ret, size_t most,
		      double *ret_each)
{
	struct mean took = { 0 }, takes = { 0 }, *known = &took;
	size_t n = 0;

	WITH_LOCK(&all->lock);

	for (struct job *j = all->first; j; j = j->next)
		if (j->kind == JOB_MOVE && j->role == ROLE_SOURCE &&
		    !has_taken(j, &took) && !job_waits(j) && n < most)
			ret[n++] = time_left(j, &takes);
	if (took.count == 0)
		known = &takes;
	*ret_each = known->count ? known->s / known->count : NAN;
	return n;
}

void job_settle(struct job *j, int r, const struct error *e)
{
	if (r >= 0)
		job_finish(j, JOB_DONE, NULL, NULL);
	else if (r == -ECANCELED)
		job_finish(j,
			   job_state(j) == JOB_RUNNING ? JOB_CANCELLED
						       : JOB_FAILED,
			   e->text, NULL);
	else
		job_fail(j, e);
}

/* --- threads */

struct start {
	struct jobs *jobs;
	const char *name;
	void *(*run)(void *);
	void *arg;
};

static void thread_ended(struct jobs *all)
{
	WITH_LOCK(&all->lock);

	all->threads--;
	pthread_cond_broadcast(&all->ended);
}

static void *counted(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	thread_name(s.name);
	s.run(s.arg);
	thread_ended(s.jobs);
	return NULL;
}

int jobs_thread(struct jobs *all, const char *name, void *(*run)(void *),
		void *arg, struct error *e)
{
	struct start *s = malloc(sizeof(*s));
	pthread_attr_t attr;
	pthread_t ignored;
	int r;

	if (!s)
		return error_set(e, ENOMEM, "no memory for a thread");
	*s = (struct start){ all, name, run, arg };
	{
		WITH_LOCK(&all->lock);

		all->threads++;
	}
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&ignored, &attr, counted, s);
	pthread_attr_destroy(&attr);
	if (r == 0)
		return 0;
	free(s);
	thread_ended(all);
	return error_set(e, r, "no thread for a job");
}

void jobs_cancel_all(struct jobs *all)
{
	WITH_LOCK(&all->lock);

	all->stopping = true;
	for (struct job *j = all->first; j; j = j->next)
		job_request_cancel(j);
}

bool jobs_stopping(struct jobs *all)
{
	WITH_LOCK(&all->lock);

	return all->stopping;
}

bool jobs_wait_idle(struct jobs *all)
{
	uint64_t deadline = clock_us() + STOP_US;

	WITH_LOCK(&all->lock);

	while (all->threads > count(all, JOB_IN_DOUBT) &&
	       clock_us() < deadline) {
		/* A job that turns doubtful tells nobody. */
		const struct timespec turn =
			clock_timespec(clock_us() + TURN_US);

		pthread_cond_timedwait(&all->ended, &all->lock, &turn);
	}
	return all->threads == 0;
}

/* --- the API */

struct job *jobs_must(struct jobs *all, const char *id, struct error *e)
{
	struct job *j = jobs_find(all, id, ROLES);

	if (!j)
		error_set(e, ENOENT,
			  "%s has no job %s: 'drover job list' shows "
			  "those that it has",
			  all->host_name, id);
	return j;
}

static int list(struct jobs *all, struct job_views *ret, struct error *e)
{
	size_t n = 0;

	WITH_LOCK(&all->lock);

	for (const struct job *j = all->first; j; j = j->next)
		n++;
	ret->at = calloc(n ? n : 1, sizeof(*ret->at));
	if (!ret->at)
		return error_set(e, ENOMEM, "no memory for a list of jobs");
	ret->count = n;
	for (struct job *j = all->first; j; j = j->next)
		if (job_view(j, &ret->at[--n], e) < 0)
			return error_code(e);
	return 0;
}

int job_list(struct host *h, struct job_views *ret, struct error *e)
{
	struct job_views views = { .count = 0 };

	if (list(h->jobs, &views, e) < 0) {
		shape_done(&job_views_shape, &views);
		return error_code(e);
	}
	*ret = views;
	return 0;
}

int job_show(struct host *h, const char *id, struct job_view *ret,
	     struct error *e)
{
	struct job *j = jobs_must(h->jobs, id, e);
	int r;

	if (!j)
		return error_code(e);
	r = job_view(j, ret, e);
	job_drop(j);
	return r;
}

int host_debug_job(struct host *h, const char *id, struct job_details *ret,
		   struct error *e)
{
	struct job *j = jobs_must(h->jobs, id, e);
	int r;

	if (!j)
		return error_code(e);
	r = job_details(j, ret, e);
	job_drop(j);
	return r;
}

/* A job is done when the guest is where the move was to bring it. */
static bool ends_done(const struct job *j, bool run_here)
{
	return run_here == (j->role == ROLE_DESTINATION);
}

int job_resolve(struct host *h, const char *id, int run_here,
		struct job_view *ret, struct error *e)
{
	struct job *j = jobs_must(h->jobs, id, e);
	int r = 0;

	if (!j)
		return error_code(e);
	if (job_state(j) == JOB_IN_DOUBT) {
		char refusal[120];

		job_request_verdict(j, run_here ? JOB_RUN_HERE : JOB_GIVE_UP);
		if (!job_wait_verdict(j, clock_us() + ANSWER_US, refusal,
				      sizeof(refusal)))
			r = error_set(e, EBUSY,
				      "job %s has not ended yet: look at it "
				      "with "
				      "'drover job show'",
				      id);
		else if (refusal[0])
			r = error_set(e, EBUSY,
				      "%s, so it is not for the operator to "
				      "say "
				      "where %s runs: see 'drover job show %s'",
				      refusal, j->machine, id);
		else if ((job_state(j) == JOB_DONE) != ends_done(j, run_here))
			r = error_set(e, EBUSY,
				      "job %s ended otherwise before that was "
				      "heard: see 'drover job show %s'",
				      id, id);
	} else {
		r = error_set(e, EBUSY,
			      "job %s is not in doubt: there is nothing to "
			      "resolve",
			      id);
	}
	if (r == 0)
		r = job_view(j, ret, e);
	job_drop(j);
	return r;
}
