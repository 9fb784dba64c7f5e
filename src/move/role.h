/* SPDX-License-Identifier: MIT */

/* Which end of a move, or of a relay, a host is. */
#pragma once

enum role { ROLE_SOURCE, ROLE_DESTINATION, ROLES };

extern const char *const role_names[ROLES]; /* "source" */
