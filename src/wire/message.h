/* SPDX-License-Identifier: MIT */

/*
 * What two daemons say to each other in a session's MESSAGE frames: one struct
 * for each message, and in message.c one table that says how all of them stand
 * in JSON.  docs/wire.md, "Messages", says what they are for.
 *
 * To add one: a type and a struct here; its fields, its name and who may open
 * a session with it in message.c; and a name for "can", which an older version
 * does not send, so that nobody says it to one that would not understand it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "base/words.h"
#include "wire/description.h"
#include "wire/facts.h"

struct error;

enum message_type {
	MESSAGE_UNKNOWN, /* of a newer version, or of none */
	MESSAGE_MOVE,
	MESSAGE_PREPARED,
	MESSAGE_LOADED,
	MESSAGE_COMMIT,
	MESSAGE_RUNNING,
	MESSAGE_REGISTERED,
	MESSAGE_DONE,
	MESSAGE_FAILED,
	MESSAGE_COMPARE,
	MESSAGE_FINDINGS,
	MESSAGE_RELAY,
	MESSAGE_READY,
	MESSAGE_BLOCKS,
	MESSAGE_CARRIES,
	MESSAGE_CARRIED,
	MESSAGE_PLAN,
	MESSAGE_RESOLVE,
	MESSAGE_RESOLVED,
	MESSAGE_ASK,
	MESSAGE_ANSWER,
	MESSAGE_HOLDS,
	MESSAGE_HOLDER,
	MESSAGE_FULL,
	MESSAGE_OFFER,
	MESSAGE_TAKEN,
	MESSAGE_MEMBERS,
	MESSAGE_RENEW,
	MESSAGE_RENEWED,
	MESSAGE_DISKS,
	MESSAGE_TAKES,
	MESSAGE_SEAL,
	MESSAGE_SEALED,
	MESSAGE_FACTS,
	MESSAGE_HOST,
	MESSAGE_RETURN,
	MESSAGE_RETURNS,
	MESSAGE_BUSY,
	MESSAGE_COPY,
	MESSAGE_POOL,
	MESSAGE_FOLDER,
	MESSAGE_TYPES,
};

/* What a peer needs leave for: it may open a session with such a request.
 * drover.conf(5), "may". */
enum message_right {
	RIGHT_NEVER,      /* nobody does: it is no request */
	RIGHT_OF_DOUBT,   /* each peer does, of a move that it has part in */
	RIGHT_OF_PEERS,   /* each peer does */
	RIGHT_OF_MEMBERS, /* of the CA, so many times (host/rates.h) */
	RIGHT_MOVE_IN,
	RIGHT_RETURN,
	RIGHT_COMPARE,
	RIGHT_PLAN,
	RIGHT_STATE,
	RIGHT_RELAY,
	RIGHT_DRAIN,
	RIGHT_LIBVIRT,
	RIGHTS,
};

/* What a source has decided.  Those of "answer", and the first of "resolve". */
enum message_decision {
	DECISION_NONE,
	DECISION_COMMIT,
	DECISION_ABORT,
	DECISION_UNDECIDED,
	DECISION_UNKNOWN,
	DECISIONS,
};

/* How far a destination is. */
enum message_state {
	STATE_NONE,
	STATE_RUNNING,
	STATE_WAITING,
	STATE_DROPPED,
	STATE_LOST,
	STATE_GONE,
	STATES,
};

enum message_holder {
	HOLDER_SILENT,
	HOLDER_RUNS,
	HOLDER_ELSEWHERE,
	HOLDER_NONE,
	HOLDERS
};

/* How a machine that was called back is. */
enum message_returns {
	RETURNS_NONE,
	RETURNS_MOVES,     /* by this job, or waits for it */
	RETURNS_FAILED,    /* that job has */
	RETURNS_ELSEWHERE, /* it is on that host */
	RETURNS_UNKNOWN,   /* nothing is known of it */
	RETURNS_STATES
};

enum {
	MESSAGE_BLOCKS_MAX = 512,
	MESSAGE_GUEST_SIZE = 128,
	MESSAGE_DISKS_MAX = 64,
};

/* A RAM block of the destination; its place in the list is its number. */
struct message_block {
	char name[256];
	uint64_t len_bytes, page_size_bytes;
	bool proof; /* its address has to be proved first */
};

