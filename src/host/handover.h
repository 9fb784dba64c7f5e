/* SPDX-License-Identifier: MIT */

/*
 * What moves tell the registry: a machine has arrived, it has left, the move
 * has ended (struct move_host).  Called by the threads of moves, each for the
 * machine that its job holds.
 */
#pragma once

struct host;
struct move_host;

/* Fills in whom the moves of @h tell. */
void handover_init(struct move_host *ret, struct host *h);
