/* SPDX-License-Identifier: MIT */

/*
 * Who may run the guest: all decisions of a move, as one table.
 *
 * decide() is a pure function: it looks up what one side does next, from the
 * state that it is in, what has happened, and what is known at that moment.
 * The threads of source.c and destination.c, recovery after a restart, the
 * operator's word and the answers to a peer's questions all go through it, and
 * do what it says in the order in which it says it.
 *
 * tests/unit/test_decide.c runs this very function through every order of
 * messages, crashes, cuts, failed writes and commands.  docs/commit.md tells
 * the same in words.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "move/role.h"

/* Where one side of a move stands.  "Entry" is its entry of the journal. */
enum decide_state {
	DECIDE_NONE, /* no job: there may be a record of one that is over */

	SOURCE_COPYING,     /* the guest is ours; entry: prepare */
	SOURCE_DECIDING,    /* both copies are complete; writes "commit" */
	SOURCE_GIVING,      /* entry: commit; asks until it is confirmed */
	SOURCE_ASKS_KEEP,   /* told run-here: asks the peer once more */
	SOURCE_ASKS_GIVE,   /* told give-up: asks the peer once more */
	SOURCE_UNDOING,     /* takes "commit" back: writes "aborted" */
	SOURCE_CONTINUING,  /* the guest is ours again, and is continued */
	SOURCE_SETTLING,    /* it goes on here; the entry has to go */
	SOURCE_KEPT,        /* over */
	SOURCE_NOTING_LEFT, /* given up unheard; writes "left" */
	SOURCE_FORGETTING,  /* ends its QEMU; the machine has to go */
	SOURCE_LEAVING,     /* the entry has to go */
	SOURCE_GONE,        /* over */

	DEST_LOADING,     /* entry: prepare; the copy is not complete */
	DEST_LOADED,      /* complete and paused; asks until it knows */
	DEST_ASKS_RUN,    /* told run-here: asks the peer once more */
	DEST_CLAIMING,    /* writes "committed" before the guest may run */
	DEST_CLAIMED,     /* so it was, and is continued */
	DEST_TOLD,        /* the guest is ours, and is continued */
	DEST_NOTING,      /* it was continued; writes "committed" */
	DEST_REGISTERING, /* the machine is written into the registry */
	DEST_HERE,        /* registered; the entry has to go */
	DEST_DONE,        /* over */
	DEST_NOTING_DROP, /* writes "dropped" */
	DEST_DROPPING,    /* ends its QEMU */
	DEST_SHELVING,    /* makes a record of the entry */
	DEST_CLEARING,    /* ends its QEMU, where no record is needed */
	DEST_ERASING,     /* the entry has to go */
	DEST_DROPPED,     /* over: its guest has certainly never run here */
	DEST_NOTING_LOST, /* makes a record of the entry */
	DEST_LOST,        /* over: its QEMU has ended, nobody knows whether it
			   * had run the guest */
	DECIDE_STATES,
};

enum decide_event {
	/* of one's own doing */
	EVENT_BOTH_COMPLETE, /* source: both QEMUs have said so */
	EVENT_LOADED,        /* destination: its QEMU has said so */
	EVENT_FAILED,        /* anything before that, and a cancel */
	EVENT_STORED,        /* what was to be written is on disk */
	EVENT_NOT_STORED,    /* it may be on disk all the same */
	EVENT_CONTINUED,     /* or it stays paused, as was asked */
	EVENT_REFUSED,       /* QEMU said for certain that it does not run it */
	EVENT_ENDED,         /* the QEMU has been ended */
	EVENT_DIED,          /* destination: it ended while it was continued */
	/* what the other side has said, in a message or an answer */
	EVENT_HEARD_COMMIT,
	EVENT_HEARD_ABORT,
	EVENT_HEARD_UNDECIDED,
	EVENT_HEARD_UNKNOWN, /* it knows neither the move nor the guest */
	EVENT_HEARD_RUNNING,
	EVENT_HEARD_WAITING, /* it is there, and has not finished */
	EVENT_HEARD_DROPPED,
	EVENT_HEARD_GONE, /* it knows nothing of this move */
	EVENT_HEARD_LOST,
	EVENT_SILENT, /* it was asked, and could not be reached */
	/* what the other side asks */
	EVENT_ASKED,
	/* the operator's word */
	EVENT_RUN_HERE,
	EVENT_GIVE_UP,
	/* a daemon that starts has found an entry */
	EVENT_FOUND_PREPARE,
	EVENT_FOUND_COMMIT,    /* source */
	EVENT_FOUND_LEFT,      /* source */
	EVENT_FOUND_COMMITTED, /* destination */
	EVENT_FOUND_DROPPED,   /* destination */
	DECIDE_EVENTS,
	NO_EVENT = DECIDE_EVENTS, /* nothing has happened */
};

