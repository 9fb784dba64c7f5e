/* SPDX-License-Identifier: MIT */
#include "session/life.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"

int life_init(struct life *l, uint64_t outage_limit_us, struct error *e)
{
	*l = (struct life){ .outage_limit_us = outage_limit_us };
	l->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->end_fd < 0)
		return error_sys(e, "eventfd");
	pthread_mutex_init(&l->lock, NULL);
	clock_cond_init(&l->changed);
	return 0;
}

void life_done(struct life *l)
{
	close(l->end_fd);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
}

static void wake(struct life *l)
{
	l->woken = true;
	pthread_cond_signal(&l->changed);
}

bool life_end(struct life *l, bool failed, const char *why)
{
	WITH_LOCK(&l->lock);

	if (l->ended)
		return false;
	l->ended = true;
	l->ended_us = clock_us();
	l->failed = failed;
	snprintf(l->why, sizeof(l->why), "%s", why);
	eventfd_write(l->end_fd, 1);
	wake(l);
	return true;
}

int life_check(struct life *l, struct error *e)
{
	WITH_LOCK(&l->lock);

	if (!l->ended)
		return 0;
	return error_set(e, ECONNABORTED, "%s", l->why);
}

bool life_failed(struct life *l)
{
	WITH_LOCK(&l->lock);

	return l->ended && l->failed;
}

void life_set_outage_limit(struct life *l, uint64_t us)
{
	WITH_LOCK(&l->lock);

	l->outage_limit_us = us;
	wake(l);
}

void life_wake(struct life *l)
{
	WITH_LOCK(&l->lock);

	wake(l);
}

void life_stop(struct life *l)
{
	WITH_LOCK(&l->lock);

	l->stopping = true;
	wake(l);
}

struct life_now life_wait(struct life *l, uint64_t deadline_us)
{
	const struct timespec t = clock_timespec(deadline_us);
	int r = 0;

	WITH_LOCK(&l->lock);

	while (!l->woken && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&l->changed, &l->lock, &t);
	l->woken = false;
	return (struct life_now){ .ended = l->ended,
				  .stopping = l->stopping,
				  .ended_us = l->ended_us,
				  .outage_limit_us = l->outage_limit_us };
}
