/* SPDX-License-Identifier: MIT */

/*
 * When a move will be done, how long its guest will stand still, and whether it
 * comes to an end at all: pure functions of what was measured.
 * docs/estimate.md has the model, and why.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	ESTIMATE_CHANGES = 8,
	/* A page that holds nothing is only looked at: bytes a second, in MB,
	 * where it was not measured. */
	ESTIMATE_ZERO_MB = 1500,
	/* Of the downtime, besides what is left of the memory. */
	ESTIMATE_SWITCH_US = 25000,
};

/* No end, or it is not known. */
#define ESTIMATE_NONE UINT64_MAX

struct estimate_range {
	uint64_t least_us, likely_us, most_us;
};

/* What the guest changed in some time, a page counting once. */
struct estimate_change {
	uint64_t over_us, bytes;
};

/* What is known at one moment. */
struct estimate_seen {
	/* Bytes of memory: all; those that hold something, 0: not known; still
	 * to be sent as far as QEMU knows. */
	uint64_t total, used, left;
	bool first;          /* not all of it was sent once */
	uint64_t data, zero; /* sent in the first pass */
	uint64_t among;      /* of @zero, what came among content */
	uint64_t since_us;   /* QEMU last looked what has changed */
	struct estimate_change change[ESTIMATE_CHANGES]; /* the newest first */
	unsigned changes;
	uint64_t rate;       /* bytes a second of memory; 0: not known */
	unsigned rate_error; /* per cent by which it may be wrong */
	bool guessed;        /* it was not measured */
	uint64_t zero_rate;  /* bytes a second; 0: not known */
	uint64_t limit_us;   /* of downtime */
	unsigned steps;      /* of enum converge_step */
	uint64_t timeout_us, elapsed_us; /* 0: no time-out; since the begin */
	struct estimate_range ahead; /* before it begins: what it waits for */
};

enum estimate_sure {
	ESTIMATE_LOW,
	ESTIMATE_FAIR,
	ESTIMATE_HIGH,
	ESTIMATE_SURES
};

enum estimate_end {
	ESTIMATE_UNKNOWN,
	ESTIMATE_CONVERGES,
	ESTIMATE_THROTTLED,
	ESTIMATE_PAUSED,
	ESTIMATE_TIMED_OUT,
	ESTIMATE_NEVER,
	ESTIMATE_ENDS,
};

extern const char *const estimate_sure_names[ESTIMATE_SURES]; /* "low" */
extern const char *const estimate_end_names[ESTIMATE_ENDS];   /* "never" */

struct estimate {
	struct estimate_range left; /* all ESTIMATE_NONE, or only the most */
	enum estimate_sure sure;
	enum estimate_end end;
	uint64_t downtime_us; /* ESTIMATE_NONE: not known */
	uint64_t dirty_rate;  /* bytes a second, as measured last */
};

struct estimate estimate_make(const struct estimate_seen *s);

/* @next, @past_us after @before was told, as it is to be told: the likely end
 * is not later than the latest that was. */
struct estimate estimate_follow(const struct estimate *before,
				const struct estimate *next, uint64_t past_us);
