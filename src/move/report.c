/* SPDX-License-Identifier: MIT */
#include "move/report.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "move/move.h"
#include "qemu/monitor.h"
#include "session/session.h"
#include "wire/frame.h"

/* --- shapes */

#define AT(member) SHAPE_AT(struct relay_pages, member)

static const struct shape_field pages_fields[] = {
	{ "zero", SHAPE_NUMBER, 0, AT(of[RUN_ZERO]) },
	{ "filled", SHAPE_NUMBER, 0, AT(of[RUN_FILL]) },
	{ "unchanged", SHAPE_NUMBER, 0, AT(of[RUN_SAME]) },
	{ "delta", SHAPE_NUMBER, 0, AT(of[RUN_DELTA]) },
	{ "delta_bytes", SHAPE_NUMBER, 0, AT(delta_bytes) },
	{ "data", SHAPE_NUMBER, 0, AT(of[RUN_DATA]) },
};

static const struct shape pages_shape = SHAPE(struct relay_pages, pages_fields);

#undef AT
#define AT(member) SHAPE_AT(struct job_progress, member)

static const struct shape_field progress_fields[] = {
	{ "percent", SHAPE_SIGNED, 0, AT(percent) },
	{ "bytes_sent", SHAPE_NUMBER, 0, AT(bytes_sent) },
	{ "rdma", SHAPE_NUMBER, 0, AT(rdma) },
	{ "ram_total", SHAPE_NUMBER, 0, AT(ram_total) },
	{ "rate", SHAPE_NUMBER, 0, AT(rate) },
	{ "round", SHAPE_NUMBER, 0, AT(round) },
	{ "dirty_rate", SHAPE_NUMBER, 0, AT(dirty_rate) },
	{ "remaining", SHAPE_NUMBER, 0, AT(remaining) },
	{ "time_left_ms", SHAPE_SIGNED, SHAPE_NULL, AT(time_left_ms) },
	{ "time_left_least_ms", SHAPE_SIGNED, SHAPE_NULL,
	  AT(time_left_least_ms) },
	{ "time_left_most_ms", SHAPE_SIGNED, SHAPE_NULL,
	  AT(time_left_most_ms) },
	{ "sure", SHAPE_NAME, 0, AT(sure), .names = estimate_sure_names,
	  .most = ESTIMATE_SURES },
	{ "ends", SHAPE_NAME, 0, AT(ends), .names = estimate_end_names,
	  .most = ESTIMATE_ENDS },
	{ "downtime_estimate_ms", SHAPE_SIGNED, SHAPE_NULL,
	  AT(downtime_estimate_ms) },
	{ "downtime_limit_ms", SHAPE_SIGNED, SHAPE_NULL,
	  AT(downtime_limit_ms) },
	{ "throttle", SHAPE_NUMBER, 0, AT(throttle) },
	{ "channels", SHAPE_NUMBER, 0, AT(channels) },
	{ "outage", SHAPE_BOOL, 0, AT(outage) },
	{ "press", SHAPE_OBJECT, SHAPE_NULL, AT(press),
	  SHAPE_HAS(struct job_progress, presses), .of = &press_stats_shape },
	{ "pages", SHAPE_OBJECT, 0, AT(pages), .of = &pages_shape },
};

const struct shape job_progress_shape =
	SHAPE(struct job_progress, progress_fields);

#undef AT
#define AT(member) SHAPE_AT(struct switchover_report, member)

static const struct shape_field switchover_fields[] = {
	{ "sent_ms", SHAPE_SIGNED, SHAPE_NULL, AT(sent_ms) },
	{ "loaded_ms", SHAPE_SIGNED, SHAPE_NULL, AT(loaded_ms) },
	{ "running_ms", SHAPE_SIGNED, SHAPE_NULL, AT(running_ms) },
};

static const struct shape switchover_shape =
	SHAPE(struct switchover_report, switchover_fields);

#undef AT
#define AT(member) SHAPE_AT(struct pause_report, member)

static const struct shape_field pause_fields[] = {
	{ "last_pass_ms", SHAPE_SIGNED, 0, AT(last_pass_ms) },
	{ "backlog_ms", SHAPE_SIGNED, 0, AT(backlog_ms) },
	{ "device_ms", SHAPE_SIGNED, 0, AT(device_ms) },
	{ "load_ms", SHAPE_SIGNED, 0, AT(load_ms) },
	{ "commit_ms", SHAPE_SIGNED, 0, AT(commit_ms) },
	{ "cont_ms", SHAPE_SIGNED, 0, AT(cont_ms) },
};

static const struct shape pause_shape =
	SHAPE(struct pause_report, pause_fields);

#undef AT
#define AT(member) SHAPE_AT(struct bytes_report, member)

