/* SPDX-License-Identifier: MIT */

/*
 * What the service is made of.  Each part is opaque and has a header and a lock
 * of its own; this one only says where they are, and service.c alone makes and
 * frees them.  All of it is set before the first thread starts.
 *
 *     jobs         the list of jobs, and threads that are waited for
 *     waiting      moves that wait for their turn, here and elsewhere
 *     requeue      those that had started when the last daemon ended
 *     registry     which machines are here, and who holds each
 *     watch        the thread that notices QEMUs that end
 *     room         memory that moves will take
 *     relay_waits  relays that wait for their source
 *     port         the peer port
 *     rates        how often peers have asked for what is limited
 *     events       what happened lately, and who reads it
 *     hooks        what hooks are still to be told
 *     copies       disks that come to this host
 *     kept         what machines that went away have left here
 *     keeper       the thread that keeps certificates and the list of hosts
 *     arbiter      the thread that shares the cards among the moves
 *     live         the settings in force
 *     drain        whether this host is drained, and how far that is
 *     sampler      the thread that looks once a second: docs/metrics.md
 *     hosts        what the peers told last, for who looks
 *
 * Locks are taken in this order: waiting, requeue or registry, jobs, a job's
 * own; that of hooks before that of jobs, that of live alone, or under that of
 * waiting.  Those of watch, relay_waits, port, rates, drain and hosts are taken
 * alone, so is that of room but for the one of kept; those of events, sampler
 * and kept last. None is held across anything that waits: who needs a machine
 * for longer holds it (host/hold.h).
 */
#pragma once

#include <poll.h>

#include "host/live.h"
#include "move/move.h"

struct arbiter;
struct compressor;
struct copies;
struct drain;
struct events;
struct hook_queue;
struct hosts;
struct jobs;
struct keeper;
struct kept_copies;
struct nic_watch;
struct port;
struct rates;
struct registry;
struct relay_waits;
struct requeue;
struct room;
struct sampler;
struct session_table;
struct trust;
struct waiting;
struct watch;

struct host {
	/* Those of the start: what needs a restart counts as it is here. */
	const struct host_settings *settings;
	struct live live;
	struct move_host move; /* what does not change of it; see terms_of() */
	struct session_table *sessions;
	struct nic_watch *nics;
	struct trust *trust; /* who this host is, and whom it believes */
	struct compressor *compressor;
	struct jobs *jobs;
	struct waiting *waiting;
	struct requeue *requeue;
	struct events *events;
	struct hook_queue *hooks;
	struct registry *registry;
	struct watch *watch;
	struct room *room;
	struct relay_waits *relay_waits;
	struct port *port;
	struct rates *rates;
	struct copies *copies;
	struct kept_copies *kept;
	struct keeper *keeper;
	struct drain *drain;
	struct arbiter *arbiter;
	struct sampler *sampler;
	struct hosts *hosts;
	int stop_fd; /* readable once the host stops */
	int news_fd; /* and once the list of hosts has changed here */
	int lock_fd; /* that the state directory is ours */
};

/* Does it stop, or will it within @ms?  Any thread may wait so. */
static inline bool host_stops(const struct host *h, int ms)
{
	struct pollfd p = { .fd = h->stop_fd, .events = POLLIN };

	return poll(&p, 1, ms) != 0;
}
