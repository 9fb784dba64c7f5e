/* SPDX-License-Identifier: MIT */
#include "host/places.h"

#include <stddef.h>
#include <string.h>

#include "base/scope.h"
#include "channel/channel.h"

void places_init(struct places *p)
{
	*p = (struct places){ 0 };
	pthread_mutex_init(&p->lock, NULL);
}

void places_done(struct places *p)
{
	pthread_mutex_destroy(&p->lock);
}

/* Where the pointer to @one stands; its end when it is not in the list. */
static struct place **find(struct places *p, const struct place *one)
{
	struct place **at = &p->first;

	while (*at && *at != one)
		at = &(*at)->next;
	return at;
}

static bool same_peer(const struct place *a, const struct place *b)
{
	return a->peer && b->peer && !strcmp(a->peer, b->peer);
}

/* Places that are taken: of the kind of @one, and of its peer. */
struct taken {
	unsigned all, own;
};

static struct taken count(const struct places *p, const struct place *one)
{
	struct taken n = { 0 };

	for (const struct place *o = p->first; o; o = o->next) {
		n.all += o->known == one->known;
		n.own += same_peer(o, one);
	}
	return n;
}

static unsigned most(const struct place *one)
{
	return one->known ? PLACES_KNOWN : PLACES_UNKNOWN;
}

static bool is_room(struct taken n, const struct place *one)
{
	if (n.own >= PLACES_PEER)
		return false;
	return n.all < most(one) || (one->peer && n.own < PLACES_PEER_KEPT);
}

/* The thread of a connection that gives its place up needs a moment to end, so
 * for that moment there are more than there should be, up to twice as many. */
static bool make_room(struct places *p, struct taken n, const struct place *one,
		      uint64_t now_us)
{
	if (n.all >= 2 * most(one) ||
	    now_us - p->given_up_us < PLACES_GIVEN_UP_US)
		return false;
	for (struct place *o = p->first; o; o = o->next) {
		if (o->greeted || o->given_up || o->known != one->known ||
		    (n.own >= PLACES_PEER && !same_peer(o, one)))
			continue;
		p->given_up_us = now_us;
		o->given_up = true;
		o->channel->kind->shutdown(o->channel);
		return true;
	}
	return false;
}

bool places_take(struct places *p, struct place *one, uint64_t now_us)
{
	struct taken n;

	WITH_LOCK(&p->lock);

	n = count(p, one);
	if (!is_room(n, one) && !make_room(p, n, one, now_us))
		return false;
	one->greeted = one->given_up = false;
	one->next = NULL;
	*find(p, NULL) = one;
	return true;
}

void places_greeted(struct places *p, struct place *one)
{
	WITH_LOCK(&p->lock);

	one->greeted = true;
}

void places_leave(struct places *p, struct place *one)
{
	struct place **at;

	WITH_LOCK(&p->lock);

	at = find(p, one);
	if (*at)
		*at = one->next;
}
