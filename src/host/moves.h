/* SPDX-License-Identifier: MIT */

/*
 * Moves away, and the question before them whether one would work.  Every move
 * has a thread of its own; its job holds the machine until the move has ended
 * here.  The functions of the API are in host/host.h.
 */
#pragma once

#include "move/move.h"

struct host;
struct machine;
struct waiter;

/* One that waited and whose turn it is: a waiting_start_one. */
void moves_start(struct host *h, struct waiter *one);

/* A machine as a move sees it, for who holds it. */
struct move_machine moves_view(const struct machine *held);
