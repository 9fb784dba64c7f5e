/* SPDX-License-Identifier: MIT */

/*
 * What each side tells the other of its cards, as CARDS frames: the whole list
 * each time, under a generation that rises.  Every channel's writer sends it
 * when it starts and whenever the generation has changed, so it arrives if
 * anything does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "nic/address.h"
#include "nic/cards.h"
#include "session/internal.h"

static void publish(struct session *s, char *text)
{
	if (!text)
		return;

	WITH_LOCK(&s->lock);

	if (s->cards_text && !strcmp(s->cards_text, text)) {
		free(text);
		return;
	}
	free(s->cards_text);
	s->cards_text = text;
	atomic_fetch_add(&s->cards_generation, 1);
}

/* A channel over a card that is down would only notice in a second. */
static void drop_dead(struct session *s, const struct inventory *inv)
{
	WITH_LOCK(&s->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++) {
		struct carrier *c = &s->carrier[i];
		const struct nic *n;
		char why[NIC_REASON];

		if (c->state != CARRIER_ALIVE || c->channel->local.family == 0)
			continue;
		n = inventory_by_address(inv, c->channel->local.family,
					 c->channel->local.bytes);
		/* Addresses that no peer may be told of are not listed. */
		if (n ? n->up && n->carrier
		      : !nic_address_is_host(&c->channel->local))
			continue;
		if (n)
			snprintf(why, sizeof(why), "%s %s", n->name,
				 n->up ? "has no carrier" : "is down");
		else
			snprintf(why, sizeof(why),
				 "no card has the address of %s any more",
				 c->channel->from);
		carrier_drop(c, why);
	}
}

void cards_refresh(struct session *s)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(s->watch);
	struct cards *cards = NULL;
	struct error e;
	json_t *j;

	drop_dead(s, inv);
	if (cards_of(&cards, inv, &s->networks, &e) < 0) {
		log_warning("session with %s: %s", s->peer, e.text);
	} else {
		j = cards_json(cards);
		publish(s, json_dumps(j, JSON_COMPACT));
		json_decref(j);
	}
	cards_free(cards);
}

int cards_send_text(struct session *s, uint64_t *ret_generation, char **ret,
		    struct error *e)
{
	WITH_LOCK(&s->lock);

	*ret_generation = atomic_load(&s->cards_generation);
	*ret = strdup(s->cards_text);
	return *ret ? 0 : error_set(e, ENOMEM, "no memory for a list of cards");
}

int cards_received(struct session *s, uint64_t generation, const void *text,
		   size_t len, struct error *e)
{
	struct cards *cards;
	json_t *j = json_loadb(text, len, 0, NULL);
	int r;

	if (!j)
		return error_set(e, EBADMSG, "a list of cards that is no JSON");
	r = cards_parse(&cards, j, e);
	json_decref(j);
	if (r < 0)
		return error_in(e, "cards of %s", s->peer);

	WITH_LOCK(&s->lock);

	if (generation <= s->far_generation) {
		cards_free(cards);
		return 0;
	}
	cards_free(s->far_cards);
	s->far_cards = cards;
	s->far_generation = generation;
	s->plan_due = s->news = true;
	pthread_cond_broadcast(&s->changed);
	return 0;
}
