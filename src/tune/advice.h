/* SPDX-License-Identifier: MIT */

/*
 * What would be better about the cards of a host, as the control API shows it:
 * docs/api.md, "Advice".
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/shape.h"
#include "base/words.h"

enum { TUNE_SENTENCE = 192 };

/* What the cards are to be good at. */
enum tune_purpose {
	TUNE_FOR_MIXED,
	TUNE_FOR_MIGRATION,
	TUNE_FOR_MACHINES,
	TUNE_FOR_STORAGE,
	TUNE_PURPOSES,
};

struct tune_finding {
	char card[IF_NAMESIZE];
	const char *feature; /* of the rule, which is a constant */
	char now[TUNE_SENTENCE], better[TUNE_SENTENCE];
	const char *why, *source; /* likewise */
	char gain[TUNE_SENTENCE]; /* as measured; "": nothing was */
	struct words commands;    /* none of which has been run */
};

struct tune_advice {
	enum tune_purpose purpose;
	double seconds; /* that load was measured for; NAN: it was not */
	struct tune_finding *at;
	size_t count;
	struct words unknown; /* sentences: of what nothing could be said */
};

extern const char *const tune_purpose_names[TUNE_PURPOSES];
extern const struct shape tune_advice_shape;

/* @name: NULL is mixed.  -EINVAL. */
int tune_purpose_parse(enum tune_purpose *ret, const char *name,
		       struct error *e);
