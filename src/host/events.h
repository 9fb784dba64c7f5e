/* SPDX-License-Identifier: MIT */

/*
 * What happens on this host, for who watches: docs/api.md, "Events".
 *
 * The last EVENTS_KEPT events are kept.  Whoever tells one never waits, for no
 * reader; a reader that has fallen behind by more than that is told how many it
 * has missed.
 *
 * Any thread may call everything.  The lock in here is taken last, and nothing
 * is called under it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "move/job.h"

struct error;
struct events;
struct nic_watch;

enum { EVENTS_KEPT = 256, EVENTS_READERS = 32, EVENT_STATE = 24 };

enum event_kind {
	EVENT_ALIVE, /* nothing, but that there is somebody */
	EVENT_MISSED,
	EVENT_JOB,
	EVENT_MACHINE,
	EVENT_CARD,
	EVENT_DRAIN,
	EVENT_KINDS,
};

extern const char *const event_kind_names[EVENT_KINDS]; /* "alive" */

/* What is empty is left out. */
struct event {
	uint64_t number, time_us; /* filled in here; time since 1970 */
	enum event_kind kind;
	char name[JOB_NAME_SIZE]; /* of the machine, card or host */
	char state[EVENT_STATE], stage[24], job[JOB_ID_SIZE],
		peer[JOB_NAME_SIZE];
	bool has_role;
	enum role role;
	bool outage;
	char error[JOB_ERROR_SIZE];
	uint64_t missed;
};

extern const struct shape event_shape;

/* Follows @nics, which outlives it, once events_follow() is called.  NULL: no
 * memory. */
struct events *events_new(void);
void events_follow(struct events *all, struct nic_watch *nics);
void events_free(struct events *all); /* without readers; NULL is fine */

void events_tell(struct events *all, const struct event *e);
/* How it is now. */
void events_tell_job(struct events *all, struct job *j);

/* What is not @told already, which it then is.  @all may be NULL. */
void events_tell_machine(struct events *all, const char *name,
			 char told[static EVENT_STATE], const char *state);

/* -EBUSY: there are EVENTS_READERS already of those who may change something
 * (@changes), or of those who may only look, so that these keep nobody of those
 * out; or the service ends.  What it hears is what is told from now on. */
struct events_reader;
int events_open(struct events *all, bool changes, struct events_reader **ret,
		struct error *e);
/* The next one, or EVENT_ALIVE after a while without any; false: the service
 * ends. */
bool events_next(struct events_reader *r, struct event *ret);
void events_close(struct events_reader *r);
/* All readers hear that it ends.  NULL is fine. */
void events_end(struct events *all);