static const struct shape_field bytes_fields[] = {
	{ "zero", SHAPE_NUMBER, 0, AT(zero) },
	{ "raw", SHAPE_NUMBER, 0, AT(raw) },
	{ "kept", SHAPE_NUMBER, 0, AT(kept) },
	{ "stream", SHAPE_NUMBER, 0, AT(stream) },
	{ "wire", SHAPE_NUMBER, 0, AT(wire) },
	{ "resent", SHAPE_NUMBER, 0, AT(resent) },
	{ "duplicates", SHAPE_NUMBER, 0, AT(duplicates) },
};

static const struct shape bytes_shape =
	SHAPE(struct bytes_report, bytes_fields);

#undef AT
#define AT(member) SHAPE_AT(struct job_report, member)

static const struct shape_field report_fields[] = {
	{ "total_ms", SHAPE_SIGNED, SHAPE_NULL, AT(total_ms) },
	{ "downtime_ms", SHAPE_SIGNED, SHAPE_NULL, AT(downtime_ms) },
	{ "switchover", SHAPE_OBJECT, SHAPE_OMIT, AT(switchover),
	  SHAPE_HAS(struct job_report, has_switchover),
	  .of = &switchover_shape },
	{ "pause", SHAPE_OBJECT, SHAPE_OMIT, AT(pause),
	  SHAPE_HAS(struct job_report, has_pause), .of = &pause_shape },
	{ "setup_ms", SHAPE_SIGNED, SHAPE_OMIT, AT(setup_ms) },
	{ "transfer_ms", SHAPE_SIGNED, SHAPE_OMIT, AT(transfer_ms) },
	{ "rounds", SHAPE_SIGNED, SHAPE_OMIT, AT(rounds) },
	{ "downtime_limit_ms", SHAPE_SIGNED, SHAPE_OMIT,
	  AT(downtime_limit_ms) },
	{ "throttle", SHAPE_SIGNED, SHAPE_OMIT, AT(throttle) },
	{ "cpu_latency_us", SHAPE_SIGNED, SHAPE_OMIT, AT(cpu_latency_us) },
	{ "bytes", SHAPE_OBJECT, 0, AT(bytes), .of = &bytes_shape },
	{ "pages", SHAPE_OBJECT, 0, AT(pages), .of = &pages_shape },
	{ "rate", SHAPE_NUMBER, 0, AT(rate) },
	{ "mode_asked", SHAPE_TEXT, SHAPE_OMIT, AT(mode_asked) },
	{ "mode_got", SHAPE_TEXT, SHAPE_OMIT, AT(mode_got) },
	/* as they were called before */
	{ "option_asked", SHAPE_TEXT, SHAPE_OMIT, AT(mode_asked) },
	{ "option_got", SHAPE_TEXT, SHAPE_OMIT, AT(mode_got) },
	{ "reasons", SHAPE_WORDS, 0, AT(reasons) },
	SESSION_REPORT_FIELDS(struct job_report, session),
};

const struct shape job_report_shape = SHAPE(struct job_report, report_fields);

/* --- while it runs */

void progress_unknown(struct job_progress *p)
{
	p->time_left_ms = p->time_left_least_ms = p->time_left_most_ms = -1;
	p->downtime_estimate_ms = -1;
	p->sure = ESTIMATE_LOW;
	p->ends = ESTIMATE_UNKNOWN;
}

static int64_t known_ms(uint64_t us)
{
	return us == ESTIMATE_NONE ? -1 : (int64_t)(us / USEC_PER_MS);
}

void progress_estimate(struct job_progress *p, const struct estimate *e)
{
	p->time_left_ms = known_ms(e->left.likely_us);
	p->time_left_least_ms = known_ms(e->left.least_us);
	p->time_left_most_ms = known_ms(e->left.most_us);
	p->downtime_estimate_ms = known_ms(e->downtime_us);
	p->sure = e->sure;
	p->ends = e->end;
}

struct job_progress progress_of(const struct session_stats *s,
				const struct relay_stats *r)
{
	struct job_progress p = {
		.rdma = s->bytes_aside,
		.downtime_limit_ms = -1,
		.channels = s->channels,
		.outage = s->outage,
		.presses = s->presses,
		.press = s->out.press,
		.pages = r->pages,
	};

	progress_unknown(&p);
	return p;
}

void progress_update(struct job_progress *p, const struct migration_info *q,
		     const struct session_stats *s, const struct relay_stats *r)
{
	int percent = 0, before = p->percent;

	if (q->total > 0)
		percent = (int)((q->total - q->remaining) * 100 / q->total);
	if (percent > 99) /* not before the guest runs there */
		percent = 99;
	*p = progress_of(s, r);
	p->percent = percent > before ? percent : before;
	p->bytes_sent = s->bytes_sent;
	p->ram_total = q->total;
	p->rate = s->out.rate;
	p->round = q->rounds;
	p->dirty_rate = q->dirty_rate;
	p->remaining = q->remaining;
	p->throttle = q->throttle;
}

