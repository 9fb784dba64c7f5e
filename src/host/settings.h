/* SPDX-License-Identifier: MIT */

/*
 * The host's configuration, drover.conf(5).  Read once at the start; nothing
 * changes it afterwards, so every thread may look.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"
#include "codec/codec.h"
#include "move/paths.h"
#include "nic/networks.h"
#include "pages/history.h"

struct error;
struct sockaddr;

enum on_timeout { ON_TIMEOUT_ABORT, ON_TIMEOUT_FORCE };

struct peer {
	char *name;
	struct words addresses; /* numeric, at least one */
	unsigned port;
	bool tls;
};

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
	uint64_t timeout_us; /* 0: none */
	enum on_timeout on_timeout;
	const struct move_option *option;
	unsigned connections_per_rss_card, connections_per_card;
	unsigned connections; /* at most, in all */
	uint64_t outage_limit_us;
	uint64_t switchover_outage_limit_us;
};

struct settings {
	char *name;
	struct words listen; /* numeric addresses, at least one */
	unsigned port;
	struct networks networks; /* that moves may use; empty: all */
	char *state_directory;
	char *run_directory;
	char *socket;
	char *group;
	char *qemu;
	struct words programs; /* besides it, for machines of peers */
	struct move_settings move;
	struct peer *peers;
	size_t peers_count;
	/* A sentence for each key and section that this version does not
	 * know, and skipped: a newer one may have written the file. */
	struct words unknown;
};

/* Errors are "FILE:LINE:COLUMN: sentence"; -ENOENT when there is no file. */
int settings_read(struct settings *ret, const char *path, struct error *e);

/* From a text; the empty text gives the defaults. */
int settings_parse(struct settings *ret, const char *file_name,
		   const char *text, size_t len, struct error *e);

void settings_done(struct settings *s);

/* Everything, with the names of the file: {"host": {...}, "move": {...},
 * "peers": [...]}.  Durations are microseconds.  A new reference. */
json_t *settings_json(const struct settings *s);

/* What a move that asks for nothing else uses. */
struct move_paths settings_paths(const struct settings *s);

/* NULL when there is none. */
const struct peer *settings_peer(const struct settings *s, const char *name);

/* The peer that has @address as one of its own; ports do not matter. */
const struct peer *settings_peer_from(const struct settings *s,
				      const struct sockaddr *address);
