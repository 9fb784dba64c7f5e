/* SPDX-License-Identifier: MIT */

/*
 * The planner: a thread on the dialling side.
 *
 * Whenever something changes on which the choice rests (cards here or there, a
 * path that stopped or began to work) it pairs the cards anew, makes a plan of
 * what it knows then, and carries it out: the threads of the paths dial, and
 * lanes that are not wanted any more are dropped.
 *
 * What the peer says of its cards may be old when no path is left, so a path
 * that worked once is then tried whatever the plan says (dialler.h).
 */
#pragma once

#include <stdint.h>

struct error;
struct path_set;

int planner_start(struct path_set *set, struct error *e);
void planner_join(struct path_set *set); /* after the end */

/* Waits until every path that should be used has been tried.  Any thread. */
void planner_wait_tried(struct path_set *set, uint64_t deadline_us);
