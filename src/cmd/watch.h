/* SPDX-License-Identifier: MIT */

/*
 * Follows a job until it ends: the line that stays, a line a second on a pipe,
 * an object a second with --json; then the report.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct call;
struct error;

/* What the user's Ctrl-C means. */
enum watch_interrupt {
	WATCH_LEAVES,
	WATCH_WAITS, /* likewise, and nothing is shown */
	WATCH_CANCELS,
};

/* From here on Ctrl-C is remembered for watch_job(), so that it can cancel a
 * job that is just being made. */
void watch_prepare(void);

/* 0: the job is done; another enum status: it did not succeed, which has been
 * said; negative: it could not be followed. */
int watch_job(struct call *c, const char *id, enum watch_interrupt interrupt,
	      struct error *e);

/* After a request that made @job: says so and leaves with --background, else
 * follows it.  Takes the reference. */
int watch_new_job(struct call *c, json_t *job, bool background,
		  struct error *e);
