/* SPDX-License-Identifier: MIT */
#include "move/decide.h"

#include <assert.h>

#include "base/text.h"

/* A row: in this state, on this event, if these facts hold:
 * the next state, and what to do, in this order. */
#define ROW(from, on, with, to, ...) \
	{ \
		.state = (from), .event = EVENT_##on, .need = (with), \
		.next = (to), .actions = { \
			__VA_ARGS__ \
		} \
	}
#define ANSWER(from, what) ROW(from, ASKED, 0, from, ACT_SAY_##what)
/* The answer of a side without a job, by what it has on record. */
#define RECORD(of, with, what) \
	{ \
		.state = DECIDE_NONE, .event = EVENT_ASKED, .need = (with), \
		.next = DECIDE_NONE, .actions = { ACT_SAY_##what }, \
		.role = (of) \
	}
#define FOUND(of, step, with, to, ...) \
	{ \
		.state = DECIDE_NONE, .event = EVENT_FOUND_##step, \
		.need = (with), .next = (to), .actions = { __VA_ARGS__ }, \
		.role = (of) \
	}

/* clang-format off */
static const struct decide_row rows[] = {
	/* --- source: until "commit" is on disk, the guest is ours */
	ROW(SOURCE_COPYING, BOTH_COMPLETE, 0, SOURCE_DECIDING, ACT_STORE_COMMIT),
	ROW(SOURCE_COPYING, FAILED, 0, SOURCE_CONTINUING, ACT_CONTINUE),
	ANSWER(SOURCE_COPYING, UNDECIDED),

	/* A write that failed may be on disk all the same. */
	ROW(SOURCE_DECIDING, STORED, 0, SOURCE_GIVING, ACT_SEND_COMMIT, ACT_TELL),
	ROW(SOURCE_DECIDING, NOT_STORED, 0, SOURCE_UNDOING, ACT_STORE_ABORTED),
	ANSWER(SOURCE_DECIDING, UNDECIDED),

	/* --- source: from here on it is the destination's, until the
	 * destination says that it has dropped it */
	ROW(SOURCE_GIVING, HEARD_RUNNING, 0, SOURCE_FORGETTING, ACT_END_QEMU, ACT_FORGET),
	ROW(SOURCE_GIVING, HEARD_DROPPED, 0, SOURCE_UNDOING, ACT_STORE_ABORTED),
	ROW(SOURCE_GIVING, HEARD_WAITING, 0, SOURCE_GIVING, ACT_DOUBT, ACT_TELL),
	ROW(SOURCE_GIVING, HEARD_GONE, 0, SOURCE_GIVING, ACT_DOUBT, ACT_TELL),
	ROW(SOURCE_GIVING, HEARD_LOST, 0, SOURCE_GIVING, ACT_DOUBT, ACT_TELL),
	ROW(SOURCE_GIVING, SILENT, 0, SOURCE_GIVING, ACT_DOUBT, ACT_TELL),
	ROW(SOURCE_GIVING, RUN_HERE, 0, SOURCE_ASKS_KEEP, ACT_PROBE),
	ROW(SOURCE_GIVING, GIVE_UP, 0, SOURCE_ASKS_GIVE, ACT_PROBE),
	ANSWER(SOURCE_GIVING, COMMIT),

	/* The operator's word is for the doubt that it was given to.  While it
	 * is looked into, nobody is told "commit". */
	ROW(SOURCE_ASKS_KEEP, SILENT, 0, SOURCE_UNDOING, ACT_STORE_ABORTED),
	ROW(SOURCE_ASKS_KEEP, HEARD_GONE, 0, SOURCE_UNDOING, ACT_STORE_ABORTED),
	ROW(SOURCE_ASKS_KEEP, HEARD_LOST, 0, SOURCE_UNDOING, ACT_STORE_ABORTED),
	ROW(SOURCE_ASKS_KEEP, HEARD_DROPPED, 0, SOURCE_UNDOING, ACT_STORE_ABORTED),
	ROW(SOURCE_ASKS_KEEP, HEARD_WAITING, 0, SOURCE_GIVING, ACT_REFUSE, ACT_TELL),
	ROW(SOURCE_ASKS_KEEP, HEARD_RUNNING, 0, SOURCE_FORGETTING, ACT_REFUSE, ACT_END_QEMU, ACT_FORGET),
	ANSWER(SOURCE_ASKS_KEEP, UNDECIDED),

	ROW(SOURCE_ASKS_GIVE, SILENT, 0, SOURCE_NOTING_LEFT, ACT_STORE_LEFT),
	ROW(SOURCE_ASKS_GIVE, HEARD_GONE, 0, SOURCE_NOTING_LEFT, ACT_STORE_LEFT),
	ROW(SOURCE_ASKS_GIVE, HEARD_LOST, 0, SOURCE_NOTING_LEFT, ACT_STORE_LEFT),
	ROW(SOURCE_ASKS_GIVE, HEARD_DROPPED, 0, SOURCE_UNDOING, ACT_REFUSE, ACT_STORE_ABORTED),
	ROW(SOURCE_ASKS_GIVE, HEARD_WAITING, 0, SOURCE_GIVING, ACT_REFUSE, ACT_TELL),
	ROW(SOURCE_ASKS_GIVE, HEARD_RUNNING, 0, SOURCE_FORGETTING, ACT_END_QEMU, ACT_FORGET),
	ANSWER(SOURCE_ASKS_GIVE, COMMIT),

	/* --- source: the guest comes back.  It is not continued while a
	 * restarted daemon could still read "commit". */
	ROW(SOURCE_UNDOING, STORED, 0, SOURCE_CONTINUING, ACT_CONTINUE),
	ROW(SOURCE_UNDOING, NOT_STORED, 0, SOURCE_UNDOING, ACT_DOUBT, ACT_STORE_ABORTED),
	ANSWER(SOURCE_UNDOING, UNDECIDED),

	/* A copy that may be complete over there will ask, perhaps long after
	 * this guest has ended: then the record answers. */
	ROW(SOURCE_CONTINUING, CONTINUED, FACT_COMPLETE, SOURCE_SETTLING, ACT_STORE_ABORTED),
	ROW(SOURCE_CONTINUING, CONTINUED, 0, SOURCE_SETTLING, ACT_REMOVE),
	ROW(SOURCE_CONTINUING, REFUSED, 0, SOURCE_CONTINUING, ACT_DOUBT, ACT_CONTINUE),
	ROW(SOURCE_CONTINUING, RUN_HERE, 0, SOURCE_SETTLING, ACT_STORE_ABORTED),
	ROW(SOURCE_CONTINUING, ENDED, 0, SOURCE_SETTLING, ACT_STORE_ABORTED),
	ANSWER(SOURCE_CONTINUING, ABORT),

	ROW(SOURCE_SETTLING, STORED, 0, SOURCE_KEPT, ACT_NOTHING),
	ROW(SOURCE_SETTLING, NOT_STORED, FACT_COMPLETE, SOURCE_SETTLING, ACT_DOUBT, ACT_STORE_ABORTED),
	ROW(SOURCE_SETTLING, NOT_STORED, 0, SOURCE_SETTLING, ACT_DOUBT, ACT_REMOVE),
	ANSWER(SOURCE_SETTLING, ABORT),
	ANSWER(SOURCE_KEPT, ABORT),

	/* --- source: the guest has left */
	ROW(SOURCE_NOTING_LEFT, STORED, 0, SOURCE_FORGETTING, ACT_END_QEMU, ACT_FORGET),
	ROW(SOURCE_NOTING_LEFT, NOT_STORED, 0, SOURCE_GIVING, ACT_REFUSE, ACT_TELL),
	ANSWER(SOURCE_NOTING_LEFT, COMMIT),

	/* The machine goes before the entry.  From then on what has its name
	 * may be the guest that came back. */
	ROW(SOURCE_FORGETTING, STORED, FACT_LEFT, SOURCE_GONE, ACT_RECORD_LEFT),
	ROW(SOURCE_FORGETTING, STORED, 0, SOURCE_LEAVING, ACT_REMOVE),
	ROW(SOURCE_FORGETTING, NOT_STORED, 0, SOURCE_FORGETTING, ACT_DOUBT, ACT_FORGET),
	ANSWER(SOURCE_FORGETTING, COMMIT),
	ROW(SOURCE_LEAVING, STORED, 0, SOURCE_GONE, ACT_SEND_DONE),
	ROW(SOURCE_LEAVING, NOT_STORED, 0, SOURCE_LEAVING, ACT_DOUBT, ACT_REMOVE),
	ANSWER(SOURCE_LEAVING, COMMIT),
	ANSWER(SOURCE_GONE, COMMIT),

	/* --- source: a daemon that starts */
	FOUND(ROLE_SOURCE, PREPARE, 0, SOURCE_CONTINUING, ACT_CONTINUE),
	FOUND(ROLE_SOURCE, COMMIT, FACT_MACHINE | FACT_SAME_QEMU, SOURCE_GIVING, ACT_TELL),
	/* It has left, and may have come back: only the entry has to go. */
	FOUND(ROLE_SOURCE, COMMIT, 0, SOURCE_LEAVING, ACT_REMOVE),

	FOUND(ROLE_SOURCE, LEFT, FACT_MACHINE | FACT_SAME_QEMU, SOURCE_FORGETTING, ACT_END_QEMU, ACT_FORGET),
	FOUND(ROLE_SOURCE, LEFT, 0, SOURCE_GONE, ACT_RECORD_LEFT),

	/* --- source: asked about a move that it has no job of.  A machine that
	 * only has its name says nothing. */
	RECORD(ROLE_SOURCE, FACT_ENTRY, UNDECIDED),
	RECORD(ROLE_SOURCE, FACT_ABORTED, ABORT),
	RECORD(ROLE_SOURCE, FACT_LEFT, COMMIT),
	RECORD(ROLE_SOURCE, FACT_ALIVE, ABORT),
	RECORD(ROLE_SOURCE, 0, UNKNOWN),

	/* --- destination: it never decides */
	ROW(DEST_LOADING, LOADED, 0, DEST_LOADED, ACT_SEND_LOADED),
	ROW(DEST_LOADING, FAILED, 0, DEST_CLEARING, ACT_END_QEMU),
	ANSWER(DEST_LOADING, WAITING),

	ROW(DEST_LOADED, HEARD_COMMIT, FACT_PAUSED, DEST_CLAIMING, ACT_STORE_COMMITTED),
	ROW(DEST_LOADED, HEARD_COMMIT, 0, DEST_TOLD, ACT_CONTINUE),
	ROW(DEST_LOADED, HEARD_ABORT, 0, DEST_CLEARING, ACT_END_QEMU),
	ROW(DEST_LOADED, HEARD_UNDECIDED, 0, DEST_LOADED, ACT_DOUBT, ACT_ASK),
	ROW(DEST_LOADED, HEARD_UNKNOWN, 0, DEST_LOADED, ACT_DOUBT, ACT_ASK),
	ROW(DEST_LOADED, SILENT, 0, DEST_LOADED, ACT_DOUBT, ACT_ASK),
	ROW(DEST_LOADED, RUN_HERE, 0, DEST_ASKS_RUN, ACT_PROBE),
	ROW(DEST_LOADED, GIVE_UP, 0, DEST_NOTING_DROP, ACT_STORE_DROPPED),
	ANSWER(DEST_LOADED, WAITING),

	ROW(DEST_ASKS_RUN, HEARD_COMMIT, FACT_PAUSED, DEST_CLAIMING, ACT_STORE_COMMITTED),
	ROW(DEST_ASKS_RUN, HEARD_COMMIT, 0, DEST_TOLD, ACT_CONTINUE),
	ROW(DEST_ASKS_RUN, HEARD_ABORT, 0, DEST_CLEARING, ACT_REFUSE, ACT_END_QEMU),
	ROW(DEST_ASKS_RUN, HEARD_UNDECIDED, 0, DEST_LOADED, ACT_REFUSE, ACT_ASK),
	ROW(DEST_ASKS_RUN, HEARD_UNKNOWN, 0, DEST_CLAIMING, ACT_STORE_COMMITTED),
	ROW(DEST_ASKS_RUN, SILENT, 0, DEST_CLAIMING, ACT_STORE_COMMITTED),
	ANSWER(DEST_ASKS_RUN, WAITING),

	/* A paused guest is no record of itself: this entry is. */
	ROW(DEST_CLAIMING, STORED, FACT_PAUSED, DEST_REGISTERING, ACT_SEND_RUNNING, ACT_REGISTER),
	ROW(DEST_CLAIMING, STORED, 0, DEST_CLAIMED, ACT_CONTINUE),
	ROW(DEST_CLAIMING, NOT_STORED, 0, DEST_CLAIMING, ACT_DOUBT, ACT_STORE_COMMITTED),
	ANSWER(DEST_CLAIMING, WAITING),

	/* On the operator's word: there may be no other copy, so a QEMU that
	 * does not continue it now is kept, and can be told to later. */
	ROW(DEST_CLAIMED, CONTINUED, 0, DEST_REGISTERING, ACT_SEND_RUNNING, ACT_REGISTER),
	ROW(DEST_CLAIMED, REFUSED, 0, DEST_REGISTERING, ACT_REGISTER),
	ROW(DEST_CLAIMED, DIED, 0, DEST_REGISTERING, ACT_REGISTER),
	ANSWER(DEST_CLAIMED, WAITING),

	/* --- destination: the guest is ours.  One that runs is the record,
	 * until the entry says so. */
	ROW(DEST_TOLD, CONTINUED, 0, DEST_NOTING, ACT_SEND_RUNNING, ACT_STORE_COMMITTED),
	ROW(DEST_TOLD, REFUSED, 0, DEST_NOTING_DROP, ACT_STORE_DROPPED),
	ROW(DEST_TOLD, DIED, 0, DEST_NOTING_LOST, ACT_STORE_LOST),
	ANSWER(DEST_TOLD, WAITING),

	ROW(DEST_NOTING, STORED, 0, DEST_REGISTERING, ACT_REGISTER),
	ROW(DEST_NOTING, NOT_STORED, 0, DEST_REGISTERING, ACT_REGISTER),
	ANSWER(DEST_NOTING, RUNNING),
	/* Registered, or not: then the entry is what a later daemon knows the
	 * guest by. */
	ROW(DEST_REGISTERING, STORED, 0, DEST_HERE, ACT_STORE_ARRIVED),
	ROW(DEST_REGISTERING, NOT_STORED, 0, DEST_REGISTERING, ACT_DOUBT, ACT_REGISTER),
	ANSWER(DEST_REGISTERING, RUNNING),

	/* A source may ask long afterwards, when the machine has moved on. */
	ROW(DEST_HERE, STORED, 0, DEST_DONE, ACT_SEND_REGISTERED),
	ROW(DEST_HERE, NOT_STORED, 0, DEST_HERE, ACT_DOUBT, ACT_STORE_ARRIVED),
	ANSWER(DEST_HERE, RUNNING),
	ANSWER(DEST_DONE, RUNNING),

	/* --- destination: the copy goes.  That is written first, so that it
	 * can be said for certain later; it is said when its QEMU has ended,
	 * since the source may continue the guest then. */
	ROW(DEST_NOTING_DROP, STORED, 0, DEST_DROPPING, ACT_END_QEMU),
	ROW(DEST_NOTING_DROP, NOT_STORED, 0, DEST_DROPPING, ACT_END_QEMU),
	ANSWER(DEST_NOTING_DROP, WAITING),
	ROW(DEST_DROPPING, ENDED, 0, DEST_SHELVING, ACT_SEND_DROPPED, ACT_STORE_DROPPED),
	ANSWER(DEST_DROPPING, WAITING),
	/* An entry that stays would be believed by a later daemon: until it is
	 * gone the machine is held. */
	ROW(DEST_SHELVING, STORED, 0, DEST_DROPPED, ACT_NOTHING),
	ROW(DEST_SHELVING, NOT_STORED, 0, DEST_SHELVING, ACT_DOUBT, ACT_STORE_DROPPED),
	ANSWER(DEST_SHELVING, DROPPED),
	ROW(DEST_NOTING_LOST, STORED, 0, DEST_LOST, ACT_NOTHING),
	ROW(DEST_NOTING_LOST, NOT_STORED, 0, DEST_NOTING_LOST, ACT_DOUBT, ACT_STORE_LOST),
	ANSWER(DEST_NOTING_LOST, LOST),
	/* A source that keeps the guest, or has not heard "loaded", will not
	 * ask: nothing has to be remembered. */
	ROW(DEST_CLEARING, ENDED, 0, DEST_ERASING, ACT_SEND_DROPPED, ACT_REMOVE),
	ANSWER(DEST_CLEARING, WAITING),
	ROW(DEST_ERASING, STORED, 0, DEST_DROPPED, ACT_NOTHING),
	ROW(DEST_ERASING, NOT_STORED, 0, DEST_ERASING, ACT_DOUBT, ACT_REMOVE),
	ANSWER(DEST_ERASING, DROPPED),
	ANSWER(DEST_DROPPED, DROPPED),
	ANSWER(DEST_LOST, LOST),

	/* --- destination: a daemon that starts */
	/* The QEMU that was found is of the machine as it came later. */
	FOUND(ROLE_DESTINATION, PREPARE, FACT_LATER_QEMU, DEST_ERASING, ACT_REMOVE),
	FOUND(ROLE_DESTINATION, PREPARE, FACT_RUNNING, DEST_NOTING, ACT_STORE_COMMITTED),
	FOUND(ROLE_DESTINATION, PREPARE, FACT_COMPLETE, DEST_LOADED, ACT_ASK),
	FOUND(ROLE_DESTINATION, PREPARE, FACT_ALIVE, DEST_CLEARING, ACT_END_QEMU),
	FOUND(ROLE_DESTINATION, PREPARE, 0, DEST_NOTING_LOST, ACT_STORE_LOST),
	/* Also when it has ended: the entry has to become a record. */
	FOUND(ROLE_DESTINATION, DROPPED, 0, DEST_DROPPING, ACT_END_QEMU),
	/* Of a QEMU that has ended since, the machine is registered as ended. */
	FOUND(ROLE_DESTINATION, COMMITTED, 0, DEST_REGISTERING, ACT_REGISTER),

	/* --- destination: asked about a move that it has no job of */
	RECORD(ROLE_DESTINATION, FACT_ENTRY, WAITING),
	RECORD(ROLE_DESTINATION, FACT_ARRIVED, RUNNING),
	RECORD(ROLE_DESTINATION, FACT_DROPPED, DROPPED),
	RECORD(ROLE_DESTINATION, FACT_LOST, LOST),
	RECORD(ROLE_DESTINATION, 0, GONE),
};
/* clang-format on */

const struct decide_table decide_table = { rows, ARRAY_SIZE(rows) };

const struct decide_row *decide_in(const struct decide_table *table,
				   enum role role, enum decide_state state,
				   enum decide_event event, unsigned facts)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct decide_row *r = &table->rows[i];

		if (r->state == state && r->event == event &&
		    (facts & r->need) == r->need &&
		    (state != DECIDE_NONE || r->role == role))
			return r;
	}
	return NULL;
}

