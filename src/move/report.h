/* SPDX-License-Identifier: MIT */

/* What a move tells while it runs and when it has ended; docs/api.md has the
 * shapes. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct job;
struct job_progress;
struct migration_info;
struct move_options;
struct relay;
struct relay_pages;
struct relay_stats;
struct session;
struct session_stats;

struct move_times {
	uint64_t start_us, migrate_us, completed_us, running_us;
	uint64_t stopped_wall_us;   /* QEMU's STOP event; 0: still runs */
	uint64_t completed_wall_us; /* the source's QEMU has sent everything */
	uint64_t loaded_wall_us;    /* the destination said so */
	uint64_t running_wall_us;   /* likewise */
	bool forced;                /* paused at the time-out */
};

/* From what all of them say now; the percentage never falls. */
void progress_update(struct job_progress *p, const struct migration_info *q,
		     const struct session_stats *s,
		     const struct relay_stats *r);

/* What was carried, in bytes, and how many pages in which form.  Of moves, and
 * of relays. */
json_t *report_bytes(const struct session_stats *st,
		     const struct relay_stats *rs);
json_t *report_pages(const struct relay_pages *p);

/* Sets the job's report.  @s and @r may be NULL (after a restart). */
void report_source(struct job *job, struct session *s, struct relay *r,
		   const struct move_times *t, const struct move_options *o);
