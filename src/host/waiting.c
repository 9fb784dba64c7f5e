/* SPDX-License-Identifier: MIT */
#include "host/waiting.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/thread.h"
#include "host/admission.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/terms.h"
#include "move/peer.h"
#include "session/session.h"

#define TURN_US USEC_PER_SEC           /* while somebody waits */
#define HELD_US USEC_PER_SEC           /* a machine by somebody else */
#define PATIENT_US (60 * USEC_PER_SEC) /* with a destination */
#define OFFER_US (5 * USEC_PER_SEC)    /* for its answer */
#define HERE_US (60 * USEC_PER_SEC)    /* for who cannot wait elsewhere */

enum { WAITERS_MAX = 1000, RUNNING_MAX = 64 };

struct waiting {
	struct host *host;
	waiting_start_one *start;
	pthread_t thread;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t news;
	struct queue queue;
	struct admission admission;
	struct queue_load out, in; /* that run, those in doubt too */
	uint64_t number;           /* of the next one */
	bool changed, stopping;
};

struct waiting *waiting_new(struct host *h, waiting_start_one *start)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->host = h;
	w->start = start;
	pthread_mutex_init(&w->lock, NULL);
	clock_cond_init(&w->news);
	return w;
}

static struct waiter *waiter_of(struct queue_item *it)
{
	return container_of(it, struct waiter, item);
}

struct waiter *waiter_new(struct queue_file *f, struct job *j)
{
	struct waiter *one = calloc(1, sizeof(*one));

	if (!one)
		return NULL;
	one->file = *f;
	*f = (struct queue_file){ 0 };
	one->job = job_hold(j);
	one->item.peer = one->job->peer;
	one->item.rank = (struct queue_rank){ .priority = one->file.priority,
					      .asked_us = one->file.asked_us };
	return one;
}

void waiter_free(struct waiter *one)
{
	if (!one)
		return;
	job_drop(one->job);
	queue_file_done(&one->file);
	free(one);
}

