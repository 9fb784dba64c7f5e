/* SPDX-License-Identifier: MIT */
#include "host/drain.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/parts.h"
#include "host/store.h"

struct drain {
	const char *state_directory, *host_name; /* set when made */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t ended; /* the work has */
	struct drain_record record;
	bool works, cancel;
	bool unreadable; /* the file is there, and is none of ours to lose */
};

struct drain *drain_new(const char *state_directory, const char *host_name)
{
	struct drain *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->state_directory = state_directory;
	d->host_name = host_name;
	pthread_mutex_init(&d->lock, NULL);
	clock_cond_init(&d->ended);
	return d;
}

void drain_free(struct drain *d)
{
	if (!d)
		return;
	drain_record_done(&d->record);
	pthread_cond_destroy(&d->ended);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* A file that cannot be read keeps the host closed: somebody wanted it so. */
int drain_restore(struct drain *d, struct error *e)
{
	WITH_LOCK(&d->lock);

	if (drain_load(d->state_directory, &d->record, e) < 0) {
		log_error("drain: %s: no machine comes or starts here until "
			  "'drover drain --cancel'",
			  e->text);
		d->record.state = DRAIN_REMAINS;
		d->unreadable = true;
	} else if (d->record.state == DRAIN_DRAINING) {
		d->record.state = DRAIN_INTERRUPTED;
	} else if (d->record.state == DRAIN_RETURNING) {
		d->record.state = DRAIN_AWAY;
	}
	return 0;
}

int drain_known(struct drain *d, struct error *e)
{
	WITH_LOCK(&d->lock);

	if (!d->unreadable)
		return 0;
	return error_set(e, EIO,
			 "the list of what left %s could not be read: "
			 "%s/drain.json: after 'drover drain --cancel' move "
			 "each back from the host where it is",
			 d->host_name, d->state_directory);
}

/* Locked.  By a second name: the first stays until another file is there. */
static int set_aside(const struct drain *d, struct error *e)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (!d->unreadable)
		return 0;
	snprintf(from, sizeof(from), "%s/drain.json", d->state_directory);
	snprintf(to, sizeof(to), "%s/drain.json.bad", d->state_directory);
	unlink(to); /* of an earlier time */
	if (link(from, to) < 0 && errno != ENOENT)
		return error_sys(e, "keep %s as %s", from, to);
	return 0;
}

/* Locked. */
static bool is_closed(const struct drain *d)
{
	static const bool closed[DRAIN_STATES] = {
		[DRAIN_DRAINING] = true,
		[DRAIN_DRAINED] = true,
		[DRAIN_REMAINS] = true,
		[DRAIN_INTERRUPTED] = true,
	};

	return closed[d->record.state];
}

bool drain_closed(struct drain *d, char *why, size_t cap)
{
	WITH_LOCK(&d->lock);

	why[0] = '\0';
	if (!is_closed(d))
		return false;
	snprintf(why, cap, "is %s and takes no machines",
		 d->record.state == DRAIN_DRAINING ? "being drained"
						   : "drained");
	return true;
}

int drain_check(struct drain *d, struct error *e)
{
	char why[80];

	if (!drain_closed(d, why, sizeof(why)))
		return 0;
	return error_set(e, EBUSY,
			 "%s %s: 'drover return' there brings back those that "
			 "have left it, 'drover drain --cancel' does not",
			 d->host_name, why);
}

int drain_copy(struct drain *d, struct drain_record *ret, struct error *e)
{
	WITH_LOCK(&d->lock);

	*ret = (struct drain_record){ 0 };
	return shape_copy(&drain_shape, ret, &d->record, e);
}

/* --- for who works on it */

int drain_begin(struct drain *d, const struct drain_record *r, struct error *e)
{
	struct drain_record copy = { 0 };

	WITH_LOCK(&d->lock);

	if (d->works)
		return error_set(e, EBUSY,
				 "%s is %s already: 'drover drain --cancel' "
				 "ends that",
				 d->host_name,
				 drain_state_names[d->record.state]);
	if (shape_copy(&drain_shape, &copy, r, e) < 0)
		return error_code(e);
	if (set_aside(d, e) < 0 ||
	    drain_save(d->state_directory, &copy, e) < 0) {
		drain_record_done(&copy);
		return error_code(e);
	}
	drain_record_done(&d->record);
	d->record = copy;
	d->works = true;
	d->cancel = d->unreadable = false;
	return 0;
}

int drain_note(struct drain *d, const struct drain_machine *m, struct error *e)
{
	struct drain_machine *at;

	WITH_LOCK(&d->lock);

	at = drain_machine(&d->record, m->uuid);
	if (!at)
		at = drain_add(&d->record, m->name, m->uuid);
	if (!at)
		return error_set(e, ENOMEM, "no memory for the drain");
	*at = *m;
	return drain_save(d->state_directory, &d->record, e);
}

void drain_ends(struct drain *d, enum drain_state state)
{
	struct error e;
	int r;

	WITH_LOCK(&d->lock);

	d->record.state = state;
	r = set_aside(d, &e);
	if (state == DRAIN_NONE) {
		if (r == 0)
			r = drain_erase(d->state_directory, &e);
		drain_record_done(&d->record);
	} else if (r == 0) {
		r = drain_save(d->state_directory, &d->record, &e);
	}
	if (r < 0)
		log_error("drain: %s", e.text);
	else
		d->unreadable = false;
	d->works = false;
	pthread_cond_broadcast(&d->ended);
}

void drain_breaks(struct drain *d)
{
	WITH_LOCK(&d->lock);

	d->works = false;
	pthread_cond_broadcast(&d->ended);
}

bool drain_cancelled(struct drain *d)
{
	WITH_LOCK(&d->lock);

	return d->cancel;
}

bool drain_goes_on(struct host *h, int pause_ms)
{
	return !host_stops(h, pause_ms) && !drain_cancelled(h->drain);
}

bool drain_has_left(const struct drain *d, struct drain_machine *m)
{
	char peer[STORE_NAME_CAP];

	if (!store_last_seen(d->state_directory, m->uuid, peer))
		return false;
	snprintf(m->to, sizeof(m->to), "%s", peer);
	return true;
}

bool drain_cancel_work(struct drain *d)
{
	bool worked;

	WITH_LOCK(&d->lock);

	worked = d->works;
	d->cancel = true;
	while (d->works)
		pthread_cond_wait(&d->ended, &d->lock);
	return worked;
}
