/* SPDX-License-Identifier: MIT */

/*
 * How fast pages are taken from QEMU while it may stop the guest.
 *
 * QEMU stops the guest when the rest takes the downtime limit at the rate of
 * the last tenth of a second.  Pages that the destination has already, or
 * nearly, leave a hundred times as fast as others: after a row of them QEMU
 * expects that of all the rest, and the guest stands still for longer than the
 * limit.  So while the end is near the rate is at most a quarter higher than
 * the average over PACE_OVER_US.  A rate that has come to stay is reached that
 * way, doubling in three seconds; a row of repeats is just spread out.  What
 * the link takes of plain pages may always be taken.
 *
 * Time in which QEMU had nothing to say does not count.
 *
 * One thread's.
 */
#pragma once

#include <stdint.h>

enum {
	PACE_OVER_US = 1000000, /* that the rate is an average of, */
	PACE_FIRST_US = 50000,  /* and at the beginning */
	PACE_PAUSE_US = 20000,  /* what is longer was QEMU's silence */
	/* What may be taken at once must not fill the tenth of a second that
	 * QEMU measures. */
	PACE_BURST_US = 10000,
	PACE_BURST_LEAST = 256 * 1024,
};

struct pace {
	double least;     /* bytes a second that are never held back */
	double rate;      /* bytes of memory a second */
	double credit;    /* bytes that may be taken at once */
	double over_us;   /* that the rate is an average of now */
	uint64_t last_us; /* 0: nothing was taken yet */
};

/* Pages of @bytes were taken. */
void pace_took(struct pace *p, uint64_t bytes, uint64_t now_us);
/* How long to wait before the next: microseconds, at most PACE_PAUSE_US; ask
 * again then. */
uint64_t pace_wait_us(struct pace *p, uint64_t now_us);
/* Nobody waits: what was taken too fast is not made up for later. */
void pace_forgive(struct pace *p);
