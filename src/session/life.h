/* SPDX-License-Identifier: MIT */

/*
 * Whether a session lives, how it ended, and who is to see to what follows.
 *
 * The lock is the last of all: nothing else is locked or called while it is
 * held.  So any thread may ask, end and wake, whatever it holds.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct error;

struct life {
	int end_fd; /* readable once it has ended */

	pthread_mutex_t lock;   /* guards what follows */
	pthread_cond_t changed; /* the supervisor waits */
	bool ended, failed, stopping, woken;
	char why[252];
	uint64_t ended_us;
	uint64_t outage_limit_us;
};

int life_init(struct life *l, uint64_t outage_limit_us, struct error *e);
void life_done(struct life *l);

/* Only the first end counts; whether this was it. */
bool life_end(struct life *l, bool failed, const char *why);
/* 0 while it lives; -ECONNABORTED with the reason. */
int life_check(struct life *l, struct error *e);
bool life_failed(struct life *l);
void life_set_outage_limit(struct life *l, uint64_t us);

/* There is something for the supervisor: a lane has ended, cards changed. */
void life_wake(struct life *l);
/* The supervisor ends when no lane is left. */
void life_stop(struct life *l);

/* How things stand, for the supervisor. */
struct life_now {
	bool ended, stopping;
	uint64_t ended_us, outage_limit_us;
};

/* Waits until it is woken, or until @deadline_us. */
struct life_now life_wait(struct life *l, uint64_t deadline_us);
