/* SPDX-License-Identifier: MIT */

/* The sections [peer NAME] of drover.conf(5): hosts to move machines to and
 * from. */
#pragma once

#include <stdbool.h>

#include "base/ini.h"
#include "base/words.h"

struct peer {
	char name[INI_NAME_CAP];
	struct words addresses; /* numeric, at least one */
	unsigned port;
	bool tls;
	unsigned may; /* bits by enum message_right */
};

extern const struct ini_section peer_section;
