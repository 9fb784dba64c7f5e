/* SPDX-License-Identifier: MIT */

/*
 * The diallers.  Each path has a thread that dials, lets the session say hello
 * and adds a lane whenever the path has fewer of them than it shall have; after
 * a failure it waits REDIAL_LEAST_US, then twice as long each time, also when
 * the hello came back but nothing else got through.  They are many because
 * dialling a host that does not answer takes a second, in which the other paths
 * must not wait.
 *
 * A connection of a pair of cards keeps to the card here by SO_BINDTODEVICE, or
 * where that is not allowed by its source address; the other side does the
 * same with what it sends.  The hello with the session's secret that comes
 * back is the proof that the pair works.
 */
#pragma once

struct error;
struct path;
struct path_set;

/* Dials once, by the calling thread, the addresses that the session was given:
 * before any thread of the set runs. */
int dialler_dial_given(struct path *p, struct error *e);

int dialler_start(struct path *p, struct error *e);
/* Whose hello is awaited returns.  The lock is held. */
void diallers_shutdown(struct path_set *set);
void diallers_join(struct path_set *set); /* after the end */
