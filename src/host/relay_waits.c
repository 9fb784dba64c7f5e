/* SPDX-License-Identifier: MIT */
#include "host/relay_waits.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "move/job.h"

struct relay_waits {
	pthread_mutex_t lock; /* guards what follows */
	struct relay_wait *first;
};

struct relay_waits *relay_waits_new(void)
{
	struct relay_waits *all = calloc(1, sizeof(*all));

	if (all)
		pthread_mutex_init(&all->lock, NULL);
	return all;
}

void relay_waits_free(struct relay_waits *all)
{
	if (!all)
		return;
	while (all->first) {
		struct relay_wait *w = all->first;

		all->first = w->next;
		relay_wait_free(w);
	}
	pthread_mutex_destroy(&all->lock);
	free(all);
}

void relay_wait_free(struct relay_wait *w)
{
	job_drop(w->job);
	free(w);
}

int relay_waits_add(struct relay_waits *all, struct relay_wait *w,
		    struct error *e)
{
	WITH_LOCK(&all->lock);

	for (const struct relay_wait *o = all->first; o; o = o->next)
		if (!strcmp(o->name, w->name))
			return error_set(e, EEXIST,
					 "a relay called %s waits already: "
					 "cancel job %s, or use another name",
					 w->name, o->job->id);
	w->next = all->first;
	all->first = w;
	return 0;
}

struct relay_wait *relay_waits_take(struct relay_waits *all, const char *name,
				    const struct job *job)
{
	WITH_LOCK(&all->lock);

	for (struct relay_wait **p = &all->first; *p; p = &(*p)->next) {
		struct relay_wait *w = *p;

		if (strcmp(w->name, name) != 0 || (job && w->job != job))
			continue;
		*p = w->next;
		return w;
	}
	return NULL;
}

bool relay_waits_has(struct relay_waits *all, const struct job *job)
{
	WITH_LOCK(&all->lock);

	for (const struct relay_wait *w = all->first; w; w = w->next)
		if (w->job == job)
			return true;
	return false;
}
