/* SPDX-License-Identifier: MIT */

/*
 * One thread waits for news of links and addresses.  Whatever there is when it
 * looks is one change: it reads the cards anew, puts them in the place of the
 * old ones, and calls the listeners one after the other, without the lock.
 *
 * Listeners come and go meanwhile, so the thread keeps under the lock which one
 * it calls and which one is next.  Who leaves moves the second out of the way
 * and waits for the first.  Who comes while others are called is not called for
 * this change: it already sees the new state.
 *
 * Where the cards cannot be read (no memory, no descriptors) the last state
 * stays, and it is tried again every RETRY_US.
 */
#include "nic/watch.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "nic/address.h"
#include "nic/events.h"
#include "nic/scan.h"

enum { RATES_MAX = 256 };
#define RETRY_US (500 * USEC_PER_MS)

struct rate {
	struct nic_address from, to;
	uint64_t bytes_per_s;
	uint64_t told; /* the watch's count when it was last told of */
};

struct nic_watch {
	/* Set before the thread starts. */
	int stop_fd;
	pthread_t thread;

	/* The thread's. */
	struct nic_events *events;
	bool behind; /* the cards may have changed since they were read */
	bool told;   /* a failure is logged once, until it is over */

	/* Under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t called; /* changed() has returned */
	struct inventory *now;
	struct nic_listener *listeners, *calling, *next;
	struct rate rate[RATES_MAX];
	size_t rates;
	uint64_t told_count;
};

/* --- the thread */

static void call_listeners(struct nic_watch *w)
{
	pthread_mutex_lock(&w->lock);
	w->next = w->listeners;
	while ((w->calling = w->next)) {
		struct nic_listener *l = w->calling;

		w->next = l->next;
		pthread_mutex_unlock(&w->lock);
		l->changed(l->context);
		pthread_mutex_lock(&w->lock);
		w->calling = NULL;
		pthread_cond_broadcast(&w->called);
	}
	pthread_mutex_unlock(&w->lock);
}

static void replace(struct nic_watch *w, struct inventory *fresh)
{
	struct inventory *old;

	{
		WITH_LOCK(&w->lock);

		old = w->now;
		w->now = fresh;
	}
	inventory_drop(old);
}

static int take_news(struct nic_watch *w, struct error *e)
{
	struct inventory *fresh;
	unsigned changes = 0;

	if (nic_events_read(w->events, &changes, e) < 0) {
		w->behind = true;
		return error_code(e);
	}
	if (changes)
		w->behind = true;
	if (!w->behind)
		return 0;
	if (nic_scan(&fresh, e) < 0)
		return error_code(e);
	w->behind = false;
	replace(w, fresh);
	call_listeners(w);
	return 0;
}

static void log_failure(struct nic_watch *w, int r, const struct error *e)
{
	if (r < 0 && !w->told)
		log_warning("the network cards are not followed: %s", e->text);
	w->told = r < 0;
}

static void *watch_main(void *arg)
{
	struct nic_watch *w = arg;
	struct pollfd p[] = {
		{ .fd = w->stop_fd, .events = POLLIN },
		{ .fd = nic_events_fd(w->events), .events = POLLIN },
	};
	uint64_t until = USEC_NEVER;

	for (;;) {
		/* After a failure the descriptor may stay readable: then only
		 * the end and the time count. */
		const nfds_t n = until == USEC_NEVER ? 2 : 1;
		struct error e;
		int r;

		r = poll(p, n, clock_poll_ms(until));
		if (p[0].revents)
			return NULL;
		if (r < 0 && errno != EINTR)
			until = clock_us() + RETRY_US;
		if (r < 0)
			continue;
		r = take_news(w, &e);
		log_failure(w, r, &e);
		until = r < 0 ? clock_us() + RETRY_US : USEC_NEVER;
	}
}

/* --- everybody else */

static void release(struct nic_watch *w)
{
	inventory_drop(w->now);
	nic_events_close(w->events);
	scope_close(&w->stop_fd);
	pthread_cond_destroy(&w->called);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void drop_unstarted(struct nic_watch **w)
{
	if (*w)
		release(*w);
}

int nic_watch_new(struct nic_watch **ret, struct error *e)
{
	SCOPED(drop_unstarted) struct nic_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_set(e, ENOMEM, "no memory to watch the cards");
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->called, NULL);
	w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->stop_fd < 0)
		return error_sys(e, "watch the network cards: eventfd");
	/* In this order, so that nothing falls between the two. */
	if (nic_events_open(&w->events, e) < 0 || nic_scan(&w->now, e) < 0)
		return error_in(e, "watch the network cards");
	r = thread_create(&w->thread, "nic watch", watch_main, w);
	if (r)
		return error_set(e, r, "watch the network cards: thread: %s",
				 strerrordesc_np(r));
	*ret = take_ptr(&w);
	return 0;
}

void nic_watch_free(struct nic_watch *w)
{
	if (!w)
		return;
	assert(!w->listeners);
	eventfd_write(w->stop_fd, 1);
	pthread_join(w->thread, NULL);
	release(w);
}

void nic_watch_listen(struct nic_watch *w, struct nic_listener *l)
{
	WITH_LOCK(&w->lock);

	l->next = w->listeners;
	w->listeners = l;
}

void nic_watch_leave(struct nic_watch *w, struct nic_listener *l)
{
	WITH_LOCK(&w->lock);
	struct nic_listener **at = &w->listeners;

	while (*at && *at != l)
		at = &(*at)->next;
	assert(*at);
	*at = l->next;
	if (w->next == l)
		w->next = l->next;
	while (w->calling == l)
		pthread_cond_wait(&w->called, &w->lock);
}

struct inventory *nic_watch_get(struct nic_watch *w)
{
	WITH_LOCK(&w->lock);

	return inventory_hold(w->now);
}

/* --- what was delivered */

static struct rate *find_rate(struct nic_watch *w,
			      const struct nic_address *from,
			      const struct nic_address *to)
{
	for (size_t i = 0; i < w->rates; i++)
		if (nic_address_equal(&w->rate[i].from, from) &&
		    nic_address_equal(&w->rate[i].to, to))
			return &w->rate[i];
	return NULL;
}

/* A new one, or the one that was not told of for the longest time. */
static struct rate *free_rate(struct nic_watch *w)
{
	struct rate *oldest = &w->rate[0];

	if (w->rates < RATES_MAX)
		return &w->rate[w->rates++];
	for (size_t i = 1; i < w->rates; i++)
		if (w->rate[i].told < oldest->told)
			oldest = &w->rate[i];
	return oldest;
}

void nic_watch_delivered(struct nic_watch *w, const struct nic_address *from,
			 const struct nic_address *to, uint64_t rate)
{
	WITH_LOCK(&w->lock);
	struct rate *r = find_rate(w, from, to);
	uint64_t slower;

	if (!r) {
		r = free_rate(w);
		*r = (struct rate){ .from = *from, .to = *to };
	}
	/* A lull says little about the cards; a lasting one does. */
	slower = r->bytes_per_s - r->bytes_per_s / 8 + rate / 8;
	r->bytes_per_s = rate > slower ? rate : slower;
	r->told = ++w->told_count;
}

uint64_t nic_watch_rate(struct nic_watch *w, const struct nic_address *from,
			const struct nic_address *to)
{
	WITH_LOCK(&w->lock);
	const struct rate *r = find_rate(w, from, to);

	return r ? r->bytes_per_s : 0;
}
