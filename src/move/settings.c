/* SPDX-License-Identifier: MIT */
#include "move/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/setting.h"
#include "base/text.h"
#include "base/words.h"
#include "frames/outbox.h"

static const char *const on_timeout_names[] = {
	[ON_TIMEOUT_ABORT] = "abort",
	[ON_TIMEOUT_FORCE] = "force",
	NULL,
};

static const char *const compress_names[] = {
	[COMPRESS_IDLE] = "idle",
	[COMPRESS_ALWAYS] = "always",
	[COMPRESS_NEVER] = "never",
	NULL,
};

/* "auto", "lz4", "zstd:3" */
static int parse_codec(void *at, const struct ini_key *k, const char *value,
		       struct error *e)
{
	struct codec_setting *c = at;
	char name[16];
	size_t len = strcspn(value, ":");
	const struct codec *codec;
	uint64_t level;
	int id;

	(void)k;
	*c = (struct codec_setting){ 0 };
	if (!strcmp(value, "auto"))
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)(len < 15 ? len : 15), value);
	id = codec_find(name);
	if (id <= CODEC_NONE)
		return error_set(e, EINVAL,
				 "'%.80s' is not a codec: use auto, lz4, zstd "
				 "or "
				 "zstd:LEVEL",
				 value);
	codec = codec_get((unsigned)id);
	level = (uint64_t)codec->lowest;
	if (value[len] &&
	    text_parse_number(&level, value + len + 1, (uint64_t)codec->lowest,
			      (uint64_t)codec->highest, e) < 0)
		return error_in(e, "level of %s", name);
	c->fixed = true;
	c->choice = (struct codec_choice){ (enum codec_id)id, (int)level };
	return 0;
}

static int show_codec(struct words *ret, const void *at,
		      const struct ini_key *k, struct error *e)
{
	const struct codec_setting *c = at;
	const struct codec *codec = codec_get(c->choice.id);

	(void)k;
	if (!c->fixed)
		return words_add(ret, "auto", e);
	if (codec->lowest == codec->highest)
		return words_add(ret, codec->name, e);
	return words_addf(ret, e, "%s:%d", codec->name, c->choice.level);
}

static const struct ini_kind codec_kind = { parse_codec, show_codec, NULL };

/* "5%", "256M", "0" */
static int parse_cache(void *at, const struct ini_key *k, const char *value,
		       struct error *e)
{
	struct history_size *size = at;
	size_t len = strcspn(value, "%");
	uint64_t percent, bytes;
	char number[8];

	(void)k;
	snprintf(number, sizeof(number), "%.*s", (int)(len < 7 ? len : 7),
		 value);
	if (!strcmp(value + len, "%") &&
	    text_parse_number(&percent, number, 0, 100, e) == 0)
		*size = (struct history_size){ .relative = true,
					       .percent = (unsigned)percent };
	else if (!value[len] && text_parse_bytes(&bytes, value, e) == 0)
		*size = (struct history_size){ .bytes = bytes };
	else
		return error_set(e, EINVAL,
				 "'%.80s' is neither a size nor a share of a "
				 "guest's "
				 "memory: write 256M, 5%% or 0",
				 value);
	return 0;
}

static int show_cache(struct words *ret, const void *at,
		      const struct ini_key *k, struct error *e)
{
	const struct history_size *size = at;
	char text[32];

	(void)k;
	if (size->relative)
		return words_addf(ret, e, "%u%%", size->percent);
	text_exact_bytes(text, sizeof(text), size->bytes);
	return words_add(ret, text, e);
}

static const struct ini_kind cache_kind = { parse_cache, show_cache, NULL };

static int parse_mode(void *at, const struct ini_key *k, const char *value,
		      struct error *e)
{
	(void)k;
	return move_mode_find(at, value, e);
}

static int show_mode(struct words *ret, const void *at, const struct ini_key *k,
		     struct error *e)
{
	const struct move_mode *const *mode = at;

	(void)k;
	return words_add(ret, (*mode)->name, e);
}

static const struct ini_kind mode_kind = { parse_mode, show_mode, NULL };

/* "throttle, pause" */
static int parse_converge(void *at, const struct ini_key *k, const char *value,
			  struct error *e)
{
	SCOPED(words_done) struct words all = { 0 };
	AUTO_FREE char *blank = strdup(value);

	(void)k;
	if (!blank)
		return error_set(e, ENOMEM, "no memory for a setting");
	for (char *c = blank; *c; c++)
		if (*c == ',')
			*c = ' ';
	if (words_split(&all, blank, e) < 0)
		return error_code(e);
	return converge_parse(at, &all, e);
}

static int show_converge(struct words *ret, const void *at,
			 const struct ini_key *k, struct error *e)
{
	SCOPED(words_done) struct words all = { 0 };

	(void)k;
	if (converge_names(&all, *(const unsigned *)at, e) < 0)
		return error_code(e);
	return words_addf(ret, e, "%s%s%s", all.at[0],
			  all.count > 1 ? ", " : "",
			  all.count > 1 ? all.at[1] : "");
}

static const struct ini_kind converge_kind = { parse_converge, show_converge,
					       NULL };

