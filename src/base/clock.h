/* SPDX-License-Identifier: MIT */

/*
 * Time.  Intervals and deadlines are microseconds of CLOCK_MONOTONIC; what a
 * person or QEMU sees is CLOCK_REALTIME.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define USEC_PER_MS ((uint64_t)1000)
#define USEC_PER_SEC ((uint64_t)1000000)
#define USEC_NEVER UINT64_MAX

uint64_t clock_us(void);      /* monotonic */
uint64_t clock_wall_us(void); /* since 1970, UTC */

static inline int64_t clock_wall_s(void)
{
	return (int64_t)(clock_wall_us() / USEC_PER_SEC);
}

/* A condition whose deadlines are clock_us() time, not the time of day. */
void clock_cond_init(pthread_cond_t *c);

/* A deadline in clock_us() time for pthread_cond_timedwait() on a condition
 * made by clock_cond_init(). */
struct timespec clock_timespec(uint64_t deadline_us);

/* Milliseconds from now to @deadline_us for poll(): 0 when it has passed, -1
 * for USEC_NEVER; rounds up, so that a wait never ends early. */
int clock_poll_ms(uint64_t deadline_us);
