/* SPDX-License-Identifier: MIT */
#include "move/report.h"

#include <jansson.h>

#include "base/clock.h"
#include "move/job.h"
#include "move/monitor.h"
#include "move/move.h"
#include "relay/relay.h"
#include "session/session.h"
#include "wire/frame.h"

void progress_update(struct job_progress *p, const struct migration_info *q,
		     const struct session_stats *s, const struct relay_stats *r)
{
	int percent = 0;

	if (q->total > 0)
		percent = (int)((q->total - q->remaining) * 100 / q->total);
	if (percent > 99) /* not before the guest runs there */
		percent = 99;
	if (percent > p->percent)
		p->percent = percent;
	p->pages = r->pages;
	p->bytes_sent = s->bytes_sent;
	p->ram_total = q->total;
	p->rate = s->out.rate;
	p->round = q->rounds;
	p->dirty_rate = q->dirty_rate;
	p->remaining = q->remaining;
	p->channels = s->channels;
	p->outage = s->outage;
	p->presses = s->presses;
	p->press = s->out.press;
	p->downtime_estimate_ms = q->expected_downtime_ms;
	p->time_left_ms = -1; /* also when the guest is faster than the link */
	if (s->out.rate > q->dirty_rate)
		p->time_left_ms = (int64_t)(q->remaining * 1000 /
					    (s->out.rate - q->dirty_rate));
}

static json_t *ms(uint64_t from_us, uint64_t to_us)
{
	if (from_us == 0 || to_us < from_us)
		return json_null();
	return json_integer((json_int_t)((to_us - from_us) / USEC_PER_MS));
}

json_t *report_bytes(const struct session_stats *st,
		     const struct relay_stats *rs)
{
	uint64_t zero = rs->pages.of[RUN_ZERO];

	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "zero",
			 (json_int_t)(zero * WIRE_PAGE), "raw",
			 (json_int_t)((relay_pages_sum(&rs->pages) - zero) *
				      WIRE_PAGE),
			 "kept", (json_int_t)(rs->kept_pages * WIRE_PAGE),
			 "stream", (json_int_t)rs->stream_bytes, "wire",
			 (json_int_t)st->bytes_sent, "resent",
			 (json_int_t)st->out.resent_bytes, "duplicates",
			 (json_int_t)st->duplicates);
}

json_t *report_pages(const struct relay_pages *p)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "zero",
			 (json_int_t)p->of[RUN_ZERO], "filled",
			 (json_int_t)p->of[RUN_FILL], "unchanged",
			 (json_int_t)p->of[RUN_SAME], "delta",
			 (json_int_t)p->of[RUN_DELTA], "delta_bytes",
			 (json_int_t)p->delta_bytes, "data",
			 (json_int_t)p->of[RUN_DATA]);
}

/* Where the downtime went, each from the moment the guest was stopped. */
static json_t *switchover_json(const struct move_times *t)
{
	return json_pack("{s:o,s:o,s:o}", "sent_ms",
			 ms(t->stopped_wall_us, t->completed_wall_us),
			 "loaded_ms", ms(t->stopped_wall_us, t->loaded_wall_us),
			 "running_ms",
			 ms(t->stopped_wall_us, t->running_wall_us));
}

static json_t *reasons(const struct move_times *t, const struct move_options *o,
		       const struct relay_stats *rs)
{
	const struct move_mode *mode = o->paths.mode;
	json_t *all = json_array();

	if (!mode->all)
		json_array_append_new(all,
				      json_sprintf("mode '%s' uses one pair "
						   "of cards at a time",
						   mode->name));
	if (mode->compresses && o->paths.never_press)
		json_array_append_new(all, json_sprintf("asked for %s, but the "
							"settings say "
							"compress = never",
							mode->name));
	if (rs->opaque)
		json_array_append_new(all, json_sprintf("pages stayed in "
							"QEMU's stream: %s",
							rs->why_opaque));
	if (t->forced)
		json_array_append_new(
			all, json_string("the guest was paused at the time-out "
					 "so that the move could finish"));
	return all;
}

void report_source(struct job *job, struct session *s, struct relay *r,
		   const struct move_times *t, const struct move_options *o)
{
	struct session_stats st = { 0 };
	struct relay_stats rs = { 0 };
	const struct move_mode *mode = o->paths.mode;
	const char *got;
	json_t *report;
	uint64_t rounds, took = t->running_us - t->migrate_us;

	/* A move that was found in the journal has no options either. */
	if (!s || !r)
		return;
	session_stats(s, &st);
	relay_stats(r, &rs);
	got = move_mode_got(mode, move_paths_press(&o->paths));
	{
		pthread_mutex_lock(&job->lock);
		rounds = job->progress.round;
		pthread_mutex_unlock(&job->lock);
	}
	report = json_pack("{s:o,s:o,s:o,s:o,s:o,s:I,s:o,s:o,s:I,s:s,s:s,"
			   "s:s,s:s,s:o}",
			   "total_ms", ms(t->start_us, t->running_us),
			   "downtime_ms",
			   ms(t->stopped_wall_us, t->running_wall_us),
			   "switchover", switchover_json(t), "setup_ms",
			   ms(t->start_us, t->migrate_us), "transfer_ms",
			   ms(t->migrate_us, t->completed_us), "rounds",
			   (json_int_t)rounds, "bytes", report_bytes(&st, &rs),
			   "pages", report_pages(&rs.pages), "rate",
			   (json_int_t)(took ? st.bytes_sent * USEC_PER_SEC /
							took
					     : 0),
			   "mode_asked", mode->name, "mode_got", got,
			   "option_asked", mode->name, "option_got", got,
			   "reasons", reasons(t, o, &rs));
	json_object_update_new(report, session_paths_json(s));
	json_object_set_new(report, "press", session_compression(s));
	job_set_report(job, report);
}
