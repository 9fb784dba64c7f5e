/* SPDX-License-Identifier: MIT */
#include "host/requeue.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/terms.h"
#include "host/waiting.h"

/* A destination that was started again lets go of what it has of a move once
 * it has asked what became of that. */
#define SETTLES_US (5 * USEC_PER_SEC)  /* what it has of the move before */
#define SETTLED_US (60 * USEC_PER_SEC) /* at the latest */

enum { UNDONE_MAX = 3 };

struct requeue {
	struct host *host;

	pthread_mutex_t lock; /* guards what follows */
	struct waiter *first; /* that had started, until it is known how they
			       * ended */
};

struct requeue *requeue_new(struct host *h)
{
	struct requeue *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->host = h;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

static struct waiter *take_first(struct waiter **list)
{
	struct waiter *one = *list;

	*list = one->next;
	one->next = NULL;
	return one;
}

void requeue_free(struct requeue *r)
{
	if (!r)
		return;
	while (r->first)
		waiter_free(take_first(&r->first));
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void remove_file(const struct requeue *r, const char *job)
{
	struct error e;

	if (queue_file_remove(r->host->settings->state_directory, job, &e) < 0)
		log_error("job %s: %s: a daemon that starts would queue it "
			  "again",
			  job, e.text);
}

static int new_job(struct job **ret, const struct queue_file *f, const char *id,
		   struct error *e)
{
	if (job_new(ret,
		    &(struct job_subject){ .id = id,
					   .kind = JOB_MOVE,
					   .role = ROLE_SOURCE,
					   .machine = f->machine,
					   .peer = f->request.host },
		    e) < 0)
		return error_code(e);
	job_set_priority(*ret, f->priority);
	(*ret)->started_us = f->asked_us;
	snprintf((*ret)->after, sizeof((*ret)->after), "%s", f->after);
	return 0;
}

/* Takes @f over; @id: NULL for a new one. */
static struct waiter *read_back(struct queue_file *f, const char *id,
				struct error *e)
{
	struct waiter *one;
	struct job *j;

	if (new_job(&j, f, id, e) < 0) {
		queue_file_done(f);
		return NULL;
	}
	one = waiter_new(f, j);
	job_drop(j);
	if (!one) {
		queue_file_done(f);
		error_set(e, ENOMEM, "no memory for the queue");
		return NULL;
	}
	snprintf(one->file.job, sizeof(one->file.job), "%s", one->job->id);
	return one;
}

/* Why it is not to be queued again; empty: it is. */
static void check_again(const struct requeue *r, const struct queue_file *f,
			char *why, size_t cap)
{
	AUTO_SETTINGS struct settings *s = live_now(&r->host->live);
	char name[STORE_NAME_CAP];
	bool runs = false;

	why[0] = '\0';
	if (!registry_find_uuid(r->host->registry, f->uuid, name, &runs) ||
	    !runs || strcmp(name, f->machine) != 0)
		snprintf(why, cap, "the machine does not run here any more");
	else if (!s->move.requeue)
		snprintf(why, cap, "requeue is off in [move]");
	else if (f->undone >= UNDONE_MAX)
		snprintf(why, cap, "that was so %u times", f->undone);
}

/* Who cancels @was meanwhile means this one as well: either he finds it in
 * @was, or it is found here that he has asked. */
static void wait_again(struct requeue *r, struct waiter *again, struct job *was)
{
	struct job *j = job_hold(again->job);

	jobs_add(r->host->jobs, j);
	waiting_wait(r->host->waiting, again);
	if (was) {
		job_set_again(was, j->id);
		if (atomic_load(&was->cancel_asked) &&
		    !jobs_stopping(r->host->jobs)) {
			job_request_cancel(j);
			waiting_cancel(r->host->waiting, j->id);
		}
	}
	job_drop(j);
}

/* Takes @one over.  Its number may be known to the destination, and the machine
 * be held there by what is left of it. */
static void queue_again(struct requeue *r, struct waiter *one, struct job *was,
			uint64_t later_us)
{
	char why[80], before[JOB_ID_SIZE];
	struct waiter *again = NULL;
	struct error e;

	check_again(r, &one->file, why, sizeof(why));
	snprintf(before, sizeof(before), "%s", one->file.job);
	if (!why[0]) {
		one->file.started = false;
		one->file.undone++;
		snprintf(one->file.after, sizeof(one->file.after), "%s",
			 before);
		again = read_back(&one->file, NULL, &e);
		if (!again ||
		    queue_file_save(r->host->settings->state_directory,
				    &again->file, &e) < 0)
			snprintf(why, sizeof(why), "%.79s", e.text);
	}
	waiter_free(one);
	remove_file(r, before);
	if (!again || why[0]) {
		log_warning("move (%s): a restart undid it, and it is not "
			    "queued again: %s",
			    before, why);
		waiter_free(again);
		return;
	}
	log_info("move %s (%s): a restart undid it: queued again as job %s",
		 again->job->machine, before, again->job->id);
	again->refused_us = clock_us() + SETTLED_US;
	if (later_us)
		queue_put_off(&again->item, QUEUE_AWAY, clock_us() + later_us);
	wait_again(r, again, was);
}

/* --- reading back */

static int load_one(void *context, struct queue_file *f, struct error *e)
{
	struct waiter **all = context, *one;
	char id[JOB_ID_SIZE];

	snprintf(id, sizeof(id), "%s", f->job);
	one = read_back(f, id, e);
	if (!one)
		return error_code(e);
	one->next = *all;
	*all = one;
	return 0;
}

/* Is it queued again already?  Its file was not yet gone. */
static bool is_repeated(const struct waiter *all, const struct waiter *one)
{
	for (; all; all = all->next)
		if (!strcmp(all->file.after, one->file.job))
			return true;
	return false;
}

static void drop_repeated(struct requeue *r, struct waiter **all)
{
	for (struct waiter **p = all; *p;) {
		if (!is_repeated(*all, *p)) {
			p = &(*p)->next;
			continue;
		}
		remove_file(r, (*p)->file.job);
		waiter_free(take_first(p));
	}
}

static void wait_as_before(struct requeue *r, struct waiter *one)
{
	log_info("move %s (%s): waits as before", one->job->machine,
		 one->job->id);
	jobs_add(r->host->jobs, one->job);
	waiting_wait(r->host->waiting, one);
}

int requeue_load(struct requeue *r, struct error *e)
{
	struct waiter *all = NULL, *one;
	int code = queue_file_each(r->host->settings->state_directory, load_one,
				   &all, e);

	drop_repeated(r, &all);
	while (all) {
		one = take_first(&all);
		if (!one->file.started) {
			wait_as_before(r, one);
			continue;
		}
		one->next = r->first;
		r->first = one;
	}
	return code < 0 ? error_in(e, "queue") : 0;
}

/* --- those that had started */

static bool is_job(const struct requeue *r, const char *id)
{
	struct job *j = jobs_find(r->host->jobs, id, ROLE_SOURCE);

	job_drop(j);
	return j != NULL;
}

/* @job: NULL for any that recovery has not taken up. */
static struct waiter *take(struct requeue *r, const char *job)
{
	WITH_LOCK(&r->lock);

	for (struct waiter **p = &r->first; *p; p = &(*p)->next)
		if (job ? !strcmp((*p)->file.job, job)
			: !is_job(r, (*p)->file.job))
			return take_first(p);
	return NULL;
}

void requeue_again(struct requeue *r, struct waiter *one)
{
	struct job *was = job_hold(one->job);

	queue_again(r, one, was, SETTLES_US);
	job_drop(was);
}

void requeue_take_up(struct requeue *r)
{
	struct waiter *one;

	while ((one = take(r, NULL)))
		queue_again(r, one, NULL, 0);
}

void requeue_ended(struct requeue *r, struct job *j, bool undone)
{
	struct waiter *one = take(r, j->id);

	if (one && undone && !atomic_load(&j->cancel_asked)) {
		queue_again(r, one, j, 0);
		return;
	}
	/* A user's cancel has removed the file; that of a host that stops
	 * leaves it to the next start. */
	if (one && !(undone && jobs_stopping(r->host->jobs)))
		remove_file(r, one->file.job);
	waiter_free(one);
}
