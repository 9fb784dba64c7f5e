/* SPDX-License-Identifier: MIT */

/*
 * What the source knows for its estimate: it measures, and has estimate.h
 * reckon.  Whatever fails here costs the estimate its certainty, and the move
 * nothing.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "move/job.h"
#include "move/source.h"
#include "pages/backends.h"
#include "qemu/monitor.h"
#include "qemu/process.h"
#include "session/session.h"
#include "wire/frame.h"

enum {
	OVER_MOST_S = 16,
	LATE_US = 100000, /* until QEMU has compared */
	NEAR_S = 1,       /* its monitor may soon be silent */
};

static void sample(struct source *m, unsigned over_s)
{
	struct source_clock *c = &m->clock;
	struct error e;

	c->over_s = 0;
	if (monitor_sample(m->qmp, over_s, c->used, &e) < 0) {
		log_debug("move %s: %s", m->job->machine, e.text);
		return;
	}
	c->over_s = over_s;
	c->due_us = clock_us() + over_s * USEC_PER_SEC + LATE_US;
}

uint64_t source_memory_used(pid_t pid)
{
	uint64_t mapped = process_ram_bytes(pid);
	uint64_t filled = backends_use(pid).filled;

	return mapped > filled ? mapped : filled;
}

void source_estimate_begin(struct source *m)
{
	m->clock.used = source_memory_used(m->machine->process.pid);
	m->clock.told = estimate_make(&(struct estimate_seen){ .rate = 0 });
	sample(m, 1);
}

static void keep(struct source_clock *c, uint64_t rate)
{
	for (unsigned i = SOURCE_SAMPLES - 1; i > 0; i--)
		c->sampled[i] = c->sampled[i - 1];
	c->sampled[0] = (struct estimate_change){
		.over_us = c->over_s * USEC_PER_SEC,
		.bytes = rate * c->over_s,
	};
	if (c->samples < SOURCE_SAMPLES)
		c->samples++;
}

/* Before the first round has shown it better; the first pass may have ended
 * meanwhile. */
static bool may_sample(const struct source *m)
{
	uint64_t rate = speed_rate(&m->clock.speed);

	return rounds_ended(&m->steer.rounds) == 0 && rate > 0 &&
	       rounds_remaining(&m->steer.rounds) / rate > NEAR_S;
}

void source_estimate_sample(struct source *m)
{
	struct source_clock *c = &m->clock;
	uint64_t rate;
	struct error e;
	int r;

	if (c->over_s == 0 || clock_us() < c->due_us || !may_sample(m))
		return;
	r = monitor_sampled(m->qmp, &rate, &e);
	if (r < 0) {
		log_debug("move %s: %s", m->job->machine, e.text);
		c->over_s = 0;
	} else if (r == 0) {
		c->due_us = clock_us() + LATE_US;
	} else {
		keep(c, rate);
		sample(m, c->over_s < OVER_MOST_S / 2 ? 2 * c->over_s
						      : OVER_MOST_S);
	}
}

static void take_changes(struct estimate_seen *s, const struct source *m)
{
	const struct source_clock *c = &m->clock;
	struct estimate_change *to = s->change;

	while (s->changes < ESTIMATE_CHANGES - SOURCE_SAMPLES &&
	       rounds_change(&m->steer.rounds, s->changes, &to->over_us,
			     &to->bytes)) {
		to++;
		s->changes++;
	}
	for (unsigned i = 0; i < c->samples; i++)
		s->change[s->changes++] = c->sampled[i];
}

static struct estimate_seen seen_of(const struct source *m,
				    const struct migration_info *info)
{
	const struct source_clock *c = &m->clock;
	uint64_t since_us = rounds_since_us(&m->steer.rounds);
	struct estimate_seen s = {
		.total = info->total,
		.used = c->used,
		.left = info->remaining,
		.first = info->rounds <= 1,
		.data = info->data_pages * WIRE_PAGE,
		.zero = info->zero_pages * WIRE_PAGE,
		.among = c->speed.among,
		.since_us = since_us == UINT64_MAX ? 0 : since_us,
		.rate = speed_rate(&c->speed),
		.rate_error = speed_error(&c->speed),
		.zero_rate = c->speed.zero_rate,
		.limit_us = m->steer.rules.limit_us,
		.steps = m->steer.rules.steps,
		.timeout_us = m->timeout_us,
		.elapsed_us = clock_us() - m->times.migrate_us,
	};

	take_changes(&s, m);
	return s;
}

void source_estimate(struct source *m, const struct migration_info *info,
		     const struct session_stats *st)
{
	struct source_clock *c = &m->clock;
	const struct speed_point now = {
		.at_us = clock_us(),
		.data = info->data_pages * WIRE_PAGE,
		.zero = info->zero_pages * WIRE_PAGE,
	};
	struct estimate_seen seen;
	struct estimate next;

	if (st->outage)
		speed_restart(&c->speed);
	else
		speed_add(&c->speed, &now);
	/* It was another guest, or is one now. */
	if (info->throttle > 1)
		c->samples = 0;
	seen = seen_of(m, info);
	next = estimate_make(&seen);
	c->told = estimate_follow(&c->told, &next, now.at_us - c->told_us);
	c->told_us = now.at_us;
	progress_estimate(&m->progress, &c->told);
	log_debug("move %s: left %lld to %lld ms, %s, %s", m->job->machine,
		  (long long)m->progress.time_left_least_ms,
		  (long long)m->progress.time_left_most_ms,
		  estimate_end_names[c->told.end],
		  estimate_sure_names[c->told.sure]);
}
