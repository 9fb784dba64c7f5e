/* SPDX-License-Identifier: MIT */

/*
 * What the programs in here have in common: arguments, time, and one table.
 *
 *     PROGRAM            measures: the best of several rounds, in processor
 *                        time of the one thread, so that what else the machine
 *                        does counts little
 *     PROGRAM --json     the same for bench/model.py, a JSON value in a line
 * for each row PROGRAM --count    for tools/instructions: a fixed amount of
 * work, without looking at any clock; says which rows there are
 *
 * Beside each row stands a plain memcpy of as many pages, measured in turns
 * with it.  It copies from the 256 KiB of a batch, which have just been
 * written, to where the bytes go on their host: MICRO_TO_BUFFERS, what a source
 * has waiting to be sent (4 MiB), or MICRO_TO_MEMORY, a part of a guest's
 * memory (32 MiB) that was touched before.
 *
 * One thread; a program that cannot go on says why and ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct error;

enum { MICRO_MEASURED_PAGES = 8192, MICRO_COUNTED_PAGES = 1024 };

enum micro_copy { MICRO_TO_BUFFERS, MICRO_TO_MEMORY };

struct micro_row {
	const char *name;
	void (*prepare)(void *context); /* before each turn, not measured */
	void (*work)(void *context);    /* one turn: micro_pages() pages */
	/* Instead, where only parts of a turn are meant: its nanoseconds.
	 * Not counted. */
	double (*timed)(void *context);
	const char *calls; /* system calls that it mostly is, or NULL */
	enum micro_copy copy;
};

/* @own: the program's own arguments, as it says them, or NULL.  Returns where
 * they begin in @argv. */
int micro_begin(int argc, char **argv, const char *own);
bool micro_counts(void);
bool micro_json(void);
unsigned micro_pages(void); /* as many as a turn has */

/* Prints a table of, or counts, each of the @n rows with @context. */
void micro_run(const char *stage, const struct micro_row *rows, unsigned n,
	       void *context);

double micro_now_ns(void);

/* Keeps the compiler from dropping what nobody else reads. */
void micro_use(uint64_t value);

/* Never NULL; zeros, aligned to a page and touched. */
void *micro_memory(uint64_t bytes);
_Noreturn void micro_fail(const struct error *e);
