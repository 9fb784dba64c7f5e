/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <limits.h>

static uint64_t read_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

void clock_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

struct timespec clock_timespec(uint64_t deadline_us)
{
	/* Far enough for "never", near enough for every kernel. */
	const uint64_t most = (uint64_t)INT_MAX * USEC_PER_SEC;

	if (deadline_us > most)
		deadline_us = most;
	return (struct timespec){
		.tv_sec = (time_t)(deadline_us / USEC_PER_SEC),
		.tv_nsec = (long)(deadline_us % USEC_PER_SEC * 1000),
	};
}

int clock_poll_ms(uint64_t deadline_us)
{
	uint64_t now = clock_us(), left_ms;

	if (deadline_us == USEC_NEVER)
		return -1;
	if (deadline_us <= now)
		return 0;
	left_ms = (deadline_us - now + USEC_PER_MS - 1) / USEC_PER_MS;
	return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}
