/* SPDX-License-Identifier: MIT */

/*
 * Kinds of values that the settings of several modules have.  A table of keys
 * (base/ini.h) names one in each row; a module whose values are like nobody
 * else's has kinds of its own.
 */
#pragma once

#include "base/ini.h"

extern const struct ini_kind setting_text;      /* char *, never empty */
extern const struct ini_kind setting_path;      /* likewise; absolute */
extern const struct ini_kind setting_paths;     /* struct words */
extern const struct ini_kind setting_addresses; /* struct words; numeric */
extern const struct ini_kind setting_number;    /* unsigned; least to most */
extern const struct ini_kind setting_duration;  /* uint64_t, microseconds */
extern const struct ini_kind setting_limit;     /* likewise, at least 1 ms */
/* uint64_t, bytes; 0 is shown only where the key has a fallback */
extern const struct ini_kind setting_bytes;
extern const struct ini_kind setting_rate;   /* uint64_t, bytes a second */
extern const struct ini_kind setting_switch; /* bool */
/* An enum, or unsigned: the place among the row's words. */
extern const struct ini_kind setting_word;

/* What setting_text does, for kinds that check more before it. */
int setting_parse_text(void *at, const struct ini_key *k, const char *value,
		       struct error *e);
int setting_show_text(struct words *ret, const void *at,
		      const struct ini_key *k, struct error *e);
void setting_clear_text(void *at);

/* What setting_paths does. */
int setting_show_words(struct words *ret, const void *at,
		       const struct ini_key *k, struct error *e);
void setting_clear_words(void *at);
