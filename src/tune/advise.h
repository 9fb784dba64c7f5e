/* SPDX-License-Identifier: MIT */

/*
 * What would be better about the cards of a host, by rules: docs/tune.md,
 * "Advice".  A pure function; nothing is read here and nothing is changed.
 */
#pragma once

#include "tune/advice.h"

struct error;
struct tune_facts;

/* Give back with shape_done().  Nothing is left when it fails, which only
 * happens without memory. */
int tune_advise(struct tune_advice *ret, const struct tune_facts *facts,
		enum tune_purpose purpose, struct error *e);
