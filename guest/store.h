/* SPDX-License-Identifier: MIT */
/*
 * The filled pages: writing them first, dirtying them by and by, and checking
 * them. The hot set is the first `hot` of the pages that are not zero.
 */
#pragma once

#include <stdint.h>

#include "content.h"
#include "memory.h"

struct settings;

struct store {
	const struct memory *memory;
	const struct content *content;
	uint64_t pages;
	uint64_t zero_pages;
	uint64_t seed;
	bool touch_few;

	/* The order of dirtying, see store.c. */
	uint64_t hot;
	uint64_t stride;
	uint64_t stride_inverse;

	uint64_t check_at;
	uint64_t verified;
	uint64_t corrupt;
	/* A copy; the processor keeps the one that counts. */
	uint64_t dirtied;
};

/* Returns NULL, or why the settings do not fit the memory. */
const char *store_init(struct store *s, const struct memory *m,
		       const struct settings *settings);

void store_fill(struct store *s);

/* Pages dirtied so far, and how often the whole hot set was. */
uint64_t store_dirtied(void);
uint64_t store_round(const struct store *s);

/* Checks the next page of all. */
void store_check_next(struct store *s);

/* Checks the next page of the hot set and gives it new content. */
void store_dirty_next(struct store *s);
