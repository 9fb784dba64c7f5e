/* SPDX-License-Identifier: MIT */

/*
 * What there is to know of a drain, and of the way back: as it is shown, and as
 * it stands in STATE/drain.json, from before its first move starts until
 * everything is back or it is cancelled.  A plain value without a lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "base/words.h"
#include "move/job.h"

struct error;

enum drain_state {
	DRAIN_NONE,
	DRAIN_PLANNED, /* what would be; nothing has begun */
	DRAIN_DRAINING,
	DRAIN_DRAINED,
	DRAIN_REMAINS,     /* it has ended, and something still runs here */
	DRAIN_INTERRUPTED, /* the daemon was started again meanwhile */
	DRAIN_RETURNING,
	DRAIN_AWAY, /* it has ended, and something is not back */
	DRAIN_STATES
};

/* What becomes of a machine. */
enum drain_fate {
	FATE_WAITS,   /* is to be moved */
	FATE_MOVES,   /* by its job */
	FATE_MOVED,   /* is on the other host */
	FATE_STAYS,   /* why */
	FATE_STOPPED, /* as it could not be moved */
	FATE_COMES,   /* it was called back */
	FATE_BACK,
	FATES
};

struct drain_machine {
	char name[64], uuid[40];
	enum drain_fate fate;
	char to[64]; /* where it goes or is */
	char job[JOB_ID_SIZE];
	char why[400];
	bool asked; /* its guest was asked to power off */
	unsigned tries;
	double starts_s, ends_s; /* as planned, from the beginning */
	bool kept; /* it stays, and not for want of a host: it is not stopped
		    * with the rest; of the run, not of the file */
};

/* Could any one host fail? */
struct drain_spare {
	bool enough;
	char host[64]; /* the worst; empty: there is none */
	unsigned machines;
	uint64_t bytes; /* their memory */
	char why[400];
};

struct drain_record {
	enum drain_state state;
	uint64_t since_us; /* clock_wall_us() */
	struct words to;   /* hosts; empty: any */
	bool stop_the_rest;
	double seconds; /* as planned */
	struct drain_machine *machines;
	size_t n_machines;
	bool has_spare;
	struct drain_spare spare; /* once it is done */
};

extern const struct shape drain_shape, drain_spare_shape;
extern const char *const drain_state_names[DRAIN_STATES];

static inline void drain_record_done(struct drain_record *r)
{
	shape_done(&drain_shape, r);
}

/* NULL: there is none of it. */
struct drain_machine *drain_machine(struct drain_record *r, const char *uuid);
/* A new one at the end.  NULL: no memory. */
struct drain_machine *drain_add(struct drain_record *r, const char *name,
				const char *uuid);
unsigned drain_count(const struct drain_record *r, enum drain_fate fate);

int drain_save(const char *state_directory, const struct drain_record *r,
	       struct error *e);
/* DRAIN_NONE where there is no file. */
int drain_load(const char *state_directory, struct drain_record *ret,
	       struct error *e);
int drain_erase(const char *state_directory, struct error *e);
