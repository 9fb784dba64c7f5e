/* SPDX-License-Identifier: MIT */

/*
 * The sampler: a thread that looks at this host once a second: its cards, jobs,
 * machines and memory.  What it saw last is /metrics, and its rings are what
 * was before: docs/metrics.md.
 *
 * Who asks gets a copy of the last sample: nothing of a move is looked at, or
 * waited for, because somebody asks.  The lock in here is taken last.
 * What a running job has sent is counted as it grows (struct job's counted), so
 * that no counter falls when it ends.
 */
#pragma once

#include "host/sample.h"

struct sampler;

struct sampler *sampler_new(struct host *h); /* NULL: no memory */
void sampler_free(struct sampler *s);        /* NULL is fine */
/* Until @h's stop_fd is readable. */
int sampler_start(struct sampler *s, struct error *e);
void sampler_stop(struct sampler *s); /* waits; only after sampler_start() */

/* By the job's own thread; it may have ended. */
void sampler_job_changed(struct sampler *s, struct job *j);
