/* SPDX-License-Identifier: MIT */
/* The guest's settings, from the kernel command line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "content.h"

struct settings {
	/* 0: all memory but a little. */
	uint64_t fill_bytes;
	uint64_t dirty_bytes_per_s;
	uint64_t verify_bytes_per_s;
	/* 0: everything that is filled. */
	uint64_t hot_bytes;
	uint64_t heartbeat_ms;
	uint64_t seed;
	/* In a loop; 0: none. */
	uint64_t reads;
	const struct content *content;
	bool touch_few;
	bool ignore_button; /* of power */
};

/*
 * Reads `text`; what it does not name gets its default. A word that is wrong
 * is reported on the console; returns false then.
 */
bool cmdline_read(struct settings *ret_settings, const char *text);
