/* SPDX-License-Identifier: MIT */

/*
 * What the destination has of each page, on the source.
 *
 *     page: number ──► sum of the version last made ── equal? ──► SAME
 *                  └─► its place in the cache, if any ─ near? ──► DELTA
 *                                                  otherwise ──► DATA
 *
 * Invariants:
 *  - A sum that is known is that of the version that was made last, and a
 *    page's cached bytes are that version's.  The caller makes no version
 *    before the one before it is acknowledged (track.h), and tells of every
 *    one: so what is known here is what the destination has, or is about to
 *    have when the next version gets there.
 *  - What reaches the destination another way is forgotten: nothing is known
 *    of the page from then on.  Not to know is always right.
 *
 * The sums are of 64 bits with a random seed.  They decide what is sent, never
 * whether it is right: what leaves as SAME or DELTA carries page_sum(), with
 * which the destination checks what it has got.
 *
 * A page is cached from its second version on, so that those that are written
 * once do not fill the cache.  When it is full, whoever wants a place looks at
 * one, in turn (CLOCK): the place has some lives left and loses one, or it is
 * given over.  A delta fills the lives up to CHANCES_MOST.  A new page has
 * CHANCES_NEW, but every eighth gets CHANCES_MOST: of a hot set larger than the
 * cache, a part stays there for good instead of all being driven out in turn.
 *
 * Memory: 8 bytes for each page that is remembered, 4 more for one with a
 * second version, the cache and 16 bytes for each page in it.  All of it
 * appears as it is used and is bounded by the size of the guest and the cache.
 *
 * One thread uses it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"

struct error;
struct history_place;

enum {
	HISTORY_BLOCKS_MAX = 512,
	HISTORY_DELTA_MAX = 1024, /* beyond it the page itself is better */
	HISTORY_CHANCES_NEW = 1,
	HISTORY_CHANCES_MOST = 8,
	HISTORY_CACHE_MOST = 512 << 20,
};

enum history_answer {
	HISTORY_DATA,  /* all of it has to be sent */
	HISTORY_SAME,  /* the destination has these very bytes */
	HISTORY_DELTA, /* it has others, from which a delta leads here */
};

struct history_delta {
	size_t len;
	uint8_t bytes[HISTORY_DELTA_MAX]; /* codec/delta.h */
};

/* What the destination has said that it has, before the first version is made:
 * sums with this seed. */
struct history_known {
	uint64_t seed;
	struct {
		uint64_t *sum; /* on the heap, 0 = not known; or NULL */
		uint64_t pages;
	} block[HISTORY_BLOCKS_MAX];
};

void history_known_done(struct history_known *k); /* and all zeros */
/* As they are told, with @seed; never 0. */
uint64_t history_sum(const void *page, uint64_t seed);

struct history {
	uint64_t seed, zero_sum;
	uint64_t spared; /* pages that were the same in what was told */
	struct {
		uint64_t *sum;   /* of the last version, 0 = not known */
		uint8_t *told;   /* a bit a page: no version yet; or NULL */
		uint32_t *place; /* in the cache, from 1; 0 = none */
		uint64_t pages;
	} block[HISTORY_BLOCKS_MAX];

	uint8_t *cache; /* @places pages */
	struct history_place *place;
	uint32_t places, used;
	uint32_t given_back; /* the first of a list, from 1 */
	uint32_t hand, admitted;
};

/* How large a cache shall be, as people say it. */
struct history_size {
	bool relative;
	uint64_t bytes;
	unsigned percent; /* when relative: of the guest's memory */
};

/* For a guest of @ram_bytes; what is relative is at most HISTORY_CACHE_MOST. */
uint64_t history_size_bytes(const struct history_size *s, uint64_t ram_bytes);

/* @cache_bytes: 0 for none; then what was zero alone gives deltas. */
int history_init(struct history *h, uint64_t cache_bytes, struct error *e);
void history_done(struct history *h); /* also of one that is all zeros */

int history_add_block(struct history *h, unsigned block, uint64_t len_bytes,
		      struct error *e);

/* Before the first version, once the blocks are there.  A page beyond a block
 * is left out. */
int history_know(struct history *h, const struct history_known *known,
		 struct error *e);

/*
 * How the page gets from its last version to @data, which is the last version
 * from now on; @ret is set for a delta.  A page of which nothing is known, or
 * that has changed too much, is remembered only when @remember.
 */
enum history_answer history_page(struct history *h, unsigned block,
				 uint64_t page, const uint8_t *data,
				 bool remember, struct history_delta *ret);

/* The version is @word again and again. */
void history_filled(struct history *h, unsigned block, uint64_t page,
		    uint64_t word, bool remember);

/* The destination gets this page in some other way. */
void history_forget(struct history *h, unsigned block, uint64_t page);
