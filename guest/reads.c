/* SPDX-License-Identifier: MIT */
#include "reads.h"

#include "clock.h"
#include "console.h"

#define PIECE 1024u

/* Of Knuth's MMIX; its upper bits are the random ones. */
#define FACTOR 6364136223846793005ull
#define SUMMAND 1442695040888963407ull

void reads_init(struct reads *r, const struct memory *m, uint64_t pages,
		uint64_t loop)
{
	*r = (struct reads){ .memory = m, .pages = pages, .loop = loop };
}

static const uint64_t *place(const struct reads *r, uint64_t state)
{
	uint64_t page = (state >> 32) * r->pages >> 32;

	return memory_page(r->memory, page) + (state >> 20) % PAGE_WORDS;
}

/* Where the next one is hangs on what was read. */
static uint64_t chase(const struct reads *r, uint64_t state, uint64_t count)
{
	while (count-- > 0)
		state = state * FACTOR + SUMMAND +
			*(const volatile uint64_t *)place(r, state);
	return state;
}

void reads_do(struct reads *r)
{
	uint64_t left = r->loop - r->done;
	uint64_t piece = left < PIECE ? left : PIECE;
	uint64_t start = clock_now();

	r->state = chase(r, r->state, piece);
	r->ticks += clock_now() - start;
	r->done += piece;
	if (r->done < r->loop)
		return;
	console_print("reads %lu us=%lu\n", r->loop,
		      r->ticks * 1000 / clock_ticks_per_ms());
	r->done = r->ticks = 0;
}
