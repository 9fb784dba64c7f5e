/* SPDX-License-Identifier: MIT */
#include "paths/path_set.h"

#include <stdlib.h>

#include "base/clock.h"
#include "nic/cards.h"

enum {
	REDIAL_LEAST_US = 200000,
	REDIAL_MOST_US = 5000000,
};

struct path_set *path_set_new(void)
{
	struct path_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	pthread_mutex_init(&set->lock, NULL);
	clock_cond_init(&set->changed);
	set->opened_us = clock_us();
	return set;
}

void path_set_free(struct path_set *set)
{
	for (char **a = set->addresses; a && *a; a++)
		free(*a);
	free(set->addresses);
	for (unsigned i = 0; i < set->paths; i++) {
		free(set->path[i]->gone);
		free(set->path[i]);
	}
	free(set->plan);
	cards_free(set->far_cards);
	pthread_cond_destroy(&set->changed);
	pthread_mutex_destroy(&set->lock);
	free(set);
}

struct path *path_set_add(struct path_set *set)
{
	struct path *p;

	if (set->paths == PATHS_MAX)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->set = set;
	set->path[set->paths++] = p;
	p->number = set->paths;
	return p;
}

void path_set_drop_last(struct path_set *set)
{
	struct path *p = set->path[--set->paths];

	free(p->gone);
	free(p);
}

const char *path_name(const struct path *p)
{
	return p->given ? "the given addresses" : p->near;
}

void path_set_wake(struct path_set *set)
{
	pthread_cond_broadcast(&set->changed);
}

void path_retry(struct path *p)
{
	p->next_us = p->pause_us = p->failures = 0;
	path_set_wake(p->set);
}

void path_pause(struct path *p)
{
	p->pause_us = p->pause_us ? p->pause_us * 2 : REDIAL_LEAST_US;
	if (p->pause_us > REDIAL_MOST_US)
		p->pause_us = REDIAL_MOST_US;
	p->next_us = clock_us() + p->pause_us;
}
