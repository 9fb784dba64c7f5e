/* SPDX-License-Identifier: MIT */

/*
 * QEMU samples the guest over one second and then over three, while the peer is
 * asked for the paths.  The machine is held meanwhile, as for a comparison.
 */
#include "host/estimate_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "host/host.h"
#include "host/moves.h"
#include "host/parts.h"
#include "host/paths.h"
#include "host/registry.h"
#include "host/terms.h"
#include "move/converge.h"
#include "move/source.h"
#include "qemu/monitor.h"
#include "qemu/qmp.h"

enum {
	MONITOR_US = 5000000,
	SHORT_S = 1,
	LONG_S = 3,
	LATE_US = 3000000,  /* QEMU compares */
	BUSY_US = 17000000, /* the longest that a move has it sample */
	TURN_MS = 50,
	BITS = 8,
	/* Per cent.  A card carries so much of what it is said to; what is
	 * compressed is less, by so much, or not, or more. */
	CARRIES = 90,
	SMALLER = 130,
	MEASURED_ERROR = 15,
	PRESSED_ERROR = 30,
	GUESSED_ERROR = 40,
};

/* --- the guest */

struct sampling {
	struct host *host;
	struct qmp *qmp;
	struct estimate_seen *seen;
	unsigned over_s; /* 0: QEMU does not sample */
	uint64_t begun_us;
};

static int turn(const struct sampling *a, struct error *e)
{
	if (host_stops(a->host, TURN_MS))
		return error_set(e, ECANCELED, "droverd is stopping");
	return 0;
}

/* Somebody else may have it sample now, such as a move that has failed. */
static int sample_begin(struct sampling *a, unsigned over_s, struct error *e)
{
	const uint64_t until = clock_us() + BUSY_US;
	struct error why;
	int r;

	a->over_s = over_s;
	do {
		a->begun_us = clock_us();
		r = monitor_sample(a->qmp, over_s, a->seen->used, &why);
		if (r == -EREMOTEIO && turn(a, e) < 0)
			return error_code(e);
	} while (r == -EREMOTEIO && clock_us() < until);
	if (r < 0) {
		log_debug("%s", why.text);
		a->over_s = 0;
	}
	return 0;
}

/* The newest is the first. */
static void sample_keep(struct sampling *a, uint64_t rate)
{
	struct estimate_seen *s = a->seen;

	s->change[1] = s->change[0];
	s->change[0] = (struct estimate_change){
		.over_us = a->over_s * USEC_PER_SEC,
		.bytes = rate * a->over_s,
	};
	s->changes++;
}

/* Until QEMU has compared, or does not in time. */
static int sample_end(struct sampling *a, struct error *e)
{
	uint64_t until = a->begun_us + a->over_s * USEC_PER_SEC + LATE_US;
	uint64_t rate;
	int r = 0;

	while (a->over_s && r == 0 && clock_us() < until) {
		if (turn(a, e) < 0)
			return error_code(e);
		r = monitor_sampled(a->qmp, &rate, e);
	}
	if (r > 0)
		sample_keep(a, rate);
	return r < 0 ? r : 0;
}

/* --- the paths */

/* What those that would be used carry, together. */
static void take_rate(struct estimate_seen *s, struct estimate_view *v,
		      const struct paths_report *paths, bool presses)
{
	v->rate_measured = true;
	for (size_t i = 0; i < paths->paths_count; i++) {
		const struct path_report *p = &paths->paths[i];

		if (p->state != PATH_USED && p->state != PATH_GIVEN)
			continue;
		v->rate += p->delivered ? p->delivered
					: p->speed_mbit * 1000000ULL / BITS *
						  CARRIES / 100;
		v->rate_measured = v->rate_measured && p->delivered;
	}
	v->rate_measured = v->rate_measured && v->rate;
	s->guessed = !v->rate_measured;
	s->rate = presses ? v->rate * SMALLER / 100 : v->rate;
	s->rate_error = s->guessed ? GUESSED_ERROR
			: presses  ? PRESSED_ERROR
				   : MEASURED_ERROR;
}

