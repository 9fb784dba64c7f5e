/* SPDX-License-Identifier: MIT */

/*
 * Which of the matrix' features of a card are on, and what its entries mean for
 * the card.  Pure functions of an inventory.
 */
#pragma once

#include <stdbool.h>

#include "nic/inventory.h"
#include "tune/matrix.h"

enum tune_state {
	TUNE_UNKNOWN, /* nobody tells */
	TUNE_OFF,
	TUNE_ON,
};

enum tune_holds {
	TUNE_SILENT, /* one is off, or not known */
	TUNE_MET,
	TUNE_MISSING,
	TUNE_CLASH,
	TUNE_WEAKENED,
	TUNE_TOGETHER,
	TUNE_HOLDS,
};

extern const char *const tune_holds_names[TUNE_HOLDS];

/* Whether the card is one that the matrix speaks of: it has features of its
 * own, and is not the port of a guest or container. */
bool tune_card(const struct inventory *inv, const struct nic *n);

void tune_states(enum tune_state ret[TUNE_FEATURES],
		 const struct inventory *inv, const struct nic *n);

/* By the column of Linux. */
enum tune_holds tune_holds(const struct tune_entry *t,
			   const enum tune_state states[TUNE_FEATURES]);
