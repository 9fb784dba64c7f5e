/* SPDX-License-Identifier: MIT */
#include "host/drain_stop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/drain.h"
#include "host/host.h"
#include "host/machine_view.h"
#include "host/parts.h"
#include "host/shutdown.h"

enum { TURN_MS = 200 };

/* The disk may be full meanwhile: what is asked goes on. */
static void note(struct host *h, const struct drain_machine *m)
{
	struct error e;

	if (drain_note(h->drain, m, &e) < 0)
		log_error("drain: machine %s: %s", m->name, e.text);
}

static void stays(struct host *h, struct drain_machine *m, const char *why)
{
	snprintf(m->why, sizeof(m->why), "%s", why);
	log_warning("drain: machine %s stays: %s", m->name, why);
	note(h, m);
}

/* It is on disk before the guest hears of it: one that powers off when the
 * daemon has ended is one that 'return' starts. */
static void ask(struct host *h, struct drain_machine *m,
		struct shutdown_wait *w)
{
	struct error e;

	if (!m->asked && !shutdown_is_on(h, m->name)) {
		/* Somebody switched it off since the plan was made. */
		m->kept = true;
		stays(h, m, "does not run");
		return;
	}
	m->asked = true;
	note(h, m);
	if (shutdown_ask(h, m->name, w, &e) == 0)
		return;
	m->asked = false;
	w->deadline_us = 0;
	stays(h, m, e.text);
}

/* Somebody may have found a host for it meanwhile. */
static void is_off(struct host *h, struct drain_machine *m)
{
	m->fate = drain_has_left(h->drain, m) ? FATE_MOVED : FATE_STOPPED;
	m->why[0] = '\0';
	note(h, m);
}

/* True: it is waited for. */
static bool waits(struct host *h, struct drain_machine *m,
		  struct shutdown_wait *w)
{
	struct machine_view v;
	struct error e;
	int r;

	if (w->deadline_us == 0)
		return false;
	r = shutdown_look(h, m->name, w, &v, &e);
	if (r == 0)
		return true;
	w->deadline_us = 0;
	/* Not here any more: it was moved by hand. */
	if (r < 0 && (r != -ENOENT || !drain_has_left(h->drain, m))) {
		stays(h, m, e.text);
		return false;
	}
	if (r > 0)
		machine_view_done(&v);
	is_off(h, m);
	return false;
}

void drain_stop_rest(struct host *h, struct drain_record *r)
{
	AUTO_FREE struct shutdown_wait *all =
		calloc(r->n_machines + 1, sizeof(*all));
	unsigned left = 0;

	if (!all) {
		log_error("drain: no memory to stop the rest");
		return;
	}
	for (size_t i = 0; i < r->n_machines && drain_goes_on(h, 0); i++)
		if (r->machines[i].fate == FATE_STAYS && !r->machines[i].kept)
			ask(h, &r->machines[i], &all[i]);
	do {
		left = 0;
		for (size_t i = 0; i < r->n_machines; i++)
			left += waits(h, &r->machines[i], &all[i]);
	} while (left > 0 && drain_goes_on(h, TURN_MS));
	for (size_t i = 0; i < r->n_machines; i++)
		if (all[i].deadline_us > 0)
			stays(h, &r->machines[i],
			      "its guest was asked to power off, and the drain "
			      "ended before it had");
}
