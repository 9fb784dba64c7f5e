/* SPDX-License-Identifier: MIT */

/* The rules that advice comes from; a table of constants. */
#pragma once

#include <stddef.h>

#include "tune/advisor.h"

extern const struct tune_rule tune_rules[];
extern const size_t tune_rule_count;
