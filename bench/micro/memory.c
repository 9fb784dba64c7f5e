/* SPDX-License-Identifier: MIT */

/*
 * What the memory lets through: pages copied from and to where no cache has
 * them, by one thread and by one on each processor.
 *
 *     build/bench/micro/memory
 *
 * Unlike elsewhere a page's nanoseconds are those of the clock on the wall, for
 * all threads together: what is asked is how fast all of them are.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "micro.h"
#include "wire/frame.h"

enum {
	BYTES = 512 << 20, /* read and written by all threads together */
	THREADS_MAX = 256,
	TIMES = 4,
};

struct part {
	pthread_t thread;
	pthread_barrier_t *start;
	uint8_t *from, *to;
	size_t len;
};

struct bench {
	unsigned processors;
	uint8_t *memory;
};

static void *copy_part(void *arg)
{
	const struct part *p = arg;

	pthread_barrier_wait(p->start);
	for (int i = 0; i < TIMES; i++)
		memcpy(p->to, p->from, p->len);
	return NULL;
}

static void start_part(struct part *p)
{
	struct error e;
	int r = pthread_create(&p->thread, NULL, copy_part, p);

	if (r != 0) {
		error_set(&e, r, "no thread");
		micro_fail(&e);
	}
}

static double copy(const struct bench *b, unsigned threads)
{
	const size_t each = BYTES / 2 / threads / WIRE_PAGE * WIRE_PAGE;
	struct part part[THREADS_MAX];
	pthread_barrier_t start;
	uint64_t took_us;

	pthread_barrier_init(&start, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++) {
		uint8_t *at = b->memory + 2 * i * each;

		part[i] = (struct part){ .start = &start,
					 .from = at,
					 .to = at + each,
					 .len = each };
		start_part(&part[i]);
	}
	pthread_barrier_wait(&start);
	took_us = clock_us();
	for (unsigned i = 0; i < threads; i++)
		pthread_join(part[i].thread, NULL);
	took_us = clock_us() - took_us;
	pthread_barrier_destroy(&start);
	return (double)took_us * 1e3 / TIMES * WIRE_PAGE /
	       ((double)each * threads) * micro_pages();
}

static double by_one(void *context)
{
	return copy(context, 1);
}

static double by_all(void *context)
{
	const struct bench *b = context;

	return copy(b, b->processors);
}

static const struct micro_row rows[] = {
	{ "copied by one thread", .timed = by_one, .copy = MICRO_TO_MEMORY },
	{ "copied by one on each processor", .timed = by_all,
	  .copy = MICRO_TO_MEMORY },
};

static unsigned processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return CPU_COUNT(&set) < THREADS_MAX ? (unsigned)CPU_COUNT(&set)
					     : THREADS_MAX;
}

int main(int argc, char **argv)
{
	struct bench b = { .processors = processors() };

	micro_begin(argc, argv, NULL);
	b.memory = micro_memory(BYTES);
	micro_run("memory", rows, ARRAY_SIZE(rows), &b);
	free(b.memory);
	return 0;
}
