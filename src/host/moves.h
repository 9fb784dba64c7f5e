/* SPDX-License-Identifier: MIT */

/*
 * Moves away, and the question before them whether one would work.  Every move
 * has a thread of its own; its job holds the machine until the move has ended
 * here.  The functions of the API are in host/host.h.
 */
#pragma once

#include "move/move.h"

struct error;
struct host;
struct machine;
struct move_request;
struct settings;
struct waiter;

/* One that waited and whose turn it is: a waiting_start_one. */
void moves_start(struct host *h, struct waiter *one);

/* A machine as a move sees it, for who holds it. */
struct move_machine moves_view(const struct machine *held);
/* What a move is asked for, with the settings for what it is not. */
int moves_options(struct move_options *r, const struct settings *s,
		  const struct move_request *of, struct error *e);
