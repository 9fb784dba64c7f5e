/* SPDX-License-Identifier: MIT */
#include "move/steer.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "move/job.h"
#include "qemu/monitor.h"
#include "session/session.h"
#include "wire/frame.h"

enum {
	/* A synchronisation so lately tells what is changed exactly. */
	FRESH_US = 50000,
	NEAR_S = 1, /* the rest takes no longer */
	/* The same of one that is near: others have made way, and it is faster
	 * for that. */
	NEAR_STILL_S = 3,
	ASK_US = 250000,
	NEAR_US = 50000,     /* the same when QEMU may soon stop the guest */
	SYNCED_US = 10000,   /* after QEMU looked what has changed */
	UNLIMITED = 1 << 30, /* bytes per second, times 1024 below */
	/* The same of a migration that is held: a page at a time.  Zero would
	 * be no limit. */
	HELD = 4096,
};

static int tell_limit(struct steer *s, uint64_t limit_us, struct error *e)
{
	if (monitor_set_parameter(s->qmp, "downtime-limit",
				  limit_us / USEC_PER_MS, e) < 0)
		return error_code(e);
	log_debug("%s %s: downtime limit of QEMU %llu ms", s->what,
		  s->job->machine,
		  (unsigned long long)(limit_us / USEC_PER_MS));
	return 0;
}

/* The session holds QEMU back; its own limit would be a second one. */
static int tell_bandwidth(struct steer *s, bool held, struct error *e)
{
	return monitor_set_parameter(s->qmp, "max-bandwidth",
				     held ? HELD : (uint64_t)UNLIMITED * 1024,
				     e);
}

/* The one step that QEMU has leads from what is in effect to what was chosen.
 */
static int tell_throttle(struct steer *s, const struct converge *to,
			 unsigned now, struct error *e)
{
	const struct monitor_throttle t = {
		.trigger = to->trigger,
		.begin = to->step,
		.step = to->step > now ? to->step - now : 1,
		.most = to->step,
	};

	return monitor_set_throttle(s->qmp, &t, e);
}

/* What it might be told later it has to be able to do from the begin on. */
int steer_begin(struct steer *s, struct qmp *q, struct session *session,
		const struct migration_capabilities *c, struct error *e)
{
	const struct converge_seen nothing = { 0 };

	s->qmp = q;
	s->session = session;
	s->converge = converge_next(&s->converge, &s->rules, &nothing);
	if (tell_bandwidth(s, false, e) < 0)
		return error_code(e);
	if (monitor_set_capability(q, c, "auto-converge", true, e) < 0 ||
	    tell_throttle(s, &s->converge, 0, e) < 0)
		return error_code(e);
	return tell_limit(s, s->converge.limit_us, e);
}

static struct converge_seen seen_of(const struct steer *s,
				    const struct migration_info *info)
{
	const struct rounds *r = &s->rounds;

	return (struct converge_seen){
		.now_us = clock_us() - s->begun_us,
		.remaining = rounds_remaining(r),
		.rate = rounds_rate(r),
		.dirty_rate = rounds_dirty_rate(r),
		.rounds = rounds_ended(r),
		.sure = rounds_ended(r) > 1 || rounds_since_us(r) < FRESH_US,
		.fresh = rounds_are_fresh(r),
		.zeros = rounds_have_zeros(r),
		.looked_us = rounds_looked_us(r) > s->begun_us
				     ? rounds_looked_us(r) - s->begun_us
				     : 0,
		.throttle = info->throttle,
	};
}

/* Cards that it does not use, "eth1"; empty where there are none. */
static void name_spare(struct steer *s, char *buf, size_t cap)
{
	struct paths_report paths;
	struct error e;
	size_t used = 0;

	buf[0] = '\0';
	if (!s->session || session_paths(s->session, &paths, &e) < 0)
		return;
	for (size_t i = 0; i < paths.paths_count && used < cap; i++)
		if (paths.paths[i].state == PATH_SPARE)
			used += (size_t)snprintf(buf + used, cap - used, "%s%s",
						 used ? ", " : "",
						 paths.paths[i].near);
	shape_done(&paths_report_shape, &paths);
}

static void say_stuck(struct steer *s, const struct converge_seen *seen)
{
	char spare[64], text[JOB_ADVICE_SIZE];

	name_spare(s, spare, sizeof(spare));
	converge_say(text, sizeof(text), &s->rules, seen, spare);
	log_warning("%s %s (%s): %s", s->what, s->job->machine, s->job->id,
		    text);
	snprintf(s->stuck, sizeof(s->stuck), "%s", text);
	job_set_advice(s->job, text);
}

