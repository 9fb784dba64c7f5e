/* SPDX-License-Identifier: MIT */

/*
 * What finding repeats costs the thread that splits QEMU's stream, for each
 * kind of page: the nanoseconds that the history takes, with the second sum
 * where one is sent.
 *
 *     build/bench/micro/history [MIB]
 *
 * Pages are text-like, as the stress guest writes them, and more than any
 * cache holds (256 MiB unless given).  Each figure is the best of several
 * rounds, so that what else the machine does counts little.  Judges nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "codec/same.h"
#include "content.h"
#include "micro.h"
#include "pages/history.h"

enum { ROUNDS = 5, MIB_USUAL = 256, PAGES_PER_MIB = 256 };

static struct history history;
static uint8_t *memory;
static uint64_t pages;

static uint8_t *page_of(uint64_t page)
{
	return memory + page * WIRE_PAGE;
}

static void write_pages(uint64_t generation)
{
	for (uint64_t i = 0; i < pages; i++)
		content_write((struct page *)(void *)page_of(i), PAGE_TEXT, i,
			      generation, content_mix(generation + i));
}

static void touch_pages(uint64_t generation)
{
	for (uint64_t i = 0; i < pages; i++)
		content_touch((struct page *)(void *)page_of(i), generation,
			      content_mix(generation + i));
}

/* A pass over all pages; those of another answer than @expected are counted. */
static double pass(bool remember, enum history_answer expected,
		   uint64_t *ret_others)
{
	struct history_delta delta;
	uint64_t others = 0, word;
	double start = micro_now_ns();

	for (uint64_t i = 0; i < pages; i++) {
		const uint8_t *data = page_of(i);
		enum history_answer a = HISTORY_DATA;

		micro_use(page_is_filled(data, &word));
		a = history_page(&history, 0, i, data, remember, &delta);
		if (a != HISTORY_DATA)
			micro_use(page_sum(data));
		others += a != expected;
	}
	*ret_others = others;
	return (micro_now_ns() - start) / (double)pages;
}

static void begin(uint64_t cache_pages)
{
	struct error e;

	history_done(&history);
	if (history_init(&history, cache_pages * WIRE_PAGE, &e) < 0 ||
	    history_add_block(&history, 0, pages * WIRE_PAGE, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
}

static void ask(bool remember)
{
	uint64_t ignored;

	pass(remember, HISTORY_DATA, &ignored);
}

/* --- the states in which a page may be met */

static void nothing_known(void)
{
	begin(pages);
}

static void all_known(void)
{
	begin(pages);
	ask(true);
}

static void all_cached(void)
{
	begin(pages);
	ask(true);
	touch_pages(1);
	ask(true);
	touch_pages(2);
}

static void second_version(void)
{
	begin(pages);
	ask(true);
	touch_pages(1);
}

static void another_in_the_cache(void)
{
	begin(pages);
	ask(true);
	touch_pages(1);
	ask(true);
	write_pages(2);
}

static void cache_too_small(void)
{
	begin(pages / 8);
	ask(true);
	for (uint64_t i = 1; i < 12; i++) {
		touch_pages(i);
		ask(true);
	}
	touch_pages(12);
}

static const struct {
	const char *name;
	void (*prepare)(void);
	bool remember;
	enum history_answer answer;
} cases[] = {
	{ "a free link: not known", nothing_known, false, HISTORY_DATA },
	{ "first version", nothing_known, true, HISTORY_DATA },
	{ "unchanged", all_known, true, HISTORY_SAME },
	{ "second version, cached from now on", second_version, true,
	  HISTORY_DATA },
	{ "few bytes changed", all_cached, true, HISTORY_DELTA },
	{ "all bytes changed", another_in_the_cache, true, HISTORY_DATA },
	{ "few bytes changed, cache of an eighth", cache_too_small, true,
	  HISTORY_DELTA },
};

static void measure(unsigned n)
{
	double least = 1e18;
	uint64_t others = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		double ns;

		write_pages(0);
		cases[n].prepare();
		ns = pass(cases[n].remember, cases[n].answer, &others);
		if (ns < least)
			least = ns;
	}
	printf("%-40s %8.0f ns  %5.1f %% answered otherwise\n", cases[n].name,
	       least, 100 * (double)others / (double)pages);
}

int main(int argc, char **argv)
{
	uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : MIB_USUAL;

	pages = mib * PAGES_PER_MIB;
	memory = aligned_alloc(WIRE_PAGE, pages * WIRE_PAGE);
	if (pages == 0 || !memory) {
		fprintf(stderr, "no memory for %s MiB\n", argv[1]);
		return 1;
	}
	content_init();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		measure(i);
	history_done(&history);
	free(memory);
	return 0;
}
