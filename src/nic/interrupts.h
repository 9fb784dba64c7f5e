/* SPDX-License-Identifier: MIT */

/*
 * The interrupts of cards, and the processors that they go to, by /sys and
 * /proc at one moment.  They are no part of an inventory: nobody tells when
 * they change.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/scope.h"

struct error;
struct inventory;

struct nic_interrupt {
	int ifindex; /* of the card */
	unsigned number;
	int processor;  /* the one that it goes to; -1: several, or not known */
	uint64_t count; /* since the host was started */
};

struct nic_interrupts {
	struct nic_interrupt *at; /* by card, then by number */
	size_t count;
};

/* Give back with nic_interrupts_done(), also when it fails.  A card whose
 * interrupts are not shown has none in it; only without memory does this fail.
 */
int nic_interrupts_read(struct nic_interrupts *ret, const struct inventory *inv,
			struct error *e);
void nic_interrupts_done(struct nic_interrupts *all);
#define AUTO_INTERRUPTS SCOPED(nic_interrupts_done)

/* The counts, by the text of /proc/interrupts. */
void nic_interrupts_count(struct nic_interrupts *all, const char *text);
