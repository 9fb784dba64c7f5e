/* SPDX-License-Identifier: MIT */
#include "host/hosts.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/thread.h"
#include "host/facts.h"
#include "host/host.h"
#include "host/parts.h"

#define FRESH_US (3 * USEC_PER_SEC) /* nobody is asked again before */
#define OLD_US (15 * USEC_PER_SEC)

struct hosts {
	struct host *host;
	pthread_mutex_t lock; /* guards what follows */
	pthread_t thread;     /* while @started; joined by the next who starts
			       * one, or hosts_stop() */
	bool started, asking, stopped;
	uint64_t asked_us;    /* clock_us(); when it had its answers */
	struct hosts_one *at; /* this host is the first */
	size_t count;
};

struct hosts *hosts_new(struct host *h)
{
	struct hosts *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->host = h;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void hosts_free(struct hosts *s)
{
	if (!s)
		return;
	free(s->at);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const struct hosts_one *find(const struct hosts *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->at[i].name, name))
			return &s->at[i];
	return NULL;
}

/* What it told before stays where it does not tell now. */
static struct hosts_one take(const struct hosts *s, const struct facts_of *f)
{
	const struct hosts_one *before = find(s, f->name);
	struct hosts_one one = { .here = false };

	if (f->known) {
		one.seen_us = clock_wall_us();
		one.cpus = f->facts.cpus;
		one.load = f->facts.load;
		one.running = (unsigned)f->facts.n_machines;
		one.memory = (struct host_memory_view){
			f->facts.total_bytes,
			f->facts.memory_bytes,
		};
		snprintf(one.closed, sizeof(one.closed), "%s", f->facts.closed);
	} else {
		if (before)
			one = *before;
		snprintf(one.why, sizeof(one.why), "%.239s", f->why.text);
	}
	snprintf(one.name, sizeof(one.name), "%s", f->name);
	return one;
}

static void keep(struct hosts *s, const struct facts_all *all)
{
	struct hosts_one *at = calloc(all->count + 1, sizeof(*at));

	if (!at)
		return; /* what is known stays, and grows old */
	for (size_t i = 0; i < all->count; i++) {
		at[i] = take(s, &all->at[i]);
		at[i].here = i == 0;
	}
	free(s->at);
	s->at = at;
	s->count = all->count;
}

static void *ask_main(void *arg)
{
	struct hosts *s = arg;
	struct facts_all all = { 0 };
	struct error ignored;
	int r = facts_gather(s->host, &all, &ignored);

	WITH_LOCK(&s->lock);

	if (r == 0)
		keep(s, &all);
	facts_all_done(&all);
	s->asked_us = clock_us();
	s->asking = false;
	return NULL;
}

/* Locked.  A thread that no longer asks takes the lock no more. */
static void start_asking(struct hosts *s)
{
	if (s->asking || s->stopped ||
	    (s->asked_us && clock_us() - s->asked_us < FRESH_US))
		return;
	if (s->started)
		pthread_join(s->thread, NULL);
	s->started = s->asking =
		thread_create(&s->thread, "hosts", ask_main, s) == 0;
}

void hosts_stop(struct hosts *s)
{
	bool started;

	pthread_mutex_lock(&s->lock);
	s->stopped = true;
	started = s->started;
	s->started = false;
	pthread_mutex_unlock(&s->lock);
	if (started)
		pthread_join(s->thread, NULL);
}

int host_hosts(struct host *h, struct hosts_all *ret, struct error *e)
{
	struct hosts *s = h->hosts;

	WITH_LOCK(&s->lock);

	start_asking(s);
	*ret = (struct hosts_all){ .asking = s->asking };
	ret->at = calloc(s->count + 1, sizeof(*ret->at));
	if (!ret->at)
		return error_set(e, ENOMEM, "no memory for the hosts");
	ret->count = s->count;
	for (size_t i = 0; i < s->count; i++) {
		ret->at[i] = s->at[i];
		ret->at[i].old = s->at[i].why[0] ||
				 clock_wall_us() > s->at[i].seen_us + OLD_US;
	}
	return 0;
}
