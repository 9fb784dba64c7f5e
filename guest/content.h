/* SPDX-License-Identifier: MIT */
/*
 * What a page holds. A zero page is all zero and never written. Every other
 * page starts with a head that names it, followed by a body that is text-like
 * (compresses 2 to 4:1), random (does not compress), or what a page of a file
 * has in this place. The kind depends on the page's number alone: runs of
 * CONTENT_RUN pages of each kind, in a pattern of four, the zero runs first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "memory.h"

#define CONTENT_RUN 32u
#define CONTENT_PATTERN 4u
#define CONTENT_PERIOD (CONTENT_RUN * CONTENT_PATTERN)
#define HEAD_WORDS 4u
#define BODY_WORDS (PAGE_WORDS - HEAD_WORDS)

enum page_kind { PAGE_ZERO, PAGE_TEXT, PAGE_RANDOM, PAGE_FILE };

struct content {
	const char *name;
	enum page_kind pattern[CONTENT_PATTERN];
	/* How many of the pattern's runs are zero. */
	unsigned zero_runs;
};

/*
 * Over the body's words: their sum, and the sum of the sums so far. The first
 * notices every change of one word, the second words that changed places.
 */
struct sums {
	uint64_t plain;
	uint64_t running;
};

struct page {
	uint64_t number;
	uint64_t generation;
	struct sums sums;
	uint64_t body[BODY_WORDS];
};

_Static_assert(sizeof(struct page) == PAGE_BYTES, "a page is a page");

/* Ends with an entry without a name. */
extern const struct content content_kinds[];

void content_init(void);

/* For content that is taken from a file; what is no whole page is left out. */
void content_set_file(const uint64_t *from, uint64_t bytes);

/* Whether it is taken from a file, and there is none. */
bool content_lacks_file(const struct content *c);

enum page_kind content_kind(const struct content *c, uint64_t page);

/* A number that looks random, from one that does not. */
uint64_t content_mix(uint64_t value);

/* Writes a whole page; what is in the body follows from `key`. Pages of a file
 * come in its order in generation 0. */
void content_write(struct page *p, enum page_kind kind, uint64_t number,
		   uint64_t generation, uint64_t key);

/* Changes one word of the body, chosen by `key`, and the head. */
void content_touch(struct page *p, uint64_t generation, uint64_t key);

struct sums content_sums(const struct page *p);

bool content_is_zero(const struct page *p);
