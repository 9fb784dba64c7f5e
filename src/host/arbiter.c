/* SPDX-License-Identifier: MIT */
#include "host/arbiter.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "frames/outbox.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/seats.h"
#include "nic/counters.h"
#include "nic/watch.h"
#include "session/session.h"

enum { COUNTERS_MAX = 256 }; /* cards that are counted */

struct arbiter {
	struct host *host;
	pthread_t thread;
	bool runs; /* [move] arbitration */

	/* the thread's */
	struct counters *counters; /* NULL: others' traffic is not known */
	struct seats out, in;      /* moves that leave, and that come */
	unsigned jobs;
	struct job *job[SHARES_MOVES];
	int seat[SHARES_MOVES]; /* of each; -1: none */
};

struct arbiter *arbiter_new(struct host *h)
{
	struct arbiter *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->host = h;
	a->in.in = true;
	return a;
}

void arbiter_free(struct arbiter *a)
{
	if (a)
		counters_close(a->counters);
	free(a);
}

/* --- a turn */

/* For one job, under its lock. */
struct turn {
	struct arbiter *arbiter;
	const struct inventory *cards;
	unsigned i;
};

static struct seats *seats_for(struct arbiter *a, const struct job *j)
{
	return j->role == ROLE_SOURCE ? &a->out : &a->in;
}

static void look(void *context, struct session *s,
		 const struct job_share *share)
{
	struct turn *t = context;
	struct arbiter *a = t->arbiter;
	const struct job *j = a->job[t->i];
	struct message_busy busy[SESSION_BUSY_MAX];
	const struct seat_view v = {
		.job = j->id,
		.lanes = session_lanes(s),
		.waited_us = outbox_waited_us(session_outbox(s)),
		.share = share,
		.cards = t->cards,
		.busy_count = session_busy(s, busy),
		.busy = busy,
	};

	a->seat[t->i] = seats_look(seats_for(a, j), &v);
}

static void tell(struct arbiter *a, int seat, struct session *s)
{
	struct message m = { .type = MESSAGE_BUSY };
	struct error ignored;

	if (!session_peer_can(s, CAN_BUSY))
		return;
	for (unsigned c = 0; c < a->in.shares.cards; c++)
		if (seats_tell(&a->in, seat, c, &m.busy))
			session_send(s, &m, &ignored);
}

static void act(void *context, struct session *s, const struct job_share *share)
{
	struct turn *t = context;
	struct arbiter *a = t->arbiter;
	const int seat = a->seat[t->i];

	(void)share;
	if (seat < 0)
		return;
	if (a->job[t->i]->role == ROLE_SOURCE)
		seats_pace(&a->out, seat, session_lanes(s));
	else
		tell(a, seat, s);
}

static void count_cards(struct arbiter *a)
{
	struct counter all[COUNTERS_MAX];
	struct error ignored;
	int n;

	if (!a->counters)
		return;
	n = counters_read(a->counters, all, COUNTERS_MAX, &ignored);
	if (n < 0)
		return;
	seats_count(&a->out, all, (unsigned)n);
	seats_count(&a->in, all, (unsigned)n);
}

static void begin(struct arbiter *a, const struct settings *now)
{
	const uint64_t now_us = clock_us();

	a->jobs = jobs_hold_running(a->host->jobs, a->job, SHARES_MOVES);
	seats_begin(&a->out, now_us);
	seats_begin(&a->in, now_us);
	a->out.networks = a->in.networks = &now->named_networks;
	a->out.shares.ceiling = now->move.total_limit;
}

/* False: there is nobody to share with. */
static bool take_turn(struct arbiter *a)
{
	AUTO_INVENTORY struct inventory *cards = nic_watch_get(a->host->nics);
	AUTO_SETTINGS struct settings *now = live_now(&a->host->live);
	struct turn t = { .arbiter = a, .cards = cards };

	begin(a, now);
	for (t.i = 0; t.i < a->jobs; t.i++) {
		a->seat[t.i] = -1;
		job_look(a->job[t.i], look, &t);
	}
	count_cards(a);
	seats_end(&a->out);
	seats_end(&a->in);
	shares_next(&a->out.shares);
	for (t.i = 0; t.i < a->jobs; t.i++) {
		job_look(a->job[t.i], act, &t);
		job_drop(a->job[t.i]);
	}
	return a->jobs > 0;
}

/* --- the thread */

static void *arbiter_main(void *arg)
{
	struct arbiter *a = arg;
	struct pollfd p[] = { { .fd = a->host->stop_fd, .events = POLLIN },
			      { .fd = jobs_news_fd(a->host->jobs),
				.events = POLLIN } };
	bool busy = false;
	eventfd_t ignored;

	for (;;) {
		poll(p, 2, busy ? SHARES_TICK_US / 1000 : -1);
		if (p[0].revents)
			return NULL;
		if (p[1].revents)
			eventfd_read(p[1].fd, &ignored);
		busy = take_turn(a);
	}
}

int arbiter_start(struct arbiter *a, struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&a->host->live);
	struct error why;
	int r;

	if (!now->move.arbitration)
		return 0;
	if (counters_open(&a->counters, &why) < 0)
		log_warning("nobody is given way to: %s", why.text);
	r = thread_create(&a->thread, "shares", arbiter_main, a);

	a->runs = r == 0;
	return r == 0 ? 0 : error_set(e, r, "no thread for the moves' shares");
}

void arbiter_stop(struct arbiter *a)
{
	if (a->runs)
		pthread_join(a->thread, NULL);
}
