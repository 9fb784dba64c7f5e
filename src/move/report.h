/* SPDX-License-Identifier: MIT */

/*
 * What a move, or a relay, tells while it runs and when it has ended, filled in
 * from what session, relay and QEMU say: docs/api.md, "Job" and "Report".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/shape.h"
#include "base/words.h"
#include "compress/report.h"
#include "move/estimate.h"
#include "paths/report.h"
#include "relay/relay.h"

struct error;
struct migration_info;
struct move_options;
struct session;
struct session_stats;

/* --- while it runs */

struct job_progress {
	int percent;
	uint64_t rdma; /* bytes of pages by it so far */
	uint64_t bytes_sent, ram_total, rate, round, dirty_rate, remaining;
	/* -1: not known; the same with the latest: or never */
	int64_t time_left_ms, time_left_least_ms, time_left_most_ms;
	int64_t downtime_estimate_ms;
	enum estimate_sure sure;
	enum estimate_end ends;
	int64_t downtime_limit_ms; /* QEMU's, now; -1: not known */
	unsigned throttle;         /* per cent of the guest's time */
	unsigned channels;
	bool outage;
	bool presses; /* what follows is meant */
	struct press_stats press;
	struct relay_pages pages;
};

extern const struct shape job_progress_shape;

/* What both sides and relays say alike; the rest is not known. */
struct job_progress progress_of(const struct session_stats *s,
				const struct relay_stats *r);
/* Of a source: from what all of them say now; the percentage never falls. */
void progress_update(struct job_progress *p, const struct migration_info *q,
		     const struct session_stats *s,
		     const struct relay_stats *r);

/* No estimate, and one. */
void progress_unknown(struct job_progress *p);
void progress_estimate(struct job_progress *p, const struct estimate *e);

/* What has left so far. */
struct job_flow {
	struct relay_pages pages;
	uint64_t sent, rdma; /* bytes; of RDMA not in @sent */
};

/* --- when it has ended */

/* What its session did, so far or in all. */
struct session_report {
	bool known;   /* there is or was one that may be looked into */
	bool presses; /* this side compresses */
	struct paths_report paths;
	struct compressor_report press;
};

int session_report_fill(struct session_report *ret, struct session *s,
			struct error *e);

/* A member of the type session_report, spread out in the JSON of its struct. */
/* clang-format off */
/* NOLINTBEGIN(bugprone-macro-parentheses): the names of members */
#define SESSION_REPORT_FIELDS(type, member) \
	{ "paths", SHAPE_LIST, SHAPE_NULL, SHAPE_AT(type, member.paths.paths), \
	  SHAPE_COUNT(type, member.paths.paths_count), \
	  SHAPE_HAS(type, member.known), .of = &path_report_shape }, \
	{ "cards", SHAPE_LIST, SHAPE_NULL, SHAPE_AT(type, member.paths.cards), \
	  SHAPE_COUNT(type, member.paths.cards_count), \
	  SHAPE_HAS(type, member.known), .of = &card_report_shape }, \
	{ "channels", SHAPE_LIST, SHAPE_OMIT, \
	  SHAPE_AT(type, member.paths.channels), \
	  SHAPE_COUNT(type, member.paths.channels_count), \
	  SHAPE_HAS(type, member.paths.accepting), \
	  .of = &channel_report_shape }, \
	{ "press", SHAPE_OBJECT, SHAPE_NULL, SHAPE_AT(type, member.press), \
	  SHAPE_HAS(type, member.presses), .of = &compressor_report_shape }
/* NOLINTEND(bugprone-macro-parentheses) */
/* clang-format on */

/* From the moment that the guest was stopped; -1: not known. */
struct switchover_report {
	int64_t sent_ms, loaded_ms, running_ms;
};

/* What the downtime was made of, one after the other: docs/convergence.md. */
struct pause_report {
	int64_t last_pass_ms, backlog_ms, device_ms, load_ms, commit_ms,
		cont_ms;
};

/* What was carried, docs/api.md. */
struct bytes_report {
	uint64_t zero, raw, kept, stream, wire, resent, duplicates;
};

struct job_report {
	int64_t total_ms, downtime_ms; /* -1: not known */
	/* Of a move only: -1, or empty, of a relay. */
	int64_t setup_ms, transfer_ms, rounds, downtime_limit_ms;
	int throttle;       /* per cent, the most; -1 of a relay */
	int cpu_latency_us; /* that was held; -1: none */
	char mode_asked[16], mode_got[16];
	bool has_switchover; /* likewise */
	struct switchover_report switchover;
	bool has_pause; /* likewise, where all of it is known */
	struct pause_report pause;

	struct bytes_report bytes;
	struct relay_pages pages;
	uint64_t rate;        /* bytes a second on the wire */
	struct words reasons; /* why not everything was done that could be */
	struct session_report session;
};

extern const struct shape job_report_shape;

struct move_times {
	uint64_t start_us, migrate_us, completed_us, running_us;
	uint64_t stopped_wall_us;   /* QEMU's STOP event; 0: still runs */
	uint64_t completed_wall_us; /* the source's QEMU has sent everything */
	uint64_t loaded_wall_us;    /* the destination said so */
	uint64_t decided_wall_us;   /* "commit" is on disk */
	uint64_t running_wall_us;   /* the destination said so */
	uint64_t rounds;            /* of pre-copy */
	uint64_t limit_us;          /* of downtime, that QEMU had in the end */
	unsigned throttle;          /* the most, per cent */
	bool forced;                /* paused at the time-out */
};

/* Both give a report that shape_done() frees. */
int report_move(struct job_report *ret, struct session *s, struct relay *r,
		const struct move_times *t, const struct move_options *o,
		struct error *e);
/* Of an update, from what the old QEMU says of its stream. */
struct job_report report_update(const struct migration_info *q,
				const struct move_times *t);
int report_relay(struct job_report *ret, struct session *s, struct relay *r,
		 uint64_t took_us, struct error *e);
