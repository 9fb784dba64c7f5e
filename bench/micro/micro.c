/* SPDX-License-Identifier: MIT */
#include "micro.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "wire/frame.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

enum { ROUNDS = 9, BUFFERED_PAGES = 1024 };

static bool counts;
static volatile uint64_t sink;

/* tools/instructions names it to callgrind, which writes down what was inside
 * of it. */
void micro_turn(const struct micro_row *row, void *context);

void micro_begin(int argc, char **argv, const char *own)
{
	counts = argc == 2 && !strcmp(argv[1], "--count");
	if (argc > 1 && !counts && (!own || argv[1][0] == '-')) {
		fprintf(stderr, "usage: %s [%s--count]\n", argv[0],
			own ? own : "");
		exit(2);
	}
	if (counts)
		printf("compiler\t%s\n", COMPILER);
}

bool micro_counts(void)
{
	return counts;
}

unsigned micro_pages(void)
{
	return counts ? MICRO_COUNTED_PAGES : MICRO_MEASURED_PAGES;
}

void micro_use(uint64_t value)
{
	sink += value;
}

double micro_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

void micro_fail(const struct error *e)
{
	fprintf(stderr, "%s\n", e->text);
	exit(1);
}

void *micro_memory(uint64_t bytes)
{
	void *memory = aligned_alloc(WIRE_PAGE, bytes);

	if (!memory) {
		fprintf(stderr, "no memory for %llu bytes\n",
			(unsigned long long)bytes);
		exit(1);
	}
	memset(memory, 0, bytes);
	return memory;
}

/* What follows the call keeps it from becoming a jump, which would end the
 * function for callgrind. */
__attribute__((noinline)) void micro_turn(const struct micro_row *row,
					  void *context)
{
	row->work(context);
	sink++;
}

static double turn(const struct micro_row *row, void *context)
{
	double start;

	if (row->prepare)
		row->prepare(context);
	if (row->timed)
		return row->timed(context);
	start = micro_now_ns();
	micro_turn(row, context);
	return micro_now_ns() - start;
}

/* --- counting */

static void count(const char *stage, const struct micro_row *row, void *context)
{
	if (row->prepare)
		row->prepare(context);
	micro_turn(row, context);
	printf("row\t%s: %s\t%u\n", stage, row->name, MICRO_COUNTED_PAGES);
}

/* --- measuring */

struct copy {
	uint8_t *from, *to;
	size_t window; /* pages that @to has */
};

static void copy_pages(void *context)
{
	const struct copy *c = context;

	for (size_t i = 0; i < MICRO_MEASURED_PAGES; i++)
		memcpy(c->to + i % c->window * WIRE_PAGE,
		       c->from + i % BATCH_MAX_PAGES * WIRE_PAGE, WIRE_PAGE);
	micro_use(c->to[0]);
}

static double least(double a, double b)
{
	return b < a ? b : a;
}

static void measure(const struct micro_row *row, void *context, struct copy *c)
{
	const struct micro_row plain = { .work = copy_pages };
	double best = 1e18, copied = 1e18;

	c->window = row->copy == MICRO_TO_MEMORY ? MICRO_MEASURED_PAGES
						 : BUFFERED_PAGES;
	for (int i = 0; i < ROUNDS; i++) {
		copied = least(copied, turn(&plain, c));
		best = least(best, turn(row, context));
	}
	best /= MICRO_MEASURED_PAGES;
	copied /= MICRO_MEASURED_PAGES;
	printf("| %s%s%s | %.1f | %.2f | %.0f | %.2f |\n", row->name,
	       row->calls ? "; mostly " : "", row->calls ? row->calls : "",
	       best, WIRE_PAGE / best, copied, best / copied);
	fflush(stdout);
}

static void measure_all(const char *stage, const struct micro_row *rows,
			unsigned n, void *context)
{
	const uint64_t bytes = (uint64_t)MICRO_MEASURED_PAGES * WIRE_PAGE;
	struct copy c = {
		.from = micro_memory(BATCH_MAX_PAGES * WIRE_PAGE),
		.to = micro_memory(bytes),
	};

	printf("| %s | ns a page | GB/s | memcpy, ns | x memcpy |\n", stage);
	printf("|---|---|---|---|---|\n");
	for (unsigned i = 0; i < n; i++)
		measure(&rows[i], context, &c);
	free(c.from);
	free(c.to);
}

void micro_run(const char *stage, const struct micro_row *rows, unsigned n,
	       void *context)
{
	if (!counts) {
		measure_all(stage, rows, n, context);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		if (rows[i].work)
			count(stage, &rows[i], context);
}
