/* SPDX-License-Identifier: MIT */
#include "move/job.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"

static const uint8_t may_go[JOB_STATES] = {
	[JOB_RUNNING] = 1 << JOB_IN_DOUBT | 1 << JOB_DONE | 1 << JOB_FAILED |
			1 << JOB_CANCELLED,
	[JOB_IN_DOUBT] = 1 << JOB_RUNNING | 1 << JOB_DONE | 1 << JOB_FAILED,
};

const char *const job_state_names[JOB_STATES] = {
	[JOB_RUNNING] = "running",     [JOB_IN_DOUBT] = "in-doubt",
	[JOB_DONE] = "done",           [JOB_FAILED] = "failed",
	[JOB_CANCELLED] = "cancelled",
};

const char *const job_kind_names[JOB_KINDS] = {
	[JOB_MOVE] = "move",
	[JOB_RELAY] = "relay",
	[JOB_UPDATE] = "update",
};

static void init_locks(struct job *j)
{
	pthread_mutex_init(&j->lock, NULL);
	clock_cond_init(&j->ended);
}

static void set_id(struct job *j, const char *id)
{
	uint32_t random;

	while (getrandom(&random, sizeof(random), 0) < 0)
		;
	if (id)
		snprintf(j->id, sizeof(j->id), "%s", id);
	else
		snprintf(j->id, sizeof(j->id), "%08" PRIx32, random);
}

static void forget_progress(struct job *j)
{
	j->progress = (struct job_progress){ .downtime_limit_ms = -1 };
	progress_unknown(&j->progress);
}

int job_new(struct job **ret, const struct job_subject *of, struct error *e)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return error_set(e, ENOMEM, "no memory for a job");
	j->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->wake_fd < 0) {
		free(j);
		return error_sys(e, "eventfd");
	}
	set_id(j, of->id);
	j->kind = of->kind;
	j->role = of->role;
	snprintf(j->machine, sizeof(j->machine), "%s", of->machine);
	snprintf(j->peer, sizeof(j->peer), "%s", of->peer);
	j->priority = -1;
	j->started_us = clock_wall_us();
	atomic_store(&j->refs, 1);
	init_locks(j);
	j->stage = "check";
	forget_progress(j);
	*ret = j;
	return 0;
}

struct job *job_hold(struct job *j)
{
	atomic_fetch_add(&j->refs, 1);
	return j;
}

void job_drop(struct job *j)
{
	if (!j || atomic_fetch_sub(&j->refs, 1) != 1)
		return;
	shape_done(&job_report_shape, &j->report);
	pthread_cond_destroy(&j->ended);
	pthread_mutex_destroy(&j->lock);
	scope_close(&j->wake_fd);
	free(j);
}

void job_log_begin(const struct job *j)
{
	log_info("%s %s (%s): begins, %s %s", job_kind_names[j->kind],
		 j->machine, j->id, j->role == ROLE_SOURCE ? "to" : "from",
		 j->peer);
}

static void say_changed(struct job *j)
{
	if (j->changed)
		j->changed(j->changed_context, j);
}

void job_set_stage(struct job *j, const char *stage)
{
	log_debug("%s %s (%s): %s", job_kind_names[j->kind], j->machine, j->id,
		  stage);
	{
		WITH_LOCK(&j->lock);

		j->stage = stage;
	}
	say_changed(j);
}

void job_set_waiting(struct job *j)
{
	WITH_LOCK(&j->lock);

	j->waits = true;
	j->stage = "waiting";
	forget_progress(j);
}

void job_set_queue(struct job *j, const struct job_queue *at)
{
	WITH_LOCK(&j->lock);

	j->queue = *at;
}

void job_set_started(struct job *j)
{
	WITH_LOCK(&j->lock);

	j->waits = false;
	j->stage = "check";
	j->started_us = clock_wall_us();
}

bool job_waits(struct job *j)
{
	WITH_LOCK(&j->lock);

	return j->waits;
}

void job_set_priority(struct job *j, unsigned priority)
{
	WITH_LOCK(&j->lock);

	j->priority = (int)priority;
}

void job_set_again(struct job *j, const char *id)
{
	WITH_LOCK(&j->lock);

	snprintf(j->again, sizeof(j->again), "%s", id);
}

void job_again(struct job *j, char ret[static JOB_ID_SIZE])
{
	WITH_LOCK(&j->lock);

	snprintf(ret, JOB_ID_SIZE, "%s", j->again);
}

