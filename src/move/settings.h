/* SPDX-License-Identifier: MIT */

/*
 * The section [move] of drover.conf(5): what a move uses that asks for nothing
 * else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ini.h"
#include "codec/codec.h"
#include "move/converge.h"
#include "move/paths.h"
#include "pages/history.h"

enum on_timeout { ON_TIMEOUT_ABORT, ON_TIMEOUT_FORCE };

/* What a machine that leaves leaves behind: docs/keep-copy.md. */
enum keep_copy { KEEP_COPY_NO, KEEP_COPY_MEMORY, KEEP_COPY_DISK };

enum { MOVE_WEIGHT_MOST = 10000 };

enum compress { COMPRESS_IDLE, COMPRESS_ALWAYS, COMPRESS_NEVER };

struct codec_setting {
	bool fixed; /* otherwise it is chosen by what is measured */
	struct codec_choice choice;
};

struct move_settings {
	enum compress compress;
	struct codec_setting codec;
	struct history_size repeat_cache;
	uint64_t downtime_limit_us;
	uint64_t timeout_us;        /* 0: none */
	enum on_timeout on_timeout; /* FORCE adds CONVERGE_PAUSE */
	unsigned converge;          /* of enum converge_step */
	const struct move_mode *mode;
	unsigned connections_per_rss_card, connections_per_card;
	unsigned connections; /* at most, in all */
	/* At once, out and in apart; and of these that copy disks. */
	unsigned max_moves, max_disk_moves;
	bool requeue;         /* one that a restart undid */
	unsigned weight;      /* of a move against this host's others */
	uint64_t limit;       /* bytes a second of a move; 0: none */
	uint64_t total_limit; /* of all of them together */
	bool arbitration;     /* whether anybody shares out */
	uint64_t outage_limit_us;
	uint64_t switchover_outage_limit_us;
	enum keep_copy keep_copy;
	uint64_t keep_copy_size;    /* bytes, of all on disk */
	uint64_t keep_copy_time_us; /* 0: for ever */
};

extern const struct ini_section move_section;

/* Steps of enum converge_step. */
unsigned move_settings_converge(const struct move_settings *s);

/* Over which of the host's @networks, and how. */
struct move_paths move_settings_paths(const struct move_settings *s,
				      const struct networks *networks);
