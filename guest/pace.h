/* SPDX-License-Identifier: MIT */
/*
 * A steady rate of pages: page k is due at start + k * step. What could not be
 * done in time is caught up, but no more than a quarter of a second of it.
 * Waking up costs the host more than a page does, so pages that come due
 * within a slice wait for its end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint64_t next;
	uint64_t step;
	uint64_t slice;
	uint64_t max_lag;
};

/* A rate of 0 is never due. */
void pace_init(struct pace *p, uint64_t bytes_per_s, unsigned slice_ms);

/* Takes one page's turn; false when none is due. */
bool pace_take(struct pace *p, uint64_t now);

/* When to wake up for the next pages; not after `now` when some are due. */
uint64_t pace_wake(const struct pace *p, uint64_t now);
