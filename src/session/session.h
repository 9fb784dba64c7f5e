/* SPDX-License-Identifier: MIT */

/*
 * A session: one migration's transport between two daemons.
 *
 * It moves numbered frames over any number of channels, in both directions
 * alike.  Each side has an outbox (what the other side has not applied yet)
 * and an inbox (what has arrived).  Channels come and go; a frame whose
 * channel died leaves over another one, and with no channel left everything
 * waits until one joins or the outage limit has passed.
 *
 *     frames/    what has not arrived at the other side, what has arrived here
 *     compress/  idle processors compress what waits
 *     lanes/     the two threads of each channel
 *     rdma/      pages that are written into the other side's memory
 *     paths/     which ways there are, dialling, what became of them
 *
 *     session.c     what holds these together: beginning, end, messages
 *     life.h        whether it lives
 *     supervisor.h  the thread that buries lanes and watches for outages
 *     accept.h      sessions that others open; table.h: all of them
 *     hello.h       who is at the two ends
 *
 * Ownership: whoever opened or accepted a session ends it with session_free(),
 * after everybody who reads or writes its streams has ended; session_end()
 * makes them.  All other functions may be called from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compress/compressor.h"
#include "frames/outbox.h"
#include "lanes/calls.h"
#include "nic/networks.h"
#include "nic/pairs.h"
#include "nic/rdma_policy.h"
#include "rdma/rdma.h"
#include "session/abilities.h"
#include "wire/frame.h"
#include "wire/hello.h"
#include "wire/message.h"

struct paths_report;
struct error;
struct inbox;
struct nic_watch;
struct session;
struct trust;
struct lanes;

/* How the dialling side finds paths besides the addresses that it was given. */
struct session_cards {
	struct nic_watch *watch;         /* outlives the session; may be NULL */
	const struct networks *networks; /* that may be used */
	struct path_policy policy;
	/* NULL: no page travels by RDMA; copied. */
	const struct rdma_policy *rdma;
};

struct session_options {
	const char *own_name;
	const char *peer; /* name of the other host */
	/* TLS, as this host; outlives the session.  NULL: plain text. */
	struct trust *trust;
	const char *const *addresses; /* to dial; NULL-terminated, or NULL */
	uint16_t port;
	/* Without a watch the first of the addresses that answers is the only
	 * path, and @channels are kept open over it. */
	struct session_cards cards;
	unsigned channels;
	/* NULL: pages travel as they are. */
	struct compressor *compressor; /* outlives the session */
	struct compressor_policy compressor_policy;
	uint64_t outage_limit_us;
};

/* Dials, says hello, starts the first channel.  -EHOSTUNREACH with the reason
 * of the last address tried.  Deep copies @o. */
int session_open(struct session **ret, const struct session_options *o,
		 struct error *e);

/* Makes the other side end as well.  Everybody who waits returns.  Only the
 * first end counts. */
void session_end(struct session *s, const char *why);
/* The same, with @why in the error at the other side. */
void session_fail(struct session *s, const char *why);
void session_free(struct session *s); /* NULL is fine */

/* It has a place that is kept for who ends a doubt (session/table.h): it is for
 * nothing else. */
bool session_kept(const struct session *s);

/* 0 while it lives.  Afterwards -ECONNABORTED with the reason, also after an
 * end that was no failure. */
int session_check(struct session *s, struct error *e);

/* It has ended because the peer's droverd had, or does not know it any more. */
bool session_lost_peer(struct session *s);

/* It has ended, and not as "done": somebody said so, or nobody was heard. */
bool session_failed(struct session *s);

/* Readable when a message arrived or the session ended; for poll() only. */
int session_event_fd(const struct session *s);

/* Messages arrive once and in order.  The first one that is sent says in "can"
 * what this version knows; @m stays the caller's. */
int session_send(struct session *s, const struct message *m, struct error *e);
/* One that has nothing but its type. */
int session_say(struct session *s, enum message_type type, struct error *e);
/* The next message: 1; 0 when there is none; -ECONNABORTED when the session
 * has ended and none is left; -EBADMSG for one that is wrong, the session lives
 * on.  @ret is the caller's after a 1 only. */
int session_receive(struct session *s, struct message *ret, struct error *e);
/* For who waits on the descriptor but expects no message: drops those that
 * came.  As session_check() otherwise. */
int session_skip(struct session *s, struct error *e);
/* As session_receive(), but waits; -ETIMEDOUT at the deadline. */
int session_await(struct session *s, uint64_t deadline_us, struct message *ret,
		  struct error *e);

/* What the peer has said last of each of its cards, MESSAGE_BUSY, which nobody
 * else receives; how many. */
enum { SESSION_BUSY_MAX = 16 };
unsigned session_busy(struct session *s,
		      struct message_busy ret[static SESSION_BUSY_MAX]);

/* NULL: none.  Nobody waits for a reader that has just taken the one before:
 * what was set outlives the session. */
void session_set_page_sink(struct session *s, const struct page_sink *sink);
void session_set_block_sink(struct session *s, const struct block_sink *sink);

/* How far a move has come.  The switchover begins with the call below. */
void session_set_phase(struct session *s, enum outbox_phase phase);
/* Without any sign of life from the peer for @us, the session ends from now on.
 */
void session_set_outage_limit(struct session *s, uint64_t us);
/* The guest has stopped, and somebody waits for all that was sent: what a slow
 * channel still holds is sent again over a fast one.  Without any sign of life
 * from the peer for @outage_limit_us, the session ends; 0: the limit stays. */
void session_switchover(struct session *s, uint64_t outage_limit_us);

struct outbox *session_outbox(struct session *s);
struct inbox *session_inbox(struct session *s);
struct lanes *session_lanes(struct session *s);
const char *session_peer(const struct session *s);
/* The name that it has proved; "" in plain text.  On the side that dialled only
 * once it is open. */
const char *session_proved(const struct session *s);
/* Did a message that was received name it?  The first one does, so for the
 * dialling side this is no before it has had an answer. */
bool session_peer_can(struct session *s, enum ability a);

struct session_stats {
	struct outbox_stats out;
	uint64_t bytes_sent, bytes_received; /* frames with their headers */
	uint64_t duplicates, damaged;        /* frames that arrived so */
	unsigned channels;                   /* alive now */
	uint64_t bytes_aside;                /* of these, pages by RDMA */
	bool outage;  /* nothing heard from the peer for a second */
	bool presses; /* with a compressor */
};

void session_stats(struct session *s, struct session_stats *ret);
/* On the accepting side: the peer has asked for what pages come for, and may.
 * Before the first answer, since it asks for queue pairs after that. */
void session_admit_rdma(struct session *s);
/* How RDMA does. */
void session_rdma(struct session *s, struct rdma_view *ret);
/* Waits until it is open or known not to be, and says why not; "": it is. */
void session_try_rdma(struct session *s, uint64_t deadline_us,
		      char why[static RDMA_WHY]);
/* Waits until it is open where it is required.  -EPERM with the reason
 * when it is not by @deadline_us. */
int session_await_rdma(struct session *s, uint64_t deadline_us,
		       struct error *e);
/* Every path that was used or might have been, and the cards of both sides that
 * are on none. */
int session_paths(struct session *s, struct paths_report *ret, struct error *e);
/* What the compressor did for the session; false without one. */
bool session_compression(struct session *s, struct compressor_report *ret);
/* Waits until every path that should be used has been tried. */
void session_wait_tried(struct session *s, uint64_t deadline_us);