void waiting_free(struct waiting *w)
{
	if (!w)
		return;
	while (w->queue.first) {
		struct waiter *one = waiter_of(w->queue.first);

		queue_drop(&w->queue, &one->item);
		waiter_free(one);
	}
	admission_done(&w->admission);
	pthread_cond_destroy(&w->news);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static const char *folder_of(const struct waiting *w)
{
	return w->host->settings->state_directory;
}

static void remove_file(const struct waiting *w, const char *job)
{
	struct error e;

	if (queue_file_remove(folder_of(w), job, &e) < 0)
		log_error("job %s: %s: a daemon that starts would queue it "
			  "again",
			  job, e.text);
}

/* --- counts */

static struct queue_load limits(const struct waiting *w)
{
	AUTO_SETTINGS struct settings *s = live_now(&w->host->live);

	return (struct queue_load){ .moves = s->move.max_moves,
				    .disk_moves = s->move.max_disk_moves };
}

/* Locked.  One in doubt copies nothing. */
static struct queue_load running(const struct waiting *w,
				 const struct queue_load *of, enum role role)
{
	struct queue_load runs = *of;
	unsigned doubts = jobs_doubtful(w->host->jobs, role);

	runs.moves -= doubts < runs.moves ? doubts : runs.moves;
	return runs;
}

static void count(struct queue_load *of, bool disks, int by)
{
	of->moves += (unsigned)by;
	if (disks)
		of->disk_moves += (unsigned)by;
}

/* Locked. */
static void kick(struct waiting *w)
{
	w->changed = true;
	pthread_cond_broadcast(&w->news);
}

/* Locked. */
static struct waiter *next(struct waiting *w)
{
	const struct queue_load most = limits(w);
	const struct queue_load runs = running(w, &w->out, ROLE_SOURCE);
	struct queue_item *it = NULL;

	if (!w->stopping)
		it = queue_next(&w->queue, &runs, &most, clock_us(), NULL);
	return it ? waiter_of(it) : NULL;
}

/* Locked. */
static struct waiter *next_for(struct waiting *w, const char *peer)
{
	const struct queue_load most = limits(w);
	const struct queue_load runs = running(w, &w->out, ROLE_SOURCE);
	struct queue_item *it = NULL;

	if (!w->stopping)
		it = queue_offered(&w->queue, &runs, &most, clock_us(), peer);
	return it ? waiter_of(it) : NULL;
}

/* Locked: @one leaves the queue, and counts. */
static void give_turn(struct waiting *w, struct waiter *one)
{
	queue_drop(&w->queue, &one->item);
	count(&w->out, one->item.disks, 1);
	job_set_started(one->job);
	kick(w);
}

/* --- where each stands */

static void say_why(struct job_queue *at, const struct queue_item *it,
		    unsigned most)
{
	if (it->why == QUEUE_FULL)
		snprintf(at->why, sizeof(at->why),
			 "host %.40s takes no more for now", it->peer);
	else if (it->why == QUEUE_HELD)
		snprintf(at->why, sizeof(at->why),
			 "somebody else holds the machine");
	else if (it->why == QUEUE_AWAY)
		snprintf(at->why, sizeof(at->why), "host %.40s is not reached",
			 it->peer);
	else
		snprintf(at->why, sizeof(at->why),
			 "%u moves leave this host at once", most);
}

/* Locked. */
static void tell_places(struct waiting *w)
{
	double left[RUNNING_MAX], *starts;
	struct queue_outlook o = { .left = left, .most = limits(w).moves };
	const uint64_t now_us = clock_wall_us();
	unsigned n = queue_count(&w->queue, NULL), place = 0;

	starts = calloc(n ? n : 1, sizeof(*starts));
	if (!starts)
		return;
	o.running = jobs_time_left(w->host->jobs, left, RUNNING_MAX, &o.each);
	queue_expect(&o, starts, n);
	for (struct queue_item *it = w->queue.first; it; it = it->next) {
		struct job_queue at = { .place = place + 1, .of = n };
		double s = starts[place++];

		say_why(&at, it, o.most);
		/* Of what the destination does nothing is known. */
		if (!isnan(s) && it->why != QUEUE_FULL && it->why != QUEUE_AWAY)
			at.expected_us =
				now_us + (uint64_t)(s * (double)USEC_PER_SEC);
		job_set_queue(waiter_of(it)->job, &at);
	}
	free(starts);
}

/* --- moves away */

/* Locked. */
static int check_entry(struct waiting *w, const struct waiter *one,
		       struct error *e)
{
	for (struct queue_item *it = w->queue.first; it; it = it->next)
		if (!strcmp(waiter_of(it)->file.machine, one->file.machine))
			return error_set(e, EBUSY,
					 "machine %s waits for its move to %s "
					 "already, as job %s: cancel that one "
					 "first with 'drover job cancel %s'",
					 one->file.machine, it->peer,
					 waiter_of(it)->job->id,
					 waiter_of(it)->job->id);
	if (queue_count(&w->queue, NULL) < WAITERS_MAX)
		return 0;
	return error_set(e, EBUSY,
			 "%s has %d moves that wait: try again when some of "
			 "them have gone",
			 w->host->settings->name, WAITERS_MAX);
}

/* Locked.  Nobody who waits may go before it, and it may go. */
static bool may_start(struct waiting *w, struct waiter *one)
{
	bool may;

	queue_add(&w->queue, &one->item);
	may = next(w) == one;
	queue_drop(&w->queue, &one->item);
	return may;
}

static int enter_locked(struct waiting *w, struct waiter *one, struct error *e)
{
	WITH_LOCK(&w->lock);

	if (check_entry(w, one, e) < 0)
		return error_code(e);
	one->item.rank.number = ++w->number;
	one->file.started = may_start(w, one);
	if (one->file.started) {
		count(&w->out, one->item.disks, 1);
		return 0;
	}
	/* It has a place, and does not start before its time. */
	queue_add(&w->queue, &one->item);
	one->item.reserved = true;
	return 0;
}

void waiting_wait(struct waiting *w, struct waiter *one)
{
	WITH_LOCK(&w->lock);

	/* One that was entered has its place. */
	if (one->item.reserved) {
		one->item.reserved = false;
	} else {
		one->item.rank.number = ++w->number;
		queue_add(&w->queue, &one->item);
	}
	one->waited = true;
	job_set_waiting(one->job);
	tell_places(w);
	kick(w);
}

static void give_back(struct waiting *w, struct waiter *one)
{
	WITH_LOCK(&w->lock);

	if (one->file.started)
		count(&w->out, one->item.disks, -1);
	else
		queue_drop(&w->queue, &one->item);
	kick(w);
}

int waiting_enter(struct waiting *w, struct waiter *one, bool *ret_starts,
		  struct error *e)
{
	if (enter_locked(w, one, e) < 0)
		return error_code(e);
	*ret_starts = one->file.started;
	if (queue_file_save(folder_of(w), &one->file, e) == 0)
		return 0;
	give_back(w, one);
	return error_code(e);
}

/* The file of one whose cancel has been asked for is not made again: under the
 * lock, which waiting_cancel() takes before it removes the file. */
static int save_started(struct waiting *w, struct waiter *one, struct error *e)
{
	WITH_LOCK(&w->lock);

	if (atomic_load(&one->job->cancel_asked))
		return error_set(e, ECANCELED, "cancelled");
	one->file.started = true;
	return queue_file_save(folder_of(w), &one->file, e);
}

/* That it has its turn is on disk before anything else is: whoever reads it
 * back knows that the destination may have heard of this job. */
static void start_one(struct waiting *w, struct waiter *one)
{
	struct error e;
	int r = save_started(w, one, &e);

	if (r == 0) {
		w->start(w->host, one);
		return;
	}
	job_settle(one->job, r, &e);
	waiting_end(w, one, r == -ECANCELED);
}

/* Locked.  Of this turn the destination has kept nothing: a restart is to let
 * it wait under its number.  Where a cancel was asked for, the file is gone or
 * stays as it is. */
static void save_waiting(struct waiting *w, struct waiter *one)
{
	struct error e;

	one->file.started = false;
	if (!atomic_load(&one->job->cancel_asked) &&
	    queue_file_save(folder_of(w), &one->file, &e) < 0)
		log_warning("job %s: %s: a restart would queue it again under "
			    "another number",
			    one->job->id, e.text);
}

bool waiting_again(struct waiting *w, struct waiter *one, enum queue_why why)
{
	WITH_LOCK(&w->lock);

	if (atomic_load(&one->job->cancel_asked) && !w->stopping)
		return false;
	save_waiting(w, one);
	count(&w->out, one->item.disks, -1);
	if (why == QUEUE_FULL)
		queue_was_full(&w->queue, &one->item, clock_us());
	else if (why == QUEUE_AWAY)
		queue_was_away(&w->queue, &one->item, clock_us());
	else
		queue_put_off(&one->item, why, clock_us() + HELD_US);
	one->waited = true;
	queue_add(&w->queue, &one->item);
	job_set_waiting(one->job);
	tell_places(w);
	kick(w);
	return true;
}

bool waiting_is_patient(struct waiting *w, struct waiter *one)
{
	WITH_LOCK(&w->lock);

	return one->waited &&
	       (one->item.away_since_us == 0 ||
		clock_us() - one->item.away_since_us < PATIENT_US);
}

void waiting_leave(struct waiting *w, struct waiter *one)
{
	WITH_LOCK(&w->lock);

	count(&w->out, one->item.disks, -1);
	kick(w);
}

void waiting_end(struct waiting *w, struct waiter *one, bool undone)
{
	bool stays;

	{
		WITH_LOCK(&w->lock);

		count(&w->out, one->item.disks, -1);
		stays = undone && w->stopping;
		if (job_state(one->job) == JOB_DONE)
			queue_is_heard(&w->queue, one->item.peer);
		kick(w);
	}
	if (!stays)
		remove_file(w, one->file.job);
	waiter_free(one);
}

/* Locked. */
static struct waiter *find_waiter(struct waiting *w, const char *job)
{
	struct queue_item *it = w->queue.first;

	while (it && strcmp(waiter_of(it)->job->id, job) != 0)
		it = it->next;
	return it ? waiter_of(it) : NULL;
}

/* Locked. */
static struct waiter *take_waiter(struct waiting *w, const char *job)
{
	struct waiter *one = find_waiter(w, job);

	if (!one)
		return NULL;
	queue_drop(&w->queue, &one->item);
	tell_places(w);
	kick(w);
	return one;
}

int waiting_set_priority(struct waiting *w, const char *job, unsigned priority,
			 struct error *e)
{
	struct waiter *one;

	WITH_LOCK(&w->lock);

	one = find_waiter(w, job);
	if (!one || atomic_load(&one->job->cancel_asked))
		return error_set(e, EBUSY,
				 "job %s does not wait any more: its priority "
				 "means nothing now",
				 job);
	one->file.priority = priority;
	/* Under the lock: nobody else writes that file meanwhile. */
	if (queue_file_save(folder_of(w), &one->file, e) < 0)
		return error_code(e);
	queue_drop(&w->queue, &one->item);
	one->item.rank.priority = priority;
	queue_add(&w->queue, &one->item);
	job_set_priority(one->job, priority);
	tell_places(w);
	kick(w);
	return 0;
}

void waiting_cancel(struct waiting *w, const char *job)
{
	struct waiter *one;

	{
		WITH_LOCK(&w->lock);

		one = take_waiter(w, job);
	}
	/* Nobody finds it, so nobody makes the file again. */
	remove_file(w, job);
	if (!one)
		return;
	job_finish(one->job, JOB_CANCELLED, "cancelled", NULL);
	waiter_free(one);
}

void waiting_offered(struct waiting *w, const char *peer, bool *ret_takes,
		     bool *ret_more)
{
	struct waiter *one;

	{
		WITH_LOCK(&w->lock);

		one = next_for(w, peer);
		if (one)
			give_turn(w, one);
		*ret_takes = one;
		*ret_more = queue_count(&w->queue, peer) > 0;
	}
	if (one)
		start_one(w, one);
}

void waiting_found(struct waiting *w)
{
	WITH_LOCK(&w->lock);

	count(&w->out, false, 1);
}

void waiting_found_ended(struct waiting *w)
{
	WITH_LOCK(&w->lock);

	count(&w->out, false, -1);
	kick(w);
}

/* --- moves that come */

/* Locked. */
static bool admit(struct waiting *w, const struct admission_ask *of)
{
	const struct queue_load most = limits(w);
	const struct queue_load runs = running(w, &w->in, ROLE_DESTINATION);

	if (!admission_asks(&w->admission, of, &runs, &most, clock_us()))
		return false;
	count(&w->in, of->disks, 1);
	/* With its place used, its host may be offered another one. */
	if (admission_waiting(&w->admission))
		kick(w);
	return true;
}

bool waiting_admits(struct waiting *w, const struct admission_ask *of,
		    struct session *s)
{
	const uint64_t deadline = clock_us() + HERE_US;
	struct error ignored;

	WITH_LOCK(&w->lock);

	for (;;) {
		if (admit(w, of))
			return true;
		if (of->waits || w->stopping || clock_us() >= deadline ||
		    session_check(s, &ignored) < 0)
			return false;
		const struct timespec turn =
			clock_timespec(clock_us() + TURN_US);

		pthread_cond_timedwait(&w->news, &w->lock, &turn);
	}
}

void waiting_counts(struct waiting *w)
{
	WITH_LOCK(&w->lock);

	count(&w->in, false, 1);
}

void waiting_left(struct waiting *w, bool disks)
{
	WITH_LOCK(&w->lock);

	count(&w->in, disks, -1);
	kick(w);
}

struct offer {
	struct waiting *waiting;
	char host[ADMISSION_NAME];
};

static void ask_host(const struct offer *o, bool *ret_takes, bool *ret_more)
{
	const struct message question = { .type = MESSAGE_OFFER };
	struct host *h = o->waiting->host;
	AUTO_TERMS struct terms t = terms_of(h);
	AUTO_MESSAGE struct message answer = { 0 };
	struct move_peer peer;
	struct error e;

	if (peer_of(&t, o->host, &peer, &e) < 0 ||
	    peer_ask(&t.host, &peer, &question, OFFER_US, &answer, &e) < 0 ||
	    peer_check_answer(&answer, MESSAGE_TAKEN, o->host, &e) < 0) {
		log_info("queue: a place for a move of host %s is not taken: "
			 "%s",
			 o->host, e.text);
		return;
	}
	*ret_takes = answer.taken.takes;
	*ret_more = answer.taken.more;
}

static void *offer_main(void *arg)
{
	struct offer *o = arg;
	struct waiting *w = o->waiting;
	bool takes = false, more = false;

	ask_host(o, &takes, &more);
	{
		WITH_LOCK(&w->lock);

		admission_answered(&w->admission, o->host, takes, more,
				   clock_us());
		kick(w);
	}
	free(o);
	return NULL;
}

/* --- the thread */

/* Locked. */
static struct offer *next_offer(struct waiting *w)
{
	const struct queue_load most = limits(w);
	const struct queue_load runs = running(w, &w->in, ROLE_DESTINATION);
	struct offer *o = w->stopping ? NULL : calloc(1, sizeof(*o));

	if (o &&
	    admission_offer(&w->admission, &runs, &most, clock_us(), o->host)) {
		o->waiting = w;
		return o;
	}
	free(o);
	return NULL;
}

static void make_offer(struct waiting *w, struct offer *o)
{
	struct error e;

	if (jobs_thread(w->host->jobs, "offer", offer_main, o, &e) < 0) {
		log_warning("queue: %s", e.text);
		free(o);
	}
}

/* All that may begin now. */
static void turn(struct waiting *w)
{
	for (;;) {
		struct waiter *one;
		struct offer *o;

		{
			WITH_LOCK(&w->lock);

			one = next(w);
			if (one)
				give_turn(w, one);
			o = next_offer(w);
			if (!one && !o)
				tell_places(w);
		}
		if (one)
			start_one(w, one);
		if (o)
			make_offer(w, o);
		if (!one && !o)
			return;
	}
}

/* A move that turns doubtful, or has less left, tells nobody. */
static uint64_t wake_us(const struct waiting *w)
{
	const uint64_t now_us = clock_us();
	uint64_t due = queue_due(&w->queue);
	const uint64_t kept = admission_due(&w->admission);

	if (kept < due)
		due = kept;
	if ((w->queue.first || admission_waiting(&w->admission)) &&
	    (due <= now_us || due > now_us + TURN_US))
		due = now_us + TURN_US;
	return due;
}

static bool sleep_until_news(struct waiting *w)
{
	WITH_LOCK(&w->lock);

	while (!w->changed && !w->stopping) {
		const uint64_t due = wake_us(w);

		if (due == USEC_NEVER) {
			pthread_cond_wait(&w->news, &w->lock);
			continue;
		}
		const struct timespec until = clock_timespec(due);

		if (pthread_cond_timedwait(&w->news, &w->lock, &until))
			break;
	}
	w->changed = false;
	return !w->stopping;
}

static void *waiting_main(void *arg)
{
	struct waiting *w = arg;

	do
		turn(w);
	while (sleep_until_news(w));
	return NULL;
}

int waiting_start(struct waiting *w, struct error *e)
{
	int r = thread_create(&w->thread, "queue", waiting_main, w);

	return r == 0 ? 0 : error_set(e, r, "no thread for the queue");
}

void waiting_stop(struct waiting *w)
{
	{
		WITH_LOCK(&w->lock);

		w->stopping = true;
		kick(w);
	}
	pthread_join(w->thread, NULL);
}