static int tell(struct steer *s, const struct converge *next,
		const struct migration_info *info, struct error *e)
{
	if (next->limit_us != s->converge.limit_us &&
	    tell_limit(s, next->limit_us, e) < 0)
		return error_code(e);
	if (next->throttle != s->converge.throttle &&
	    (next->throttle > 1 || s->converge.throttle > 1))
		log_info("%s %s (%s): the guest is to be slowed down by %u %%, "
			 "and is by %u %%",
			 s->what, s->job->machine, s->job->id, next->throttle,
			 info->throttle);
	if (next->step == s->converge.step &&
	    next->trigger == s->converge.trigger)
		return 0;
	log_debug("%s %s: a step to %u %% at %u %%, from %u %%", s->what,
		  s->job->machine, next->step, next->trigger, info->throttle);
	return tell_throttle(s, next, info->throttle, e);
}

static bool is_near(const struct steer *s)
{
	uint64_t rate = rounds_rate(&s->rounds);

	return rate > 0 && rounds_ended(&s->rounds) > 0 &&
	       rounds_remaining(&s->rounds) / rate <=
		       (s->near ? NEAR_STILL_S : NEAR_S);
}

/* While nothing is heard of the peer, what leaves says nothing of the paths. */
static bool is_outage(const struct steer *s)
{
	struct session_stats st = { 0 };

	if (s->session)
		session_stats(s->session, &st);
	return st.outage;
}

static void measure(struct steer *s, const struct migration_info *info)
{
	/* QEMU's least is no other guest. */
	bool slower = info->throttle != s->throttle &&
		      (info->throttle > 1 || s->throttle > 1);

	if (slower || is_outage(s))
		rounds_restart(&s->rounds);
	s->throttle = info->throttle;
	if (info->throttle > s->most)
		s->most = info->throttle;
	rounds_add(&s->rounds,
		   &(struct rounds_seen){ .at_us = clock_us(),
					  .syncs = info->rounds,
					  .pass = s->pass,
					  .pass_us = s->pass_us,
					  .data = info->data_pages * WIRE_PAGE,
					  .zero = info->zero_pages * WIRE_PAGE,
					  .remaining = info->remaining });
}

static void ask_within(struct steer *s, uint64_t us)
{
	if (s->next_us > clock_us() + us)
		s->next_us = clock_us() + us;
}

bool steer_is_due(struct steer *s)
{
	if (clock_us() < s->next_us)
		return false;
	s->next_us = UINT64_MAX;
	return true;
}

void steer_ask_on(struct steer *s)
{
	s->near = is_near(s);
	job_set_near(s->job, s->near);
	ask_within(s, s->near ? NEAR_US : ASK_US);
}

/* What it found is asked for a moment later: if it was little enough, the guest
 * has been stopped by then, and its monitor is silent. */
void steer_pass(struct steer *s, uint64_t pass)
{
	s->pass = pass;
	s->pass_us = clock_us();
	ask_within(s, SYNCED_US);
}

/* With no time to stand still allowed QEMU does not stop the guest while there
 * is a page left, and there is one while it sends hardly any. */
int steer_hold(struct steer *s, bool held, struct error *e)
{
	if (held == s->held)
		return 0;
	s->held = held;
	rounds_restart(&s->rounds);
	log_info("%s %s (%s): the memory %s", s->what, s->job->machine,
		 s->job->id,
		 held ? "waits: the disks are not in step" : "goes on");
	if (tell_limit(s, held ? 0 : s->converge.limit_us, e) < 0)
		return error_code(e);
	return tell_bandwidth(s, held, e);
}

int steer_round(struct steer *s, const struct migration_info *info,
		struct error *e)
{
	struct converge_seen seen;
	struct converge next;
	bool helpless;

	if (s->held)
		return 0;
	measure(s, info);
	seen = seen_of(s, info);
	next = converge_next(&s->converge, &s->rules, &seen);
	log_debug("%s %s: at %llu ms: %llu rounds, %llu kB left (%llu "
		  "known), "
		  "%llu kB/s of %llu: limit %llu ms, end %llu ms",
		  s->what, s->job->machine,
		  (unsigned long long)seen.now_us / 1000,
		  (unsigned long long)seen.rounds,
		  (unsigned long long)seen.remaining >> 10,
		  (unsigned long long)info->remaining >> 10,
		  (unsigned long long)seen.dirty_rate >> 10,
		  (unsigned long long)seen.rate >> 10,
		  (unsigned long long)next.limit_us / 1000,
		  (unsigned long long)next.full_end_us / 1000);
	if (tell(s, &next, info, e) < 0)
		return error_code(e);
	helpless = converge_is_helpless(&next, &s->rules, &seen);
	if (helpless && !s->stuck[0])
		say_stuck(s, &seen);
	/* Also where the user has allowed what was missing. */
	if (!helpless && s->stuck[0]) {
		s->stuck[0] = '\0';
		job_set_advice(s->job, "");
	}
	s->converge = next;
	return 0;
}
