/* SPDX-License-Identifier: MIT */

/*
 * The host's settings, drover.conf(5)
 *
 * They are the defaults of the tables of keys, what the main file says, and
 * what the files NAME.conf beside it in drover.d say, in the order of their
 * names: of a key that stands in several files the last one counts, with all
 * its values.  The tables are beside whom they concern; here they are only put
 * together.
 *
 * A struct settings never changes once it is loaded, and any thread may look.
 * Whoever does holds a reference; host/live.h says how one follows another.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ini.h"
#include "base/words.h"
#include "host/host_settings.h"
#include "host/peers.h"
#include "host/pools.h"
#include "host/power.h"
#include "move/settings.h"
#include "nic/networks.h"
#include "nic/rdma_policy.h"
#include "qemu/tap.h"

struct error;

/* Where a value comes from, or the head of a section with a name. */
struct setting_origin {
	const void *base;          /* what the section fills */
	const struct ini_key *key; /* NULL: the head */
	size_t file;               /* among the files */
	unsigned line;
};

struct settings {
	struct host_settings host;
	struct move_settings move;
	struct power_settings power;
	struct ini_list peers;          /* struct peer */
	struct ini_list named_networks; /* struct network_settings */
	struct ini_list bridges;        /* struct bridge */
	struct ini_list pools;          /* struct pool */
	struct words image_folders;     /* with those of pools */
	struct rdma_policy rdma;  /* for moves that ask for nothing else */
	struct networks networks; /* all that moves may use; empty: any */

	struct words files; /* that were read, in their order */
	/* A sentence for each key and section that this version does not
	 * know, and skipped: a newer one may have written the file. */
	struct words unknown;
	struct words renamed; /* likewise for names of before */
	struct setting_origin *origins;
	size_t origins_count;
	unsigned references; /* atomic */
};

struct settings_source {
	const char *path; /* of the main file */
	bool optional;    /* without it there are the defaults */
	/* What a file of drover.d would say, "90-set.conf"; NULL: all say what
	 * they do. */
	const char *name, *text;
};

/* Errors are "FILE:LINE:COLUMN: sentence"; -ENOENT when there is no main file
 * but one is needed. */
int settings_load(struct settings **ret, const struct settings_source *from,
		  struct error *e);
/* From a text alone; the empty text gives the defaults. */
int settings_parse(struct settings **ret, const char *file_name,
		   const char *text, size_t len, struct error *e);

/* Logs what is not known, and what has another name now. */
void settings_warn(const struct settings *s);

/* "/etc/drover/drover.d" for "/etc/drover/drover.conf". */
void settings_folder(char *buf, size_t cap, const char *path);

/* A further reference. */
struct settings *settings_hold(struct settings *s);
void settings_drop(struct settings *s); /* NULL is fine */

static inline void settings_scope_drop(struct settings *const *s)
{
	settings_drop(*s);
}
#define AUTO_SETTINGS __attribute__((cleanup(settings_scope_drop)))

/* What a move that asks for nothing else uses. */
struct move_paths settings_paths(const struct settings *s);

/* NULL when there is none. */
const struct peer *settings_peer(const struct settings *s, const char *name);

/* --- all of them */

/* The sections, in the order of the manual page. */
extern const struct ini_section *const settings_sections[];
extern const size_t settings_sections_count;

/* What the section fills, or the list of those it fills. */
void *settings_place(struct settings *s, const struct ini_section *section);

/* That of such a list which has this name, or NULL. */
void *settings_named(const struct ini_list *l, const char *name);

/* -EINVAL with the one that was probably meant. */
int settings_section(const struct ini_section **ret, const char *name,
		     struct error *e);

/* Would a file with these values be good, as far as the key alone can say?
 * -EINVAL. */
int settings_try(const struct ini_section *section, const struct ini_key *key,
		 const struct words *values, struct error *e);

/* NULL: the value is the default. */
const struct setting_origin *settings_origin(const struct settings *s,
					     const void *base,
					     const struct ini_key *key);
