/* SPDX-License-Identifier: MIT */

/* The settings one by one: what each is, where that comes from, and whether it
 * counts already. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/words.h"
#include "host/settings.h"

struct error;

enum { SETTING_NAME_CAP = 3 * INI_NAME_CAP };

struct setting_view {
	const struct ini_section *section;
	const struct ini_key *key;
	char name[INI_NAME_CAP]; /* of the section; "": it has none */
	struct words values;     /* as a file has them; none: it is not set */
	const char *file;        /* NULL: the default */
	unsigned line;
	bool restart; /* a change counts from the next start on */
	bool pending; /* it counts from the next start on; another does now */
};

struct settings_view {
	struct setting_view *at;
	size_t count;
	struct settings *of; /* a reference, for what the rest points to */
};

/* All of @s; @first are those of the start. */
int settings_view_all(struct settings_view *ret, struct settings *s,
		      struct settings *first, struct error *e);
/* One of them; in a section that is not there it has no value. */
int settings_view_one(struct settings_view *ret, struct settings *s,
		      struct settings *first, const struct setting_view *which,
		      struct error *e);
void settings_view_done(struct settings_view *v);

/* "peer.beta.address" */
void setting_view_name(char buf[static SETTING_NAME_CAP],
		       const struct setting_view *v);

bool setting_view_same(const struct setting_view *a,
		       const struct setting_view *b);

/* The setting of that name, without its value.  -EINVAL with what was probably
 * meant. */
int setting_find(struct setting_view *ret, const char *setting,
		 struct error *e);