void job_set_progress(struct job *j, const struct job_progress *p)
{
	bool outage;

	{
		WITH_LOCK(&j->lock);

		outage = p->outage != j->progress.outage;
		j->progress = *p;
	}
	if (outage)
		say_changed(j);
}

void job_set_report(struct job *j, const struct job_report *report)
{
	WITH_LOCK(&j->lock);

	shape_done(&job_report_shape, &j->report);
	j->report = *report;
	j->has_report = true;
}

static void job_go(struct job *j, enum job_state to, const char *error,
		   const char *advice)
{
	assert(j->state == to || may_go[j->state] & 1 << to);
	j->state = to;
	snprintf(j->error, sizeof(j->error), "%s", error ? error : "");
	snprintf(j->advice, sizeof(j->advice), "%s", advice ? advice : "");
}

void job_set_doubt(struct job *j, const char *error, const char *fmt, ...)
{
	char advice[sizeof(j->advice)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(advice, sizeof(advice), fmt, ap);
	va_end(ap);
	log_warning("%s %s (%s) in doubt: %s", job_kind_names[j->kind],
		    j->machine, j->id, error);
	{
		WITH_LOCK(&j->lock);

		job_go(j, JOB_IN_DOUBT, error, advice);
	}
	say_changed(j);
}

void job_set_advice(struct job *j, const char *advice)
{
	WITH_LOCK(&j->lock);

	snprintf(j->advice, sizeof(j->advice), "%s", advice);
}

static void end(struct job *j, enum job_state state, const char *error,
		const char *advice)
{
	WITH_LOCK(&j->lock);

	job_go(j, state, error, advice);
	j->open_terms = j->waits = false;
	j->ended_us = clock_wall_us();
	if (state == JOB_DONE) {
		j->stage = "done";
		j->progress.percent = 100;
	}
	pthread_cond_broadcast(&j->ended);
	/* Its thread sleeps no more, and the registry remembers many jobs. */
	scope_close(&j->wake_fd);
	j->wake_fd = -1;
}

void job_finish(struct job *j, enum job_state state, const char *error,
		const char *advice)
{
	if (error)
		log_error("%s %s (%s): %s", job_kind_names[j->kind], j->machine,
			  j->id, error);
	else
		log_info("%s %s (%s): %s", job_kind_names[j->kind], j->machine,
			 j->id, job_state_names[state]);

	end(j, state, error, advice);
	say_changed(j);
}

/* Of a failure deep in a job only some kinds mean the job: that a file was not
 * found, or a number wrong, says nothing of the request. */
static enum error_kind job_kind(const struct error *e)
{
	enum error_kind kind = error_kind(e);

	if (kind == ERROR_REFUSED || kind == ERROR_TIMED_OUT ||
	    kind == ERROR_UNREACHABLE)
		return kind;
	return ERROR_FAILED;
}

void job_fail(struct job *j, const struct error *e)
{
	{
		WITH_LOCK(&j->lock);

		j->failure = job_kind(e);
	}
	job_finish(j, JOB_FAILED, e->text, NULL);
}

static void wake(struct job *j)
{
	WITH_LOCK(&j->lock);

	if (j->wake_fd >= 0)
		eventfd_write(j->wake_fd, 1);
}

void job_open_terms(struct job *j, const struct job_terms *terms)
{
	WITH_LOCK(&j->lock);

	j->terms = *terms;
	j->open_terms = true;
}

void job_close_terms(struct job *j)
{
	WITH_LOCK(&j->lock);

	j->open_terms = false;
}

bool job_new_terms(struct job *j, struct job_terms *ret)
{
	eventfd_t ignored;
	bool changed;

	WITH_LOCK(&j->lock);

	changed = j->new_terms;
	j->new_terms = false;
	*ret = j->terms;
	/* Whoever asked for something else has said so elsewhere. */
	if (changed)
		eventfd_read(j->wake_fd, &ignored);
	return changed;
}

bool job_terms(struct job *j, struct job_terms *ret)
{
	WITH_LOCK(&j->lock);

	*ret = j->terms;
	return j->open_terms;
}

static bool are_terms(const struct job_terms *a, const struct job_terms *b)
{
	return a->converge == b->converge && a->limit_us == b->limit_us &&
	       a->timeout_us == b->timeout_us && a->weight == b->weight &&
	       a->rate == b->rate;
}

bool job_change_terms(struct job *j, const struct job_terms *was,
		      const struct job_terms *terms)
{
	WITH_LOCK(&j->lock);

	if (!j->open_terms || !are_terms(&j->terms, was))
		return false;
	j->terms = *terms;
	j->new_terms = true;
	/* Whoever takes them takes this as well. */
	if (j->wake_fd >= 0)
		eventfd_write(j->wake_fd, 1);
	return true;
}

void job_set_near(struct job *j, bool near)
{
	WITH_LOCK(&j->lock);

	/* A guest that has stopped is near whatever is measured. */
	if (!near && !j->open_terms)
		return;
	if (near != (j->near_us > 0))
		j->near_us = near ? clock_us() : 0;
}

void job_look(struct job *j,
	      void (*look)(void *context, struct session *s,
			   const struct job_share *share),
	      void *context)
{
	WITH_LOCK(&j->lock);

	if (j->session)
		look(context, j->session,
		     &(struct job_share){ .weight = j->terms.weight,
					  .rate = j->terms.rate,
					  .near_us = j->near_us });
}

void job_request_cancel(struct job *j)
{
	atomic_store(&j->cancel_asked, true);
	wake(j);
}

void job_request_verdict(struct job *j, enum job_verdict verdict)
{
	atomic_store(&j->verdict, verdict);
	wake(j);
}

enum job_verdict job_take_verdict(struct job *j)
{
	return (enum job_verdict)atomic_exchange(&j->verdict, JOB_UNDECIDED);
}

void job_refuse_verdict(struct job *j, const char *why)
{
	WITH_LOCK(&j->lock);

	snprintf(j->refusal, sizeof(j->refusal), "%s", why);
	j->refusals++;
	pthread_cond_broadcast(&j->ended);
}

bool job_wait_verdict(struct job *j, uint64_t deadline_us, char *ret_refusal,
		      size_t cap)
{
	const struct timespec until = clock_timespec(deadline_us);
	unsigned before;

	WITH_LOCK(&j->lock);

	before = j->refusals_seen;
	while (j->ended_us == 0 && j->refusals == before)
		if (pthread_cond_timedwait(&j->ended, &j->lock, &until))
			return false;
	snprintf(ret_refusal, cap, "%s",
		 j->refusals != before ? j->refusal : "");
	j->refusals_seen = j->refusals;
	return true;
}

void job_tell_commit(struct job *j)
{
	atomic_store(&j->told_commit, true);
	wake(j);
}

const struct decide_row *job_decide(struct job *j, enum decide_event event,
				    unsigned facts)
{
	const struct decide_row *r;

	WITH_LOCK(&j->lock);

	r = decide(j->role, j->course, event, facts);
	if (!r)
		return NULL;
	log_debug("move %s (%s): %s -> %s", j->machine, j->id,
		  decide_state_name(j->course), decide_state_name(r->next));
	j->course = r->next;
	return r;
}

enum decide_action job_answer(struct job *j)
{
	const struct decide_row *r;

	WITH_LOCK(&j->lock);

	/* Found in the journal, and its thread has not taken it up yet, which a
	 * QEMU that hangs can delay for long. */
	r = decide(j->role, j->course, EVENT_ASKED,
		   j->ended_us == 0 ? FACT_ENTRY : 0);
	assert(r);
	return r->actions[0];
}

void job_begin(struct job *j, enum decide_state state)
{
	WITH_LOCK(&j->lock);

	j->course = state;
}

enum decide_state job_course(struct job *j)
{
	WITH_LOCK(&j->lock);

	return j->course;
}

void job_sleep(struct job *j, uint64_t deadline_us)
{
	struct pollfd p = { .fd = j->wake_fd, .events = POLLIN };
	eventfd_t ignored;

	if (poll(&p, 1, clock_poll_ms(deadline_us)) > 0)
		eventfd_read(j->wake_fd, &ignored);
}

int job_check_cancel(struct job *j, struct error *e)
{
	if (!atomic_load(&j->cancel_asked))
		return 0;
	return error_set(e, ECANCELED, "cancelled");
}

enum job_state job_state(struct job *j)
{
	WITH_LOCK(&j->lock);

	return j->state;
}

bool job_wait_ended(struct job *j, uint64_t deadline_us)
{
	const struct timespec until = clock_timespec(deadline_us);

	WITH_LOCK(&j->lock);

	while (j->ended_us == 0)
		if (pthread_cond_timedwait(&j->ended, &j->lock, &until))
			return false;
	return true;
}

void job_set_session(struct job *j, struct session *s)
{
	WITH_LOCK(&j->lock);

	j->session = s;
}
