/* SPDX-License-Identifier: MIT */

/*
 * Lanes: the channels of a session, each with two threads that carry frames
 * between it and the outbox and the inbox.
 *
 *     lanes_add ──► starting ──► alive ──broken, dropped──► dying ──ended()──┐
 *                                                                            ▼
 *       a free slot ◄──lanes_bury── ended ◄──lanes_next_ended: threads joined
 *
 * A lane has a number that no other one of its session ever has, and an owner's
 * number, which means nothing here: lanes know no paths.
 *
 * Either thread that finds the channel broken marks the lane as dying and shuts
 * the channel down, which makes the other one return too.  One thread, the
 * session's supervisor, joins both, and only then do the lane's frames go back
 * into the outbox: no frame is requeued while a thread may still write it.
 *
 * Threads: any may call, but lanes_next_ended() and lanes_bury() are the
 * supervisor's.  One lock guards the set; those of the outbox and the inbox
 * come after it.  Nobody is called while it is held.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel/channel.h"
#include "frames/outbox.h"
#include "lanes/calls.h"

struct error;
struct inbox;
struct lanes;
struct outbox;

enum { LANE_NO_OWNER = 0 };

struct lanes_options {
	const char *peer; /* in sentences; outlives the lanes, as do these: */
	struct outbox *out;
	struct inbox *in;
	struct lane_calls calls;
};

int lanes_new(struct lanes **ret, const struct lanes_options *o,
	      struct error *e);
void lanes_free(struct lanes *l); /* none is left; NULL is fine */

/* The session's number, which all frames bear: before the first is added. */
void lanes_set_session(struct lanes *l, uint64_t session);

/* Takes @c over, also when it fails: -EBUSY with CHANNELS_MAX of them, or after
 * the end. */
int lanes_add(struct lanes *l, struct channel *c, unsigned owner,
	      struct error *e);
/* Its frames leave over the others.  Nothing happens when it has ended.
 * @let_go: nothing is wrong with it. */
void lanes_drop(struct lanes *l, uint64_t number, bool let_go, const char *why);

/* At most so many bytes a second leave over it; CHANNEL_FREE: as many as can.
 */
void lanes_pace(struct lanes *l, uint64_t number, uint64_t rate);
/* Its packets bear these marks from now on. */
int lanes_mark(struct lanes *l, uint64_t number,
	       const struct channel_marks *marks, struct error *e);

/* Its congestion control from now on: tried once for each name. */
int lanes_congest(struct lanes *l, uint64_t number, const char *name,
		  struct error *e);

/* --- looking */

struct lanes_count {
	unsigned alive;    /* may carry, or will in a moment */
	unsigned dying;    /* not buried yet */
	unsigned starting; /* of those that are alive: not quite yet */
};

/* Of one owner. */
struct lanes_count lanes_count_of(struct lanes *l, unsigned owner);
struct lanes_count lanes_count(struct lanes *l); /* of all */

struct lane_view {
	uint64_t number;
	const char *kind; /* of the channel */
	unsigned slot;    /* as an outbox counts channels */
	unsigned owner;
	char from[CHANNEL_NAME_MAX], to[CHANNEL_NAME_MAX];
	struct nic_address local, remote;
	uint16_t local_port, remote_port;
	unsigned queue;          /* by which it receives; 0: not known */
	uint64_t sent, received; /* bytes, frames with their headers */
	uint64_t acked;          /* of sent: has arrived */
	uint64_t aside;          /* of pages, by RDMA, besides these */
	struct outbox_flow flow;
	uint64_t retransmissions;
	struct channel_stats wire; /* what its transport says */
	uint64_t pace; /* bytes a second that it may; CHANNEL_FREE: any */
	uint64_t age_us;
	bool alive, starting, let_go;
	char why[252]; /* it ended; empty: it has not */
};

/* All that are not buried; at most CHANNELS_MAX.  How many. */
unsigned lanes_view(struct lanes *l, struct lane_view *ret);

bool lanes_use_port(struct lanes *l, uint16_t local_port);

struct lanes_sums {
	uint64_t sent, received; /* also by those that are gone */
	uint64_t aside;
	unsigned damaged; /* frames that arrived so */
};

struct lanes_sums lanes_sums(struct lanes *l);

/* When the peer was last heard, clock_us() time. */
uint64_t lanes_heard_us(struct lanes *l);
void lanes_heard(struct lanes *l); /* now, otherwise than by a frame */

/* --- what they carry besides frames of the outbox */

/* May be NULL: pages that arrive are a mistake then. */
void lanes_set_page_sink(struct lanes *l, const struct page_sink *sink);
/* The same for blocks of disks. */
void lanes_set_block_sink(struct lanes *l, const struct block_sink *sink);

/* Every lane tells @text to the peer, now and when it begins.  Takes it over.
 */
void lanes_announce(struct lanes *l, enum lanes_announce what, char *text);

/* Before the first is added; outlives them. */
void lanes_set_aside(struct lanes *l, const struct lane_aside *aside);
/* What aside->came() was given, with its pages at @data: to the sink.  A frame
 * that came before, by whatever way, is dropped. */
int lanes_place(struct lanes *l, uint64_t seq, const struct iovec *meta,
		const struct iovec *data, struct error *e);
/* What comes makes no sense: as lane_calls.broken(). */
void lanes_broken(struct lanes *l, const char *why);

/* --- ending */

/* The session has ended: what is written last is BYE with @why, what is read is
 * not used.  Before the outbox is closed. */
void lanes_close(struct lanes *l, bool failed, const char *why);
/* Every thread of every lane returns. */
void lanes_cut(struct lanes *l);

/* The event "ended": waits for the threads of one that is dying.  False: there
 * is none.  It counts, and is seen, until it is buried. */
bool lanes_next_ended(struct lanes *l, struct lane_view *ret);
void lanes_bury(struct lanes *l, uint64_t number);
