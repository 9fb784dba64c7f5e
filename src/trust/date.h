/* SPDX-License-Identifier: MIT */

/* Points in time as sentences have them: "2026-11-29 10:00:00 UTC". */
#pragma once

#include <stdint.h>

enum { DATE_CAP = 32 };

void date_text(char buf[static DATE_CAP], int64_t at_s);
