/* SPDX-License-Identifier: MIT */

/* Lanes of one side with their frames, and no session above them; notes what
 * lanes say.  Fails the test where it waits for more than 10 s. */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "frames/inbox.h"
#include "frames/outbox.h"
#include "lanes/lanes.h"

struct side {
	struct outbox out;
	struct inbox in;
	struct lanes *lanes;
	sem_t ended, came, bye;
	pthread_mutex_t lock; /* for the next two: each lane hears a goodbye */
	bool bye_failed;
	char bye_why[64];
	char cards[64];
	atomic_uint_fast64_t generation;
};

void side_init(struct side *s, const char *peer);
void wait_for(sem_t *what);
struct lane_view next_ended(struct side *s);
void end_side(struct side *s, bool failed, const char *why);
void bury_all(struct side *s);
/* After both. */
void side_done(struct side *s);
