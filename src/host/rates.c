/* SPDX-License-Identifier: MIT */
#include "host/rates.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"

enum { PEERS_MAX = 256 }; /* whose names are remembered */

/* A host asks for the list every ten minutes and tells it when it has changed,
 * which it has once for each host that joins. */
static const struct rate limits[MESSAGE_TYPES] = {
	[MESSAGE_MEMBERS] = { 30, 5 * USEC_PER_SEC },
	[MESSAGE_RENEW] = { 10, 600 * USEC_PER_SEC },
};

struct used {
	char peer[64];
	uint64_t full_us[MESSAGE_TYPES];
};

struct rates {
	pthread_mutex_t lock; /* guards what follows */
	struct used at[PEERS_MAX];
	unsigned count, next; /* @next is given up for another peer */
};

bool rate_take(const struct rate *r, uint64_t *full_us, uint64_t now_us,
	       uint64_t *ret_wait_us)
{
	const uint64_t from_us = *full_us > now_us ? *full_us : now_us;
	const uint64_t room_us = (r->most - 1) * r->each_us;

	if (from_us - now_us > room_us) {
		*ret_wait_us = from_us - now_us - room_us;
		return false;
	}
	*full_us = from_us + r->each_us;
	return true;
}

struct rates *rates_new(void)
{
	struct rates *all = calloc(1, sizeof(*all));

	if (all)
		pthread_mutex_init(&all->lock, NULL);
	return all;
}

void rates_free(struct rates *all)
{
	if (!all)
		return;
	pthread_mutex_destroy(&all->lock);
	free(all);
}

/* Peers that are not in the settings do not come this far. */
static struct used *find(struct rates *all, const char *peer)
{
	struct used *u;

	for (unsigned i = 0; i < all->count; i++)
		if (!strcmp(all->at[i].peer, peer))
			return &all->at[i];
	if (all->count < PEERS_MAX) {
		u = &all->at[all->count++];
	} else {
		u = &all->at[all->next];
		all->next = (all->next + 1) % PEERS_MAX;
	}
	*u = (struct used){ .peer = "" };
	snprintf(u->peer, sizeof(u->peer), "%s", peer);
	return u;
}

int rates_take(struct rates *all, const char *peer, enum message_type what,
	       struct error *e)
{
	const struct rate *r = &limits[what];
	uint64_t wait_us;

	if (r->most == 0)
		return 0;
	WITH_LOCK(&all->lock);

	if (rate_take(r, &find(all, peer)->full_us[what], clock_us(), &wait_us))
		return 0;
	return error_set(e, EBUSY,
			 "host %s asks for '%s' too often: it may again in "
			 "%llu s",
			 peer, message_name(what),
			 (unsigned long long)(wait_us / USEC_PER_SEC) + 1);
}