static int ask_paths(struct estimate_seen *s, struct estimate_view *v,
		     const struct terms *t, const struct move_peer *peer,
		     const struct move_paths *paths, struct error *e)
{
	struct paths_report report;

	if (paths_plan(t, peer, paths, &report, /* rdma */ NULL, e) < 0)
		return error_code(e);
	take_rate(s, v, &report,
		  paths->mode->compresses && !paths->never_press);
	shape_done(&paths_report_shape, &report);
	return 0;
}

/* --- all of it */

static int64_t known_ms(uint64_t us)
{
	return us == ESTIMATE_NONE ? -1 : (int64_t)(us / USEC_PER_MS);
}

static void tell(struct estimate_view *v, const struct estimate_seen *s)
{
	struct estimate e = estimate_make(s);
	const struct converge_rules rules = { s->limit_us, s->steps };

	v->memory = s->total;
	v->used = s->used;
	v->has_dirty_rate = s->changes > 0;
	v->dirty_rate = e.dirty_rate;
	v->time_ms = known_ms(e.left.likely_us);
	v->time_least_ms = known_ms(e.left.least_us);
	v->time_most_ms = known_ms(e.left.most_us);
	v->downtime_ms = known_ms(e.downtime_us);
	v->sure = e.sure;
	v->ends = e.end;
	if (e.end == ESTIMATE_NEVER)
		converge_say(v->advice, sizeof(v->advice), &rules,
			     &(struct converge_seen){ .rate = s->rate,
						      .dirty_rate =
							      e.dirty_rate },
			     "");
}

struct asked_move {
	struct host *host;
	const struct terms *terms;
	const struct move_peer *peer;
	const struct move_options *options;
};

static int look(const struct asked_move *q, struct qmp *qmp, pid_t pid,
		struct estimate_view *v, struct error *e)
{
	struct estimate_seen s = {
		.first = true,
		.used = source_memory_used(pid),
		.limit_us = q->options->downtime_limit_us,
		.steps = q->options->converge,
		.timeout_us = q->options->timeout_us,
	};
	struct sampling a = { .host = q->host, .qmp = qmp, .seen = &s };

	if (monitor_memory(qmp, &s.total, e) < 0)
		return error_code(e);
	s.left = s.total;
	if (s.used > s.total)
		s.used = s.total;
	if (sample_begin(&a, SHORT_S, e) < 0 ||
	    ask_paths(&s, v, q->terms, q->peer, &q->options->paths, e) < 0 ||
	    sample_end(&a, e) < 0)
		return error_code(e);
	if (s.changes > 0 &&
	    (sample_begin(&a, LONG_S, e) < 0 || sample_end(&a, e) < 0))
		return error_code(e);
	tell(v, &s);
	return 0;
}

static int look_at(const struct asked_move *q, const struct machine *m,
		   struct estimate_view *v, struct error *e)
{
	const struct move_machine seen = moves_view(m);
	struct qmp *qmp;
	int r;

	if (!machine_record(m)->started)
		return error_set(e, EBUSY,
				 "machine %s does not run: start it with "
				 "'drover vm start %s'",
				 seen.name, seen.name);
	if (qmp_open(&qmp, seen.process.qmp_path, clock_us() + MONITOR_US, e) <
	    0)
		return error_code(e);
	r = look(q, qmp, seen.process.pid, v, e);
	qmp_close(qmp);
	return r;
}

int machine_estimate(struct host *h, const char *name,
		     const struct move_request *of, struct estimate_view *ret,
		     struct error *e)
{
	const struct hold by = { .kind = HOLD_ESTIMATE };
	AUTO_TERMS struct terms t = terms_of(h);
	struct move_options options = { 0 };
	struct estimate_view v = { 0 };
	struct move_peer peer;
	struct machine *m;
	int r;

	if (moves_options(&options, t.settings, of, e) < 0 ||
	    peer_of(&t, of->host, &peer, e) < 0)
		return error_code(e);
	if ((r = machine_take(h->registry, name, by, &m, e)) < 0)
		return r;
	snprintf(v.machine, sizeof(v.machine), "%s", name);
	snprintf(v.host, sizeof(v.host), "%s", of->host);
	snprintf(v.mode, sizeof(v.mode), "%s", options.paths.mode->name);
	r = look_at(&(struct asked_move){ h, &t, &peer, &options }, m, &v, e);
	machine_release(h->registry, m);
	if (r == 0)
		*ret = v;
	return r;
}
