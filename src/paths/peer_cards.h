/* SPDX-License-Identifier: MIT */

/*
 * What each side tells the other of its cards, as CARDS frames: the whole list
 * each time, under a generation that rises.  Every lane announces it when it
 * begins and whenever it has changed, so it arrives if anything does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct nic_address;
struct path_set;

/* Announces our cards, and drops lanes over those that are down.  The
 * supervisor's. */
void peer_cards_refresh(struct path_set *set);

/* Whether connections arrive by other queues than was announced: only a card
 * whose hash is not known has such, and only where the peer dials.  The
 * supervisor's. */
bool peer_cards_arrived(struct path_set *set);

/* The peer's, by a lane's reader.  -EBADMSG for what is no list of cards. */
int peer_cards_came(struct path_set *set, uint64_t generation, const void *text,
		    size_t len, struct error *e);
/* Whether one of them has the address.  Any thread. */
bool peer_cards_have(struct path_set *set, const struct nic_address *a);
