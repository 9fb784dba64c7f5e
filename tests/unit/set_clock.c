/* SPDX-License-Identifier: MIT */
#include "set_clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>

/* How long a wait may not notice that the clock was put forward. */
enum { SLICE_US = 1000 };

static atomic_uint_fast64_t passed_us;

static uint64_t read_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_us(void)
{
	return read_us(CLOCK_MONOTONIC) + atomic_load(&passed_us);
}

uint64_t clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME) + atomic_load(&passed_us);
}

void clock_pass(uint64_t us)
{
	atomic_fetch_add(&passed_us, us);
}

void clock_hasten(uint64_t us)
{
	const struct timespec moment = { .tv_nsec = SLICE_US * 1000 };

	clock_pass(us);
	ppoll(NULL, 0, &moment, NULL);
}

/* --- the rest of base/clock.h */

void clock_cond_init(pthread_cond_t *c)
{
	pthread_cond_init(c, NULL);
}

struct timespec clock_timespec(uint64_t deadline_us)
{
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

/* --- waits, in place of the C library's */

/* Of a wait that ends at @deadline_us, what may be waited at once. */
static struct timespec slice(uint64_t deadline_us)
{
	uint64_t now = clock_us();
	uint64_t us = deadline_us <= now ? 0 : deadline_us - now;

	return (struct timespec){
		.tv_nsec = (long)(us < SLICE_US ? us : SLICE_US) * 1000
	};
}

int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
			   const struct timespec *t)
{
	uint64_t deadline = (uint64_t)t->tv_sec * USEC_PER_SEC +
			    (uint64_t)t->tv_nsec / 1000;

	for (;;) {
		struct timespec until = slice(deadline);
		uint64_t end = read_us(CLOCK_MONOTONIC) +
			       (uint64_t)until.tv_nsec / 1000;
		int r;

		until = clock_timespec(end);
		r = pthread_cond_clockwait(c, m, CLOCK_MONOTONIC, &until);
		if (r != ETIMEDOUT || clock_us() >= deadline)
			return r;
	}
}

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	uint64_t deadline =
		clock_us() +
		(uint64_t)(timeout_ms < 0 ? 0 : timeout_ms) * USEC_PER_MS;

	if (timeout_ms < 0)
		return ppoll(fds, n, NULL, NULL);
	for (;;) {
		const struct timespec t = slice(deadline);
		int r = ppoll(fds, n, &t, NULL);

		if (r != 0 || clock_us() >= deadline)
			return r;
	}
}