const struct decide_row *decide(enum role role, enum decide_state state,
				enum decide_event event, unsigned facts)
{
	return decide_in(&decide_table, role, state, event, facts);
}

bool decide_is_over(enum decide_state state)
{
	switch ((int)state) {
	case DECIDE_NONE:
	case SOURCE_KEPT:
	case SOURCE_GONE:
	case DEST_DONE:
	case DEST_DROPPED:
	case DEST_LOST:
		return true;
	default:
		return false;
	}
}

const char *decide_state_name(enum decide_state state)
{
	static const char *const names[DECIDE_STATES] = {
		[DECIDE_NONE] = "none",
		[SOURCE_COPYING] = "source:copying",
		[SOURCE_DECIDING] = "source:deciding",
		[SOURCE_GIVING] = "source:giving",
		[SOURCE_ASKS_KEEP] = "source:asks-keep",
		[SOURCE_ASKS_GIVE] = "source:asks-give",
		[SOURCE_UNDOING] = "source:undoing",
		[SOURCE_CONTINUING] = "source:continuing",
		[SOURCE_SETTLING] = "source:settling",
		[SOURCE_KEPT] = "source:kept",
		[SOURCE_NOTING_LEFT] = "source:noting-left",
		[SOURCE_FORGETTING] = "source:forgetting",
		[SOURCE_LEAVING] = "source:leaving",
		[SOURCE_GONE] = "source:gone",
		[DEST_LOADING] = "destination:loading",
		[DEST_LOADED] = "destination:loaded",
		[DEST_ASKS_RUN] = "destination:asks-run",
		[DEST_CLAIMING] = "destination:claiming",
		[DEST_CLAIMED] = "destination:claimed",
		[DEST_TOLD] = "destination:told",
		[DEST_NOTING] = "destination:noting",
		[DEST_REGISTERING] = "destination:registering",
		[DEST_HERE] = "destination:here",
		[DEST_DONE] = "destination:done",
		[DEST_NOTING_DROP] = "destination:noting-drop",
		[DEST_DROPPING] = "destination:dropping",
		[DEST_CLEARING] = "destination:clearing",
		[DEST_SHELVING] = "destination:shelving",
		[DEST_NOTING_LOST] = "destination:noting-lost",
		[DEST_ERASING] = "destination:erasing",
		[DEST_DROPPED] = "destination:dropped",
		[DEST_LOST] = "destination:lost",
	};

	assert((unsigned)state < DECIDE_STATES);
	return names[state];
}
