/* SPDX-License-Identifier: MIT */

/*
 * What the source does at each of QEMU's rounds: measures, has converge.h
 * choose, and tells QEMU.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "move/job.h"
#include "move/source.h"
#include "qemu/monitor.h"
#include "session/session.h"
#include "wire/frame.h"

enum {
	/* A synchronisation so lately tells what is changed exactly. */
	FRESH_US = 50000,
	/* Of what was sent, per cent, that a guest may change before QEMU slows
	 * it down: as much as can be, or, where it is to do as it is told, at
	 * once, from the first round on. */
	TRIGGER_NONE = 100,
	TRIGGER_ALWAYS = 1,
	NEAR_S = 1, /* the rest takes no longer */
};

static int tell_limit(struct source *m, uint64_t limit_us, struct error *e)
{
	if (monitor_set_parameter(m->qmp, "downtime-limit",
				  limit_us / USEC_PER_MS, e) < 0)
		return error_code(e);
	log_debug("move %s: downtime limit of QEMU %llu ms", m->job->machine,
		  (unsigned long long)(limit_us / USEC_PER_MS));
	return 0;
}

/* QEMU takes a step each time that it finds the guest too fast, twice in a row
 * and a second apart at least: the one step that it has leads to what was
 * chosen.  0 is as little as it can be told, which is 1. */
static int tell_throttle(struct source *m, unsigned throttle, unsigned now,
			 struct error *e)
{
	unsigned most = throttle ? throttle : 1;
	const struct monitor_throttle t = {
		.trigger = m->rules.steps & CONVERGE_THROTTLE || now > 1
				   ? TRIGGER_ALWAYS
				   : TRIGGER_NONE,
		.begin = most,
		.step = most > now ? most - now : 1,
		.most = most,
	};

	return monitor_set_throttle(m->qmp, &t, e);
}

/* What it might be told later it has to be able to do from the begin on. */
int source_rounds_begin(struct source *m, struct error *e)
{
	const struct converge_seen nothing = { 0 };

	m->converge = converge_next(&m->converge, &m->rules, &nothing);
	if (monitor_set_capability(m->qmp, &m->capabilities, "auto-converge",
				   true, e) < 0 ||
	    tell_throttle(m, 0, 0, e) < 0)
		return error_code(e);
	return tell_limit(m, m->converge.limit_us, e);
}

static struct converge_seen seen_of(const struct source *m,
				    const struct migration_info *info)
{
	const struct rounds *r = &m->rounds;

	return (struct converge_seen){
		.now_us = clock_us() - m->times.migrate_us,
		.remaining = rounds_remaining(r),
		.rate = rounds_rate(r),
		.dirty_rate = rounds_dirty_rate(r),
		.rounds = rounds_ended(r),
		.sure = rounds_ended(r) > 1 || rounds_since_us(r) < FRESH_US,
		.fresh = rounds_are_fresh(r),
		.throttle = info->throttle,
	};
}

/* Cards that it does not use, "eth1"; empty where there are none. */
static void name_spare(struct source *m, char *buf, size_t cap)
{
	struct paths_report paths;
	struct error e;
	size_t used = 0;

	buf[0] = '\0';
	if (session_paths(m->session, &paths, &e) < 0)
		return;
	for (size_t i = 0; i < paths.paths_count && used < cap; i++)
		if (paths.paths[i].state == PATH_SPARE)
			used += (size_t)snprintf(buf + used, cap - used, "%s%s",
						 used ? ", " : "",
						 paths.paths[i].near);
	shape_done(&paths_report_shape, &paths);
}

static void say_stuck(struct source *m, const struct converge_seen *seen)
{
	char spare[64], text[JOB_ADVICE_SIZE];

	name_spare(m, spare, sizeof(spare));
	converge_say(text, sizeof(text), &m->rules, seen, spare);
	log_warning("move %s (%s): %s", m->job->machine, m->job->id, text);
	snprintf(m->stuck, sizeof(m->stuck), "%s", text);
	job_set_advice(m->job, text);
}

static int tell(struct source *m, const struct converge *next,
		const struct migration_info *info, struct error *e)
{
	if (next->limit_us != m->converge.limit_us &&
	    tell_limit(m, next->limit_us, e) < 0)
		return error_code(e);
	if (next->throttle == m->converge.throttle)
		return 0;
	log_info("move %s (%s): the guest is to be slowed down by %u %%, and "
		 "is by %u %%",
		 m->job->machine, m->job->id, next->throttle, info->throttle);
	return tell_throttle(m, next->throttle, info->throttle, e);
}

bool source_is_near(const struct source *m)
{
	uint64_t rate = rounds_rate(&m->rounds);

	return rate > 0 && rounds_ended(&m->rounds) > 0 &&
	       rounds_remaining(&m->rounds) / rate <= NEAR_S;
}

/* While nothing is heard of the peer, what leaves says nothing of the paths. */
static bool is_outage(const struct source *m)
{
	struct session_stats st;

	session_stats(m->session, &st);
	return st.outage;
}

static void measure(struct source *m, const struct migration_info *info)
{
	/* QEMU's least is no other guest. */
	bool slower = info->throttle != m->throttle &&
		      (info->throttle > 1 || m->throttle > 1);

	if (slower || is_outage(m))
		rounds_restart(&m->rounds);
	m->throttle = info->throttle;
	if (info->throttle > m->times.throttle)
		m->times.throttle = info->throttle;
	rounds_add(&m->rounds,
		   &(struct rounds_seen){ .at_us = clock_us(),
					  .syncs = info->rounds,
					  .pass = m->pass,
					  .pass_us = m->pass_us,
					  .data = info->data_pages * WIRE_PAGE,
					  .zero = info->zero_pages * WIRE_PAGE,
					  .remaining = info->remaining });
}

int source_round(struct source *m, const struct migration_info *info,
		 struct error *e)
{
	struct converge_seen seen;
	struct converge next;
	bool helpless;

	measure(m, info);
	seen = seen_of(m, info);
	next = converge_next(&m->converge, &m->rules, &seen);
	log_debug("move %s: at %llu ms: %llu rounds, %llu kB left (%llu "
		  "known), "
		  "%llu kB/s of %llu: limit %llu ms, end %llu ms",
		  m->job->machine, (unsigned long long)seen.now_us / 1000,
		  (unsigned long long)seen.rounds,
		  (unsigned long long)seen.remaining >> 10,
		  (unsigned long long)info->remaining >> 10,
		  (unsigned long long)seen.dirty_rate >> 10,
		  (unsigned long long)seen.rate >> 10,
		  (unsigned long long)next.limit_us / 1000,
		  (unsigned long long)next.full_end_us / 1000);
	if (tell(m, &next, info, e) < 0)
		return error_code(e);
	helpless = converge_is_helpless(&next, &m->rules, &seen);
	if (helpless && !m->stuck[0])
		say_stuck(m, &seen);
	/* Also where the user has allowed what was missing. */
	if (!helpless && m->stuck[0]) {
		m->stuck[0] = '\0';
		job_set_advice(m->job, "");
	}
	m->converge = next;
	return 0;
}
