/* SPDX-License-Identifier: MIT */

/*
 * A move that waits, or has started and not ended, as it stands on disk:
 * STATE/queue/JOB.json.  docs/queue.md, "Restarts".
 *
 * Any thread may call, for one file one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "host/requests.h"
#include "move/job.h"

struct error;

struct queue_file {
	char job[JOB_ID_SIZE];
	char after[JOB_ID_SIZE]; /* the job that a restart undid; or empty */
	char machine[JOB_NAME_SIZE], uuid[UUID_CAP];
	unsigned priority;
	uint64_t asked_us; /* clock_wall_us() */
	bool started;
	unsigned undone; /* times, by a restart */
	struct move_request request;
};

extern const struct shape queue_file_shape;

void queue_file_done(struct queue_file *f);
/* On disk when they return. */
int queue_file_save(const char *state_directory, const struct queue_file *f,
		    struct error *e);
int queue_file_remove(const char *state_directory, const char *job,
		      struct error *e);
/* All that can be read; @one takes what is in @f over.  Those that cannot are
 * left, and named in the log. */
int queue_file_each(const char *state_directory,
		    int (*one)(void *context, struct queue_file *f,
			       struct error *e),
		    void *context, struct error *e);
