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

static bool counts, json;
static volatile uint64_t sink;

/* tools/instructions names it to callgrind, which writes down what was inside
 * of it. */
void micro_turn(const struct micro_row *row, void *context);

int micro_begin(int argc, char **argv, const char *own)
{
	counts = argc == 2 && !strcmp(argv[1], "--count");
	json = argc > 1 && !strcmp(argv[1], "--json");
	if (argc > 1 + (counts || json) && (!own || argv[1 + json][0] == '-')) {
		fprintf(stderr, "usage: %s [--count|[--json]%s%s]\n", argv[0],
			own ? " " : "", own ? own : "");
		exit(2);
	}
	if (counts)
		printf("compiler\t%s\n", COMPILER);
	return 1 + (counts || json);
}

bool micro_counts(void)
{
	return counts;
}

bool micro_json(void)
{
	return json;
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

static void print_row(const char *stage, const struct micro_row *row, double ns,
		      double copied)
{
	if (json)
		printf("{\"stage\": \"%s\", \"row\": \"%s\", \"ns\": %.2f, "
		       "\"copy_ns\": %.2f}\n",
		       stage, row->name, ns, copied);
	else
		printf("| %s%s%s | %.1f | %.2f | %.0f | %.2f |\n", row->name,
		       row->calls ? "; mostly " : "",
		       row->calls ? row->calls : "", ns, WIRE_PAGE / ns, copied,
		       ns / copied);
	fflush(stdout);
}

static void measure(const char *stage, const struct micro_row *row,
		    void *context, struct copy *c)
{
	const struct micro_row plain = { .work = copy_pages };
	double best = 1e18, copied = 1e18;

	c->window = row->copy == MICRO_TO_MEMORY ? MICRO_MEASURED_PAGES
						 : BUFFERED_PAGES;
	for (int i = 0; i < ROUNDS; i++) {
		copied = least(copied, turn(&plain, c));
		best = least(best, turn(row, context));
	}
	print_row(stage, row, best / MICRO_MEASURED_PAGES,
		  copied / MICRO_MEASURED_PAGES);
}

static void measure_all(const char *stage, const struct micro_row *rows,
			unsigned n, void *context)
{
	const uint64_t bytes = (uint64_t)MICRO_MEASURED_PAGES * WIRE_PAGE;
	struct copy c = {
		.from = micro_memory(BATCH_MAX_PAGES * WIRE_PAGE),
		.to = micro_memory(bytes),
	};

	if (!json)
		printf("| %s | ns a page | GB/s | memcpy, ns | x memcpy |\n"
		       "|---|---|---|---|---|\n",
		       stage);
	for (unsigned i = 0; i < n; i++)
		measure(stage, &rows[i], context, &c);
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