static const char *const keep_copy_names[] = {
	[KEEP_COPY_NO] = "no",
	[KEEP_COPY_MEMORY] = "memory",
	[KEEP_COPY_DISK] = "disk",
	NULL,
};

#define AT(m) .offset = offsetof(struct move_settings, m)
#define MOVES_MOST 64
#define CONNECTIONS .least = 1, .most = CHANNELS_MAX

static const struct ini_key keys[] = {
	{ "downtime-limit", &setting_limit, "300ms", AT(downtime_limit_us),
	  .example = "50ms", .help = "longest pause of the guest" },
	{ "timeout", &setting_duration, "0", AT(timeout_us), .example = "10min",
	  .help = "longest move; 0 for no limit" },
	{ "on-timeout", &setting_word, "abort", AT(on_timeout),
	  .words = on_timeout_names, .example = "force",
	  .help = "abort the move, or force it: pause, in converge" },
	{ "converge", &converge_kind, "none", AT(converge),
	  .example = "throttle, pause",
	  .help = "against a guest that is too fast: none, or throttle, pause "
		  "or both" },
	{ "compress", &setting_word, "idle", AT(compress),
	  .words = compress_names, .example = "always",
	  .help = "idle: with idle cycles only; always: wait for it; never" },
	{ "codec", &codec_kind, "auto", AT(codec), .example = "zstd:2",
	  .help = "auto, lz4, zstd or zstd:LEVEL" },
	{ "repeat-cache", &cache_kind, "5%", AT(repeat_cache),
	  .example = "256M",
	  .help = "memory for versions of pages: a share of the guest's, or a "
		  "size" },
	{ "mode", &mode_kind, "compression", .before = "option", AT(mode),
	  .example = "auto", .help = "tcp, compression, multichannel or auto" },
	{ "connections-per-rss-card", &setting_number, "4",
	  AT(connections_per_rss_card), CONNECTIONS, .example = "2",
	  .help = "TCP connections over a card with several receive queues" },
	{ "connections-per-card", &setting_number, "1",
	  AT(connections_per_card), CONNECTIONS, .example = "3",
	  .help = "TCP connections over any other card" },
	{ "connections", &setting_number, "32", AT(connections), CONNECTIONS,
	  .example = "16", .help = "TCP connections of a move, at most" },
	{ "max-moves", &setting_number, "2", AT(max_moves), .least = 1,
	  .most = MOVES_MOST, .example = "4",
	  .help = "moves away at once, and as many here; the rest waits" },
	{ "max-disk-moves", &setting_number, "2", AT(max_disk_moves),
	  .least = 1, .most = MOVES_MOST, .example = "1",
	  .help = "of these, that copy disks" },
	{ "requeue", &setting_switch, "on", AT(requeue), .example = "off",
	  .help = "a move that a restart of droverd undid waits once more" },
	{ "weight", &setting_number, "100", AT(weight), .least = 1,
	  .most = MOVE_WEIGHT_MOST, .example = "300",
	  .help = "a move's part beside the host's others" },
	{ "limit", &setting_rate, "0", AT(limit), .example = "500Mbit",
	  .help = "what a move sends at most, in all; 0 for no limit" },
	{ "total-limit", &setting_rate, "0", AT(total_limit),
	  .example = "2Gbit",
	  .help = "what all moves send at most together; 0 for no limit" },
	{ "arbitration", &setting_switch, "on", AT(arbitration),
	  .restart = true, .example = "off",
	  .help = "moves have their parts of the cards, or what TCP gives" },
	{ "outage-limit", &setting_limit, "5min", AT(outage_limit_us),
	  .example = "1min",
	  .help = "longest time without a path while the guest runs" },
	{ "switchover-outage-limit", &setting_limit, "5s",
	  AT(switchover_outage_limit_us), .example = "8s",
	  .help = "longest time without a path while the guest is paused" },
	{ "keep-copy", &setting_word, "no", AT(keep_copy),
	  .words = keep_copy_names, .example = "memory",
	  .help = "what a machine that leaves leaves behind, for its way back: "
		  "no, its memory, or that on disk" },
	{ "keep-copy-size", &setting_bytes, "16G", AT(keep_copy_size),
	  .example = "64G", .help = "what copies on disk take together" },
	{ "keep-copy-time", &setting_duration, "24h", AT(keep_copy_time_us),
	  .example = "2h",
	  .help = "after which a copy is removed; 0: it is not" },
};

const struct ini_section move_section = { "move", keys, ARRAY_SIZE(keys) };

unsigned move_settings_converge(const struct move_settings *s)
{
	return s->converge |
	       (s->on_timeout == ON_TIMEOUT_FORCE ? CONVERGE_PAUSE : 0);
}

struct move_paths move_settings_paths(const struct move_settings *s,
				      const struct networks *networks)
{
	return (struct move_paths){
		.mode = s->mode,
		.networks = *networks,
		.policy = { .all = s->mode->all,
			    .per_card = s->connections_per_card,
			    .per_rss_card = s->connections_per_rss_card,
			    .most = s->connections },
		.never_press = s->compress == COMPRESS_NEVER,
		.compressor_policy = { .always = s->compress == COMPRESS_ALWAYS,
				       .fixed = s->codec.fixed,
				       .choice = s->codec.choice },
		.repeat_cache = s->repeat_cache,
	};
}
