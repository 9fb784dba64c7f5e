/* SPDX-License-Identifier: MIT */

/*
 * What the sampler saw at one moment (host/sampler.h), as plain values, and
 * what it has counted: docs/metrics.md.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/words.h"
#include "metrics/rings.h"
#include "move/job.h"
#include "nic/counters.h"

struct host;

enum {
	SERIES_NAME = 40,
	SAMPLE_CARDS = 64,
	SAMPLE_JOBS = 64,   /* of which each is shown */
	SAMPLE_BUCKETS = 8, /* of a histogram; the last has no end */
	SAMPLE_RESULTS = 3, /* done, failed, cancelled */
};

extern const double sample_limits[SAMPLE_BUCKETS - 1]; /* seconds */

struct sample_card {
	char name[IF_NAMESIZE];
	bool up, carrier;
	unsigned speed_mbit; /* 0: not known */
	struct counter count;
};

/* A job that runs. */
struct sample_job {
	enum job_kind kind;
	enum role role;
	char machine[JOB_NAME_SIZE], peer[JOB_NAME_SIZE];
	const char *stage;
	bool waits;
	bool outage;
	uint64_t sent, remaining, total, rate, dirty_rate;
	unsigned channels;
	int64_t downtime_ms; /* expected; -1: not known */
};

struct sample_histogram {
	uint64_t counts[SAMPLE_BUCKETS];
	double sum; /* seconds */
};

/* Of jobs that have ended since the service was started. */
struct sample_ended {
	uint64_t jobs[JOB_KINDS][ROLES][SAMPLE_RESULTS][ERROR_KINDS];
	/* Of moves away that are done. */
	struct sample_histogram duration, downtime;
	uint64_t resent; /* bytes, of moves away */
	/* Of moves away, those that run as well. */
	struct job_flow flow;
};

struct sample {
	uint64_t wall_us; /* since 1970; 0: nothing was seen yet */
	unsigned cards_count, jobs_count;
	struct sample_card cards[SAMPLE_CARDS];
	struct sample_job jobs[SAMPLE_JOBS];
	unsigned running, waiting, doubtful; /* jobs */
	unsigned machines, guests;           /* all; those with a QEMU */
	double guests_cpu, own_cpu; /* seconds; the guests' only grow */
	uint64_t resident, memory_total, memory_available;
	unsigned open_files;
	double started; /* the service, in seconds since 1970 */
	/* The QEMU that a start takes; 0.0.0: nobody has asked it yet. */
	int qemu_major, qemu_minor, qemu_micro;
	struct sample_ended ended;
};

void histogram_add(struct sample_histogram *h, double seconds);

struct past_point {
	double least, mean, most; /* NAN in all of them: a gap */
};

/* A figure over time. */
struct past {
	char name[SERIES_NAME];
	unsigned step;     /* seconds that a point has */
	uint64_t begin_us; /* of the first, since 1970 */
	struct past_point *points;
	size_t count;
};

/* Of what there is such a past. */
int host_past_names(struct host *h, struct words *ret, struct error *e);
/* At most the @last points.  -ENOENT.  @ret->points are the caller's. */
int host_past(struct host *h, const char *name, enum ring_span span,
	      size_t last, struct past *ret, struct error *e);

/* What was seen last.  -EAGAIN: nothing yet. */
int host_sample(struct host *h, struct sample *ret, struct error *e);
