/* SPDX-License-Identifier: MIT */

/*
 * Programs of the administrator's that are asked before something is done, and
 * told afterwards: docs/hooks.md.  They run one after the other, in the order
 * of their names, as a user of their own, with JSON on standard input.
 *
 * Any thread may call, and no lock is held: it may take a minute.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/shape.h"
#include "move/job.h"

struct error;
struct host;

enum hook_when {
	HOOK_BEFORE_MOVE,
	HOOK_AFTER_MOVE,
	HOOK_BEFORE_DRAIN,
	HOOK_AFTER_DRAIN,
	HOOK_FAULT,
	HOOK_WHENS,
};

extern const char *const hook_when_names[HOOK_WHENS]; /* "before-move" */

/* What they are told.  What is empty is null. */
struct hook_event {
	enum hook_when when;
	char host[JOB_NAME_SIZE]; /* this one; filled in here */
	char job[JOB_ID_SIZE], machine[JOB_NAME_SIZE], peer[JOB_NAME_SIZE];
	bool has_role;
	enum role role;
	char state[16]; /* of a job that has ended, or is in doubt */
	char error[JOB_ERROR_SIZE];
};

extern const struct shape hook_event_shape;

struct hook_event hook_of_job(struct job *j, enum hook_when when);

/* What is about to be done: -EACCES where one refuses, in its words, or fails,
 * or takes too long; -ECANCELED as soon as @j, which may be NULL, is asked to
 * end, or the host stops. */
int hooks_ask(struct host *h, const struct hook_event *event, struct job *j,
	      struct error *e);
/* What was done: a failure is a line in the log. */
void hooks_tell(struct host *h, const struct hook_event *event);
/* As hooks_tell(), after what was to be told before, in a thread of its own for
 * all of it; where too much waits already, a line in the log instead. */
void hooks_tell_later(struct host *h, const struct hook_event *event);
/* Likewise, that a move has ended; one that failed is a fault besides. */
void hooks_tell_end(struct host *h, struct job *j);

/* What waits to be told.  NULL: no memory; nobody tells any more when it is
 * freed; NULL is fine. */
struct hook_queue *hook_queue_new(void);
void hook_queue_free(struct hook_queue *q);

/* This host is about to be drained: as hooks_ask().  It has been, or as much of
 * it as could be: @state is the drain's.  Who reads events hears both. */
int hooks_ask_drain(struct host *h, struct error *e);
void hooks_tell_drain(struct host *h, const char *state);

/* What hooks_ask() does with the files of @directory, for tests: @user is
 * whose they run as, @stop_fd readable ends them; -1: nothing does. */
struct hooks {
	const char *directory, *user;
	uint64_t limit_us; /* of each */
	int stop_fd;
	struct job *job; /* or NULL */
};

int hooks_run(const struct hooks *h, const char *text, struct error *e);
