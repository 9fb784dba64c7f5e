/* SPDX-License-Identifier: MIT */
#include "pages/history.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/delta.h"
#include "wire/sum.h"

enum { STAY_EVERY = 8 };

/* Whose bytes a page of the cache are. */
struct history_place {
	uint64_t page;
	uint32_t next; /* given back: the next of the list */
	uint16_t block;
	uint8_t chances;
};

static const uint8_t zeros[WIRE_PAGE];

uint64_t history_size_bytes(const struct history_size *s, uint64_t ram_bytes)
{
	uint64_t bytes = ram_bytes / 100 * s->percent;

	if (!s->relative)
		return s->bytes;
	return bytes < HISTORY_CACHE_MOST ? bytes : HISTORY_CACHE_MOST;
}

/* Zeros; memory appears as it is used. */
static int map(void **ret, uint64_t bytes, const char *what, struct error *e)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return error_sys(e, "%" PRIu64 " bytes of memory for %s", bytes,
				 what);
	*ret = p;
	return 0;
}

uint64_t history_sum(const void *page, uint64_t seed)
{
	uint64_t sum = XXH3_64bits_withSeed(page, WIRE_PAGE, seed);

	return sum ? sum : 1;
}

static uint64_t sum_of(const struct history *h, const uint8_t *data)
{
	return history_sum(data, h->seed);
}

int history_init(struct history *h, uint64_t cache_bytes, struct error *e)
{
	uint64_t places = cache_bytes / WIRE_PAGE;
	void *p;

	memset(h, 0, sizeof(*h));
	if (getrandom(&h->seed, sizeof(h->seed), 0) != sizeof(h->seed))
		return error_sys(e, "random numbers");
	h->zero_sum = sum_of(h, zeros);
	if (places >= UINT32_MAX)
		places = UINT32_MAX - 1;
	if (places == 0)
		return 0;
	if (map(&p, places * WIRE_PAGE, "versions of pages", e) < 0)
		return error_code(e);
	/* Places are given out in order, so that large pages fill up. */
	madvise(p, places * WIRE_PAGE, MADV_HUGEPAGE);
	h->cache = p;
	h->places = (uint32_t)places;
	if (map(&p, places * sizeof(*h->place), "versions of pages", e) < 0)
		return error_code(e);
	h->place = p;
	return 0;
}

void history_done(struct history *h)
{
	for (unsigned i = 0; i < HISTORY_BLOCKS_MAX; i++) {
		uint64_t pages = h->block[i].pages;

		if (h->block[i].sum)
			munmap(h->block[i].sum, pages * sizeof(uint64_t));
		free(h->block[i].told);
		if (h->block[i].place)
			munmap(h->block[i].place, pages * sizeof(uint32_t));
	}
	if (h->cache)
		munmap(h->cache, (size_t)h->places * WIRE_PAGE);
	if (h->place)
		munmap(h->place, h->places * sizeof(*h->place));
}

int history_add_block(struct history *h, unsigned block, uint64_t len_bytes,
		      struct error *e)
{
	uint64_t pages = (len_bytes + WIRE_PAGE - 1) / WIRE_PAGE;
	void *p;

	if (block >= HISTORY_BLOCKS_MAX || h->block[block].sum || pages == 0)
		return error_set(e, EINVAL, "RAM block number %u", block);
	h->block[block].pages = pages;
	if (map(&p, pages * sizeof(uint64_t), "the sums of pages", e) < 0)
		return error_code(e);
	h->block[block].sum = p;
	if (h->places == 0)
		return 0;
	if (map(&p, pages * sizeof(uint32_t), "the places of pages", e) < 0)
		return error_code(e);
	h->block[block].place = p;
	return 0;
}

static uint64_t *known_sum(const struct history *h, unsigned block,
			   uint64_t page)
{
	assert(block < HISTORY_BLOCKS_MAX && page < h->block[block].pages);
	return &h->block[block].sum[page];
}

/* --- the cache */

static uint8_t *bytes_at(const struct history *h, uint32_t place)
{
	return h->cache + (size_t)(place - 1) * WIRE_PAGE;
}

static uint32_t place_of(const struct history *h, unsigned block, uint64_t page)
{
	return h->places > 0 ? h->block[block].place[page] : 0;
}

static void give_back(struct history *h, unsigned block, uint64_t page)
{
	uint32_t place = place_of(h, block, page);

	if (place == 0)
		return;
	h->block[block].place[page] = 0;
	h->place[place - 1].next = h->given_back;
	h->given_back = place;
}

/* 0: this one may stay. */
static uint32_t drive_out(struct history *h)
{
	uint32_t place = h->hand + 1;
	struct history_place *p = &h->place[h->hand];

	h->hand = place % h->places;
	if (p->chances > 0) {
		p->chances--;
		return 0;
	}
	h->block[p->block].place[p->page] = 0;
	return place;
}