/* --- when it has ended */

int session_report_fill(struct session_report *ret, struct session *s,
			struct error *e)
{
	struct session_report r = { .known = true };

	if (session_paths(s, &r.paths, e) < 0)
		return error_code(e);
	r.presses = session_compression(s, &r.press);
	*ret = r;
	return 0;
}

static struct bytes_report bytes_of(const struct session_stats *st,
				    const struct relay_stats *rs)
{
	uint64_t zero = rs->pages.of[RUN_ZERO];

	return (struct bytes_report){
		.zero = zero * WIRE_PAGE,
		.raw = (relay_pages_sum(&rs->pages) - zero) * WIRE_PAGE,
		.kept = rs->kept_pages * WIRE_PAGE,
		.stream = rs->stream_bytes,
		.wire = st->bytes_sent,
		.resent = st->out.resent_bytes,
		.duplicates = st->duplicates,
	};
}

/* What moves and relays have in common; the rest is that of a relay. */
static int report_begin(struct job_report *ret, struct session *s,
			const struct relay_stats *rs, uint64_t took_us,
			struct error *e)
{
	struct session_stats st;

	session_stats(s, &st);
	*ret = (struct job_report){
		.total_ms = -1,
		.downtime_ms = -1,
		.setup_ms = -1,
		.transfer_ms = -1,
		.rounds = -1,
		.downtime_limit_ms = -1,
		.throttle = -1,
		.cpu_latency_us = -1,
		.bytes = bytes_of(&st, rs),
		.pages = rs->pages,
		.rate = took_us ? st.bytes_sent * USEC_PER_SEC / took_us : 0,
	};
	return session_report_fill(&ret->session, s, e);
}

static int64_t ms(uint64_t from_us, uint64_t to_us)
{
	if (from_us == 0 || to_us < from_us)
		return -1;
	return (int64_t)((to_us - from_us) / USEC_PER_MS);
}

static void add_times(struct job_report *to, const struct move_times *t)
{
	to->total_ms = ms(t->start_us, t->running_us);
	to->downtime_ms = ms(t->stopped_wall_us, t->running_wall_us);
	to->setup_ms = ms(t->start_us, t->migrate_us);
	to->transfer_ms = ms(t->migrate_us, t->completed_us);
	to->rounds = (int64_t)t->rounds;
	to->downtime_limit_ms = (int64_t)(t->limit_us / USEC_PER_MS);
	to->throttle = (int)t->throttle;
	to->has_switchover = true;
	to->switchover = (struct switchover_report){
		.sent_ms = ms(t->stopped_wall_us, t->completed_wall_us),
		.loaded_ms = ms(t->stopped_wall_us, t->loaded_wall_us),
		.running_ms = to->downtime_ms,
	};
}

/* What is known by the clock that does not jump, as the time of day. */
static uint64_t wall_us(uint64_t us)
{
	return us ? clock_wall_us() - (clock_us() - us) : 0;
}

/* How long after @last, from where the next one counts. */
static int64_t part_ms(uint64_t stopped_us, int64_t *last, uint64_t until_us)
{
	int64_t at = ms(stopped_us, until_us), took;

	took = at > *last ? at - *last : 0;
	*last += took;
	return took;
}

static void add_pause(struct job_report *to, const struct move_times *t,
		      const struct relay_stats *rs, bool paused)
{
	uint64_t from = t->stopped_wall_us, all = t->completed_wall_us;
	int64_t last = 0;

	/* Nothing follows one another where the guest did not run before, or
	 * does not after. */
	to->has_pause = !paused && to->downtime_ms >= 0 && rs->ram_us &&
			rs->landed_us && t->decided_wall_us &&
			t->running_wall_us;
	if (!to->has_pause)
		return;
	if (all < t->loaded_wall_us)
		all = t->loaded_wall_us;
	to->pause.last_pass_ms = part_ms(from, &last, wall_us(rs->ram_us));
	to->pause.backlog_ms = part_ms(from, &last, wall_us(rs->landed_us));
	to->pause.device_ms = part_ms(from, &last, wall_us(rs->last_us));
	to->pause.load_ms = part_ms(from, &last, all);
	to->pause.commit_ms = part_ms(from, &last, t->decided_wall_us);
	to->pause.cont_ms = part_ms(from, &last, t->running_wall_us);
}

static int add_throttled(struct words *to, const struct move_times *t,
			 const char *what, struct error *e)
{
	return t->throttle > 1
		       ? words_addf(to, e,
				    "the guest was slowed down by up to %u %% "
				    "so that the %s could finish",
				    t->throttle, what)
		       : 0;
}

