/* SPDX-License-Identifier: MIT */

/*
 * What peers ask for.  The first message of a session says what it is for, and
 * a table says who answers that: a new message is an entry there.
 *
 * Called by the thread of the connection that opened the session, which holds
 * no lock; it answers to the end, which may be that of a move.
 */
#pragma once

struct host;
struct session;

/* Takes @s over. */
void arrivals_serve(struct host *h, struct session *s);
