/* SPDX-License-Identifier: MIT */

/*
 * Stretches of guest memory that do not press: what is not even looked at.
 *
 * A stretch is 4 MiB of a block.  After two frames of it in a row that the
 * probe took for incompressible, or one that a worker pressed in vain, the next
 * 8 frames that come from there within a second are incompressible without a
 * look.  Then one is looked at again; if it presses, all is forgotten.  So
 * random memory is probed in 3 of its 16 frames, and text that lies between is
 * not lost for long.
 *
 * The table has a fixed size; stretches that meet in a place forget each other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { STRETCHES = 256, STRETCH_SKIP = 8 };

struct stretch {
	uint16_t block;
	uint64_t page; /* any of it, by its number in the block */
};

struct stretches {
	struct {
		uint64_t key; /* 0: none */
		uint64_t until_us;
		uint8_t signs, skip;
	} place[STRETCHES];
};

enum stretch_finding {
	STRETCH_PRESSES,
	STRETCH_LOOKS_INCOMPRESSIBLE, /* says the probe */
	STRETCH_IS_INCOMPRESSIBLE,    /* says a worker */
};

/* Whether a frame from there is taken for incompressible; it then counts as one
 * of those that are not looked at. */
bool stretch_skips(struct stretches *all, struct stretch s, uint64_t now_us);
void stretch_found(struct stretches *all, struct stretch s,
		   enum stretch_finding what, uint64_t now_us);
