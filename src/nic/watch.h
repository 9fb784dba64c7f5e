/* SPDX-License-Identifier: MIT */

/*
 * The cards of this host, always as they are now: one thread follows the
 * kernel's news for everybody.
 *
 * It also remembers what each pair of addresses delivered, so that the next
 * session knows before it begins.
 */
#pragma once

#include <stdint.h>

#include "nic/inventory.h"

struct error;
struct nic_watch;

/* Somebody who wants to hear of changes.  changed() is called in the watch's
 * thread, after nic_watch_get() gives the new state; it must not wait and must
 * not call back into the watch. */
struct nic_listener {
	void (*changed)(void *context);
	void *context;
	struct nic_listener *next; /* the watch's */
};

/* Follows the network namespace of the calling thread. */
int nic_watch_new(struct nic_watch **ret, struct error *e);
/* Nobody listens any more.  NULL is fine. */
void nic_watch_free(struct nic_watch *w);

void nic_watch_listen(struct nic_watch *w, struct nic_listener *l);
/* When it returns, changed() is not running and is not called again. */
void nic_watch_leave(struct nic_watch *w, struct nic_listener *l);

/* A reference to the current inventory, which nobody changes; give it back
 * with inventory_drop(). */
struct inventory *nic_watch_get(struct nic_watch *w);

/* In bytes per second.  What is remembered is the most that was told, of which
 * an eighth of the difference is forgotten each time that less is told; 0:
 * never heard of.  Of many pairs, those that were told of last are known. */
void nic_watch_delivered(struct nic_watch *w, const struct nic_address *from,
			 const struct nic_address *to, uint64_t rate);
uint64_t nic_watch_rate(struct nic_watch *w, const struct nic_address *from,
			const struct nic_address *to);