struct message_blocks {
	struct message_block *at; /* on the heap */
	size_t count;
	struct words left_out; /* those that cannot be written, and why */
};

struct message_move {
	char job[17];
	/* The source's QEMU; empty: from an older version. */
	char guest[MESSAGE_GUEST_SIZE];
	bool paused, switchover_ack;
	unsigned priority; /* in the queue of who wants to come */
	struct machine_description machine;
};

/* What becomes of an offered place. */
struct message_taken {
	bool takes; /* a move comes for it */
	bool more;  /* others wait for another one */
};

struct message_prepared {
	struct message_blocks blocks;
	bool switchover_ack;
	bool copy; /* "copy" follows */
};

enum { MESSAGE_SUMS_MAX = 4096 };

/* Of pages that the destination has kept: 16 hexadecimal digits for each, 0
 * for one that it has not. */
struct message_copy {
	unsigned block; /* by its place in the list of "prepared" */
	uint64_t first; /* page */
	char seed[17];  /* of the sums */
	char *sums;
	bool last;
};

/* One that is copied; its place in the list is its number. */
struct message_disk {
	char *path;
	char format[16];
	uint64_t size_bytes, allocated_bytes;
};

struct message_disks {
	char job[17]; /* of the move that follows */
	char machine[64];
	struct message_disk *at; /* on the heap */
	size_t count;
};

struct message_failed {
	char error[512];
	char kind[24]; /* error_kind_name(); empty: from an older version */
};

struct message_resolve {
	char job[17];
	enum message_decision decision;
};

struct message_ask {
	char job[17], machine[64], guest[MESSAGE_GUEST_SIZE];
};

struct message_holds {
	char uuid[40], machine[64];
};

struct message_return {
	char uuid[40], machine[64];
	char job[17]; /* that it was told before; empty: it asks anew */
};

struct message_returns_answer {
	enum message_returns state;
	char job[17], host[64], error[300];
};

/* The list of hosts that the sender has, and where it is itself. */
struct message_members {
	char *list; /* NULL: it has none */
	char *signature;
	struct words addresses;
	unsigned port;
};

/* What others send over a card of the sender's, and what moves may have of it
 * there: bytes a second, or per cent of what it takes; 0: none. */
struct message_busy {
	char address[64]; /* of the card, as connections name it */
	uint64_t others, limit, guarantee;
	unsigned limit_percent, guarantee_percent;
	bool yield;
};

struct message {
	enum message_type type;
	char name[64];    /* of one that is not known here */
	struct words can; /* of the first one of a session */
	union {
		struct message_move move;
		struct message_prepared prepared;
		struct message_failed failed;
		struct machine_description compare;
		struct findings findings;
		char relay[64];               /* its name */
		struct message_blocks blocks; /* also of "ready" */
		char carries[64];             /* the relay's name */
		bool carried;
		struct message_resolve resolve;
		enum message_state resolved;
		struct message_ask ask;
		enum message_decision answer;
		struct message_holds holds;
		struct message_members members;
		struct message_busy busy;
		struct message_copy copy;
		struct message_disks disks;
		char pool[64]; /* its name */
		char *folder;  /* where it is */
		char *renew;   /* a request for a certificate, PEM */
		char *renewed; /* the certificate */
		struct message_taken taken;
		struct host_facts host;
		struct message_return back;
		struct message_returns_answer returns;
		struct {
			enum message_holder state;
			char host[64];
		} holder;
	};
};

const char *message_name(enum message_type t); /* "move" */
/* What a session that begins with it needs. */
enum message_right message_right(enum message_type t);
/* "move-in"; NULL for those that nobody is given. */
const char *message_right_name(enum message_right r);
/* How one stands in JSON. */
const struct shape *message_shape(enum message_type t);
extern const struct shape message_block_shape;
extern const struct shape message_disk_shape;

/* On the heap; NULL: no memory. */
char *message_text(const struct message *m);
/* -EBADMSG with what is wrong.  Done with message_done(), which may be called
 * after a failure, too. */
int message_parse(struct message *ret, const void *text, size_t len,
		  struct error *e);
void message_done(struct message *m);

#define AUTO_MESSAGE __attribute__((cleanup(message_done)))
