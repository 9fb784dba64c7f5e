/* SPDX-License-Identifier: MIT */

/*
 * The matrix as the control API shows it, with what it means for the cards of
 * this host: docs/api.md, "Matrix".
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/shape.h"
#include "tune/features.h"

struct error;

struct tune_saying_view {
	struct tune_saying says;
	bool known;
};

struct tune_card_view {
	char card[IF_NAMESIZE];
	enum tune_holds holds;
};

struct tune_entry_view {
	enum tune_feature feature, other;
	struct tune_saying_view on_windows, on_linux;
	struct tune_card_view *cards;
	size_t cards_count;
};

struct tune_matrix_view {
	struct tune_entry_view *at;
	size_t count;
};

extern const struct shape tune_matrix_shape;

/* Give back with shape_done().  Nothing is left when it fails. */
int tune_matrix_of(struct tune_matrix_view *ret, const struct inventory *inv,
		   struct error *e);
