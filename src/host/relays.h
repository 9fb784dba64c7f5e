/* SPDX-License-Identifier: MIT */

/*
 * Relays for machines that somebody else manages: "accept" waits at the
 * destination under a name (host/relay_waits.h), "connect" finds it from the
 * source.
 *
 * A relay runs in the thread of its job at the source, and in that of the
 * peer's connection at the destination; it owns its session and holds no lock.
 */
#pragma once

struct host;
struct message;
struct session;

/* Answers a peer's "relay" request; takes @s over. */
void relay_serve(struct host *h, struct session *s,
		 const struct message *request);
