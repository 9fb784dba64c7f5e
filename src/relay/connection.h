/* SPDX-License-Identifier: MIT */

/*
 * One connection of a relay to QEMU: a thread that reads it, and one that
 * writes to it.
 */
#pragma once

#include <stdint.h>

struct connection;
struct error;
struct relay;

/* The first failure is the relay's.  Any thread. */
void relay_fail(struct relay *r, const struct error *e);

/* Under the relay's lock, which the threads ask for when they end.  A failure
 * closes the socket. */
int connection_start(struct connection *c, struct error *e);
void connection_join(struct connection *c);

/* The destination's QEMU may wait for a connection that says nothing for a long
 * time, such as the one for urgent pages in post-copy.  1 or negative. */
int connection_announce(struct relay *r, uint16_t number, struct error *e);
