/* SPDX-License-Identifier: MIT */

/*
 * A guest and a QEMU that migrates it, played: the guest changes units of its
 * memory, QEMU sends them, looks at its bitmap when the rest seems to fit into
 * its limit, and stops the guest when it does.  The source asks, measures and
 * chooses as in a move.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "move/converge.h"
#include "move/rounds.h"

enum {
	UNITS = 32768, /* of memory */
	UNIT = 65536,  /* bytes */
	TICK_US = 10000,
	PART_US = 50000,     /* QEMU looks at its estimate so often, */
	NOTICED_US = 100000, /* at its limit, */
	ASKED_US = 50000,    /* and is asked what it does */
	LIMIT_US = 300000,
	FOUND_US = 1000000, /* QEMU looks how fast its guest is, */
	GIVEN_UP_US = 200000000,
	LOOKED_AT = 240, /* units of nothing in a tick */
};

#define PLAY_RATE 125e6 /* bytes a second */

/* A guest: how many bytes a second it changes at some time, and where. */
struct guest {
	double share;      /* of the rate */
	unsigned hot;      /* units, from the first on, in turn; 0: all */
	uint64_t burst_us; /* it does so for that long, and is idle as long */
	bool anywhere;     /* and not in turn */
	bool strided;      /* each once, but far apart: as the stress guest */
	bool zeros;        /* to zeros: half of what it changes */
};

struct play;

struct play {
	struct guest guest;
	unsigned units; /* of memory; 0: all */
	bool full;      /* QEMU has the whole limit from the begin on */
	unsigned fixed; /* QEMU has this throttle from the begin on */
	unsigned steps;
	/* How QEMU reckons: what it adds to the memory, and how fast it takes
	 * the paths to be; as they are where that is 0.  Before 9.0 it looks at
	 * its bitmap by the memory alone. */
	double adds, takes_for;
	bool old;
	uint64_t silent_us, silent_until_us; /* the links */
	/* They carry so much more or less than PLAY_RATE, changing slowly. */
	double uneven;
	unsigned empty; /* units from the last one back that hold nothing */
	/* Each time that the source has asked. */
	void (*asked)(struct play *p);

	uint64_t now_us, sync_us, syncs, noticed_us, asked_us;
	uint64_t found_us, found_data, found_dirty; /* QEMU's reckoning */
	unsigned too_fast;                          /* how often it was */
	uint64_t data, zero;
	/* Since the last sync; ever, for who samples it. */
	uint8_t known[UNITS], changed[UNITS], sampled[UNITS];
	unsigned known_count, at, next;
	double owed, room, drift;
	unsigned random;
	uint64_t limit_us; /* that QEMU goes by */
	unsigned throttle, throttle_asked;
	struct rounds rounds;
	struct converge c;
	struct converge_seen seen;
	uint64_t said_us; /* that it is stuck */
	bool late;        /* it was not said after the second round */
};

struct outcome {
	double total_s, downtime_s;
	unsigned throttle;
	bool ended, stuck, said_late;
};

struct outcome play_with(const struct play *of);
struct outcome play(const struct guest *guest, bool full, unsigned steps);