static int add_forced(struct words *to, const struct move_times *t,
		      const char *what, struct error *e)
{
	return t->forced ? words_addf(to, e,
				      "the guest was paused at the time-out "
				      "so that the %s could finish",
				      what)
			 : 0;
}

static int add_reasons(struct words *to, const struct move_times *t,
		       const struct move_options *o,
		       const struct relay_stats *rs, struct error *e)
{
	const struct move_mode *mode = o->paths.mode;

	if (!mode->all &&
	    words_addf(to, e, "mode '%s' uses one pair of cards at a time",
		       mode->name) < 0)
		return error_code(e);
	if (mode->compresses && o->paths.never_press &&
	    words_addf(to, e,
		       "asked for %s, but the settings say compress = never",
		       mode->name) < 0)
		return error_code(e);
	if (rs->opaque && words_addf(to, e, "pages stayed in QEMU's stream: %s",
				     rs->why_opaque) < 0)
		return error_code(e);
	if (add_throttled(to, t, "move", e) < 0)
		return error_code(e);
	if (rs->why_kept[0] &&
	    words_addf(to, e, "pages went through QEMU: %s", rs->why_kept) < 0)
		return error_code(e);
	if (rs->spared_pages > 0 &&
	    words_addf(to, e,
		       "%" PRIu64 " bytes were not sent: the destination had "
		       "kept them from an earlier stay",
		       rs->spared_pages * WIRE_PAGE) < 0)
		return error_code(e);
	return add_forced(to, t, "move", e);
}

/* Hosts without such cards have nothing to hear of it. */
static int add_rdma(struct words *to, struct session *s, struct error *e)
{
	struct rdma_view v;

	session_rdma(s, &v);
	if (!v.possible || !v.why[0] || (v.open > 0 && v.ended == 0))
		return 0;
	return v.ended > 0
		       ? words_addf(to, e, "pages by RDMA were interrupted: %s",
				    v.why)
		       : words_addf(to, e, "no pages went by RDMA: %s", v.why);
}

int report_move(struct job_report *ret, struct session *s, struct relay *r,
		const struct move_times *t, const struct move_options *o,
		struct error *e)
{
	const struct move_mode *mode = o->paths.mode;
	struct relay_stats rs;
	struct job_report of;

	relay_stats(r, &rs);
	if (report_begin(&of, s, &rs, t->running_us - t->migrate_us, e) < 0)
		return error_code(e);
	of.cpu_latency_us = o->cpu_latency_us;
	add_times(&of, t);
	add_pause(&of, t, &rs, o->paused);
	snprintf(of.mode_asked, sizeof(of.mode_asked), "%s", mode->name);
	snprintf(of.mode_got, sizeof(of.mode_got), "%s",
		 move_mode_got(mode, move_paths_press(&o->paths)));
	if (add_reasons(&of.reasons, t, o, &rs, e) < 0 ||
	    add_rdma(&of.reasons, s, e) < 0) {
		shape_done(&job_report_shape, &of);
		return error_code(e);
	}
	*ret = of;
	return 0;
}

/* There is no session: QEMU's stream is the wire. */
struct job_report report_update(const struct migration_info *q,
				const struct move_times *t)
{
	uint64_t took_us = t->completed_us - t->migrate_us;
	uint64_t pages = q->data_pages * WIRE_PAGE;
	struct job_report r = {
		.cpu_latency_us = -1,
		.bytes = { .zero = q->zero_pages * WIRE_PAGE,
			   .raw = pages,
			   .stream = q->sent > pages ? q->sent - pages : 0,
			   .wire = q->sent },
		.rate = took_us ? q->sent * USEC_PER_SEC / took_us : 0,
	};

	struct error ignored;

	(void)add_throttled(&r.reasons, t, "update", &ignored);
	(void)add_forced(&r.reasons, t, "update", &ignored);
	r.pages.of[RUN_ZERO] = q->zero_pages;
	r.pages.of[RUN_DATA] = q->data_pages;
	add_times(&r, t);
	return r;
}

int report_relay(struct job_report *ret, struct session *s, struct relay *r,
		 uint64_t took_us, struct error *e)
{
	struct relay_stats rs;
	struct job_report of;

	relay_stats(r, &rs);
	if (report_begin(&of, s, &rs, took_us, e) < 0)
		return error_code(e);
	of.total_ms = (int64_t)(took_us / USEC_PER_MS);
	if ((rs.opaque && words_add(&of.reasons, rs.why_opaque, e) < 0) ||
	    (rs.why_kept[0] &&
	     words_addf(&of.reasons, e, "pages went through QEMU: %s",
			rs.why_kept) < 0)) {
		shape_done(&job_report_shape, &of);
		return error_code(e);
	}
	*ret = of;
	return 0;
}