/* What is known when it happens; a bit each. */
enum decide_fact {
	/* The destination's copy may be complete; at the destination, where
	 * its QEMU lives. */
	FACT_COMPLETE = 1 << 0,
	FACT_MACHINE = 1 << 1, /* the machine is in the registry */
	/* The machine has no other QEMU now than the one of the entry. */
	FACT_SAME_QEMU = 1 << 2,
	/* The QEMU of the entry lives; where there is none: the source's of
	 * before the move, by what the peer says of it. */
	FACT_ALIVE = 1 << 3,
	FACT_RUNNING = 1 << 4, /* and runs the guest */
	FACT_PAUSED = 1 << 5,  /* the guest is to stay paused */
	/* a record of this job that is over */
	FACT_ABORTED = 1 << 6,
	FACT_LEFT = 1 << 7,
	FACT_ARRIVED = 1 << 8,
	FACT_DROPPED = 1 << 9,
	FACT_LOST = 1 << 10,
	FACT_ENTRY = 1 << 11, /* an entry that is still to be taken up */
	/* Destination: the QEMU that was found in the place of the entry's is
	 * of the machine as it came later. */
	FACT_LATER_QEMU = 1 << 12,
};

enum decide_action {
	ACT_NOTHING,
	ACT_STORE_COMMIT,  /* each "store": synced, then STORED or NOT_STORED */
	ACT_STORE_ABORTED, /* or, where that fails, the entry removed */
	ACT_STORE_LEFT,
	ACT_STORE_COMMITTED,
	ACT_STORE_ARRIVED, /* the entry becomes a record */
	ACT_STORE_DROPPED,
	ACT_STORE_LOST,
	ACT_RECORD_LEFT, /* the entry becomes a record */
	ACT_REMOVE,      /* the entry: STORED when that is on disk */
	ACT_SEND_COMMIT, /* hand it out, now and whenever asked */
	ACT_SEND_LOADED,
	ACT_SEND_RUNNING,
	ACT_SEND_REGISTERED, /* the machine is held no longer */
	ACT_SEND_DROPPED,
	ACT_SEND_DONE,
	ACT_TELL,     /* tell "commit" again, and hear what the peer says */
	ACT_PROBE,    /* ask once more, without telling "commit" */
	ACT_ASK,      /* what has the source decided? */
	ACT_CONTINUE, /* the guest: CONTINUED, REFUSED or DIED */
	ACT_END_QEMU, /* for certain: ENDED */
	ACT_FORGET,   /* the machine, out of the registry: a store */
	ACT_REGISTER, /* the machine, into it: a store */
	ACT_REFUSE,   /* the operator's word: the peer was heard */
	ACT_DOUBT,    /* say what is not known and what can be done, and wait
		       * a while before what follows */
	ACT_SAY_COMMIT,
	ACT_SAY_ABORT,
	ACT_SAY_UNDECIDED,
	ACT_SAY_UNKNOWN,
	ACT_SAY_RUNNING,
	ACT_SAY_WAITING,
	ACT_SAY_DROPPED,
	ACT_SAY_GONE,
	ACT_SAY_LOST,
	DECIDE_ACTIONS,
};

enum { DECIDE_ACTIONS_MAX = 4 };

struct decide_row {
	enum decide_state state;
	enum decide_event event;
	unsigned need; /* facts that have to be */
	enum decide_state next;
	enum decide_action actions[DECIDE_ACTIONS_MAX]; /* ACT_NOTHING ends */
	/* Of a row of DECIDE_NONE: all other states are of one role only. */
	enum role role;
};

struct decide_table {
	const struct decide_row *rows; /* the first that fits counts */
	size_t count;
};

extern const struct decide_table decide_table;

/* The row of @table that says what @role does in @state on @event; @facts are
 * of enum decide_fact.  NULL: the event means nothing there, and changes
 * nothing. */
const struct decide_row *decide_in(const struct decide_table *table,
				   enum role role, enum decide_state state,
				   enum decide_event event, unsigned facts);

/* The same in the table that counts. */
const struct decide_row *decide(enum role role, enum decide_state state,
				enum decide_event event, unsigned facts);

/* Nothing is left to do, and the machine is not held. */
bool decide_is_over(enum decide_state state);
/* "source:giving", for logs and tests. */
const char *decide_state_name(enum decide_state state);
