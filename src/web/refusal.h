/* SPDX-License-Identifier: MIT */
#pragma once

/* {"error": ..., "kind": ...} as droverd's, for free(); NULL: no memory. */
char *web_refusal(const char *error, const char *kind);
