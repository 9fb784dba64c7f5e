/* SPDX-License-Identifier: MIT */

/*
 * A bad network for tests: forwards TCP connections from a port of its own,
 * and after a random number of bytes cuts a connection or flips a bit in it.
 */
#pragma once

#include <stdint.h>

struct cutter;

struct cutter *cutter_new(uint16_t to_port, uint32_t seed);
uint16_t cutter_port(const struct cutter *c);

/* From now on a fault after @bytes of each connection's direction, on
 * average; @flips of them at most flip a bit.  0 bytes: no more faults. */
void cutter_hurt(struct cutter *c, uint32_t bytes, int flips);
/* Every connection now, and each new one at once while @refuse. */
void cutter_cut_all(struct cutter *c, int refuse);
/* Connections stay, nothing passes any more. */
void cutter_freeze(struct cutter *c);

unsigned cutter_faults(const struct cutter *c);
void cutter_free(struct cutter *c);
