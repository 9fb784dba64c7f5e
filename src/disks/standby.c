/* SPDX-License-Identifier: MIT */
#include "disks/standby.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "disks/server.h"
#include "session/session.h"

enum {
	TURN_US = 100000,
	RESUME_US = 300000, /* for one resume to show what came of it */
	RESUMES_MOST = 10,
};

struct disk_standby {
	/* set before the thread starts */
	struct session *session;
	struct disk_server *const *servers;
	size_t count;
	pthread_t thread;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping, guest_stands, rests;
};

/* Locked. */
static void set_rest(struct disk_standby *s, bool rests)
{
	if (rests == s->rests)
		return;
	s->rests = rests;
	log_info("disks to %s: %s", session_peer(s->session),
		 rests ? "no path, the guest writes on without the copy"
		       : "the copy goes on");
	for (size_t i = 0; i < s->count; i++)
		disk_server_rest(s->servers[i], rests);
}

static void *watch_main(void *arg)
{
	struct disk_standby *s = arg;
	struct session_stats now;

	WITH_LOCK(&s->lock);

	while (!s->stopping) {
		const struct timespec turn =
			clock_timespec(clock_us() + TURN_US);

		session_stats(s->session, &now);
		set_rest(s, now.outage && !s->guest_stands);
		pthread_cond_timedwait(&s->changed, &s->lock, &turn);
	}
	return NULL;
}

int standby_new(struct disk_standby **ret, struct session *s,
		struct disk_server *const *servers, size_t count,
		struct error *e)
{
	struct disk_standby *new = calloc(1, sizeof(*new));
	int r;

	if (!new)
		return error_set(e, ENOMEM, "no memory for disks");
	new->session = s;
	new->servers = servers;
	new->count = count;
	pthread_mutex_init(&new->lock, NULL);
	clock_cond_init(&new->changed);
	r = thread_create(&new->thread, "disk standby", watch_main, new);
	if (r == 0) {
		*ret = new;
		return 0;
	}
	pthread_cond_destroy(&new->changed);
	pthread_mutex_destroy(&new->lock);
	free(new);
	return error_set(e, r, "no thread for disks");
}

void standby_guest_stands(struct disk_standby *s)
{
	WITH_LOCK(&s->lock);

	s->guest_stands = true;
	set_rest(s, false);
}

bool standby_rests(struct disk_standby *s)
{
	WITH_LOCK(&s->lock);

	return s->rests;
}

void standby_free(struct disk_standby *s)
{
	if (!s)
		return;
	{
		WITH_LOCK(&s->lock);

		s->stopping = true;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* --- a job that stands */

enum standby_act standby_act(struct standby_job *j, uint64_t now_us, bool rests)
{
	j->stood = true;
	if (rests) {
		j->tries = 0;
		return STANDBY_WAIT;
	}
	if (now_us < j->next_us)
		return STANDBY_WAIT;
	if (j->tries == RESUMES_MOST)
		return STANDBY_GIVE_UP;
	j->tries++;
	j->next_us = now_us + RESUME_US;
	return STANDBY_RESUME;
}

bool standby_in_step(struct standby_job *j, uint64_t now_us, uint64_t left,
		     uint64_t in_flight)
{
	if (j->stood && (left > in_flight || now_us < j->next_us))
		return false;
	j->tries = 0;
	j->stood = j->stood && left > 0;
	return true;
}