static uint32_t free_place(struct history *h)
{
	uint32_t place = h->given_back;

	if (place) {
		h->given_back = h->place[place - 1].next;
		return place;
	}
	return h->used < h->places ? ++h->used : drive_out(h);
}

static void admit(struct history *h, unsigned block, uint64_t page,
		  const uint8_t *data)
{
	uint32_t place = h->places > 0 ? free_place(h) : 0;

	if (place == 0)
		return;
	h->place[place - 1] = (struct history_place){
		.page = page,
		.block = (uint16_t)block,
		.chances = h->admitted++ % STAY_EVERY == 0
				   ? HISTORY_CHANCES_MOST
				   : HISTORY_CHANCES_NEW,
	};
	h->block[block].place[page] = place;
	memcpy(bytes_at(h, place), data, WIRE_PAGE);
}

/* The last version's bytes, NULL when nobody has them here. */
static const uint8_t *last_version(const struct history *h, unsigned block,
				   uint64_t page, uint64_t sum)
{
	uint32_t place = place_of(h, block, page);

	if (place)
		return bytes_at(h, place);
	return sum == h->zero_sum ? zeros : NULL;
}

/* Into the place that the page has. */
static void keep(struct history *h, unsigned block, uint64_t page,
		 const uint8_t *data, bool useful)
{
	uint32_t place = place_of(h, block, page);

	if (place == 0)
		return;
	memcpy(bytes_at(h, place), data, WIRE_PAGE);
	if (useful)
		h->place[place - 1].chances = HISTORY_CHANCES_MOST;
}

/* --- what the destination has told */

void history_known_done(struct history_known *k)
{
	for (unsigned i = 0; i < HISTORY_BLOCKS_MAX; i++)
		free(k->block[i].sum);
	*k = (struct history_known){ 0 };
}

int history_know(struct history *h, const struct history_known *known,
		 struct error *e)
{
	h->seed = known->seed;
	h->zero_sum = sum_of(h, zeros);
	for (unsigned i = 0; i < HISTORY_BLOCKS_MAX; i++) {
		uint64_t n = known->block[i].pages;

		if (!known->block[i].sum || !h->block[i].sum)
			continue;
		if (n > h->block[i].pages)
			n = h->block[i].pages;
		h->block[i].told = calloc(1, h->block[i].pages / 8 + 1);
		if (!h->block[i].told)
			return error_set(e, ENOMEM, "no memory for sums");
		for (uint64_t p = 0; p < n; p++) {
			if (!known->block[i].sum[p])
				continue;
			h->block[i].sum[p] = known->block[i].sum[p];
			h->block[i].told[p / 8] |= (uint8_t)(1U << p % 8);
		}
	}
	return 0;
}

/* It was, and is not any more: its first version is being made.  Mostly nothing
 * was told at all. */
static inline bool was_told(struct history *h, unsigned block, uint64_t page)
{
	uint8_t *told = h->block[block].told;
	uint8_t had;

	if (!told)
		return false;
	had = told[page / 8];
	told[page / 8] = (uint8_t)(had & ~(1U << page % 8));
	return had >> page % 8 & 1U;
}

/* --- versions */

enum history_answer history_page(struct history *h, unsigned block,
				 uint64_t page, const uint8_t *data,
				 bool remember, struct history_delta *ret)
{
	uint64_t *known = known_sum(h, block, page), had = *known;
	const bool told = was_told(h, block, page);
	const uint8_t *old;

	if (had == 0 && !remember)
		return HISTORY_DATA;
	*known = sum_of(h, data);
	if (*known == had) {
		h->spared += told;
		return HISTORY_SAME;
	}
	old = last_version(h, block, page, had);
	ret->len = old ? delta_encode(old, data, ret->bytes, HISTORY_DELTA_MAX)
		       : 0;
	if (ret->len == 0 && !remember)
		history_forget(h, block, page);
	else if (had != 0 && place_of(h, block, page) == 0)
		admit(h, block, page, data);
	else
		keep(h, block, page, data, ret->len > 0);
	return ret->len > 0 ? HISTORY_DELTA : HISTORY_DATA;
}

void history_filled(struct history *h, unsigned block, uint64_t page,
		    uint64_t word, bool remember)
{
	uint64_t *known = known_sum(h, block, page);
	uint64_t words[WIRE_PAGE / sizeof(word)];
	const uint8_t *data = zeros;

	was_told(h, block, page);
	if (*known == 0 && !remember)
		return;
	if (word) {
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = word;
		data = (const uint8_t *)words;
	}
	*known = word ? sum_of(h, data) : h->zero_sum;
	keep(h, block, page, data, false);
}

void history_forget(struct history *h, unsigned block, uint64_t page)
{
	was_told(h, block, page);
	*known_sum(h, block, page) = 0;
	give_back(h, block, page);
}
