/* SPDX-License-Identifier: MIT */
#include "two_hosts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static struct search *search;

/* Where @w stands if nothing else stands there. */
static size_t home_of(const struct world *w)
{
	uint64_t sides, rest = 0;

	memcpy(&sides, w, sizeof(sides));
	memcpy(&rest, (const char *)w + sizeof(sides),
	       sizeof(*w) - sizeof(sides));
	sides = (sides ^ rest * 0x9e3779b97f4a7c15) * 0xd6e8feb86659fd93;
	return (sides ^ sides >> 32) & search->mask;
}

/* Where @w stands, or would. */
static struct world *place_of(const struct world *w)
{
	size_t slot = home_of(w);

	while (search->slots[slot].exists &&
	       memcmp(&search->slots[slot], w, sizeof(*w)) != 0)
		slot = (slot + 1) & search->mask;
	return &search->slots[slot];
}

/* An empty table of so many slots, then what has been seen. */
static void make_table(struct search *s, size_t slots)
{
	s->mask = slots - 1;
	memset(s->slots, 0, slots * sizeof(s->slots[0]));
	for (size_t i = 0; i < s->n; i++)
		*place_of(&s->seen[i]) = s->seen[i];
}

static void keep(const struct world *w)
{
	struct world *place = place_of(w);

	if (place->exists)
		return;
	if (search->n == search->capacity) {
		search->full = true;
		return;
	}
	*place = *w;
	search->seen[search->n++] = *w;
	if (search->n * 2 > search->mask)
		make_table(search, (search->mask + 1) * 2);
}

static void keep_all(struct search *s)
{
	for (unsigned i = 0; i < s->nexts; i++)
		keep(&s->next_of[i]);
	s->nexts = 0;
}

/* Memory is asked for here, and looked at when all that follows one world has
 * been asked for: it comes from far away. */
static void add(const struct world *w)
{
	if (search->single) {
		if (search->n++ == 0)
			*search->single = *w;
		return;
	}
	__builtin_prefetch(&search->slots[home_of(w)], 1);
	search->next_of[search->nexts++] = *w;
	if (search->nexts == ARRAY_SIZE(search->next_of))
		keep_all(search);
}

static void wrong(const char *what)
{
	if (!search->wrong)
		search->wrong = what;
}

/* --- what is known */

static unsigned facts_of(const struct world *w, enum role who)
{
	const struct side *s = &w->of[who];
	unsigned f = 0;

	if (w->complete && (who == ROLE_SOURCE || s->qemu != QEMU_NONE))
		f |= FACT_COMPLETE;
	if (who == ROLE_DESTINATION || !w->another_run)
		f |= FACT_SAME_QEMU;
	if (s->registered)
		f |= FACT_MACHINE;
	if (s->qemu != QEMU_NONE)
		f |= FACT_ALIVE;
	if (s->qemu == QEMU_RUNS)
		f |= FACT_RUNNING;
	if (w->stays_paused)
		f |= FACT_PAUSED;
	if (s->finding)
		f |= FACT_ENTRY;
	switch (s->disk) {
	case DISK_ABORTED:
		return f | FACT_ABORTED;
	case DISK_LEFT:
		return f | FACT_LEFT;
	case DISK_ARRIVED:
		return f | FACT_ARRIVED;
	case DISK_DROPPED:
		return f | FACT_DROPPED;
	case DISK_LOST:
		return f | FACT_LOST;
	default:
		return f;
	}
}

/* --- the table's rows */

/* Of each state and event, the part of the table that has its rows: decide_in()
 * finds the same there, sooner. */
static void find_parts(struct search *s)
{
	memset(s->part, 0, sizeof(s->part));
	for (size_t i = 0; i < s->table.count; i++) {
		const struct decide_row *r = &s->table.rows[i];
		struct decide_table *p = &s->part[r->state][r->event];

		if (p->count == 0)
			p->rows = r;
		p->count = (size_t)(r - p->rows) + 1;
	}
}

static const struct decide_row *row_for(const struct world *w, enum role who,
					enum decide_event event)
{
	const struct side *s = &w->of[who];

	return decide_in(&search->part[s->state][event], who, s->state, event,
			 facts_of(w, who));
}

static bool reachable(const struct world *w, enum role who)
{
	return !w->cut && w->of[who].up;
}

/* --- what always has to hold */

static bool is_over(const struct side *s)
{
	return decide_is_over(s->state) && !s->finding;
}

static void check(const struct world *w)
{
	const struct side *a = &w->of[ROLE_SOURCE];
	const struct side *b = &w->of[ROLE_DESTINATION];
	unsigned running = (a->qemu == QEMU_RUNS) + (b->qemu == QEMU_RUNS) +
			   w->another_run + w->elsewhere;

	if (running > 1)
		wrong("the guest runs on two hosts");
	if (w->back_again && w->ran_there && !w->obeyed)
		wrong("the guest ran on both hosts");
	if (a->qemu == QEMU_NONE && b->qemu == QEMU_NONE && !w->another_run &&
	    !w->elsewhere && !w->ended && a->up && b->up && is_over(a) &&
	    is_over(b))
		wrong("the guest is nowhere, and nobody says so");
	if (a->up && a->disk == DISK_LEFT && a->qemu != QEMU_NONE && is_over(a))
		wrong("a copy that was given up can be continued");
	if (!w->told && b->state >= DEST_NOTING && b->state <= DEST_DONE)
		wrong("a copy that was told nothing is taken for the guest");
	if (b->qemu == QEMU_PAUSED && b->up && is_over(b) && !b->registered)
		wrong("a paused copy that no job knows of");
	if (b->up && b->qemu == QEMU_RUNS && is_over(b) && !b->registered)
		wrong("a guest that runs and that no machine is known of");
}

/* The destination holds a complete copy, waits to hear of it, and was not told
 * to drop it. */
static bool copy_is_kept(const struct world *w)
{
	const struct side *b = &w->of[ROLE_DESTINATION];

	return w->complete && b->qemu != QEMU_NONE &&
	       !(w->flight & 1 << MSG_IS_ABORT) && b->disk != DISK_DROPPED &&
	       b->state != DEST_LOADING && b->state != DEST_NOTING_DROP &&
	       b->state != DEST_DROPPING && b->state != DEST_CLEARING;
}

/* The source has let its copy go, or is about to. */
static bool is_given_up(const struct world *w)
{
	const struct side *a = &w->of[ROLE_SOURCE];

	return a->qemu == QEMU_NONE || a->state == SOURCE_NOTING_LEFT ||
	       a->state == SOURCE_FORGETTING || a->disk == DISK_LEFT;
}

/* --- the operator's word, where nobody was heard */

static bool is_true(const struct world *w, enum decide_state was)
{
	const struct side *a = &w->of[ROLE_SOURCE];
	const struct side *b = &w->of[ROLE_DESTINATION];

	if (w->elsewhere || w->another_run)
		return was == SOURCE_ASKS_GIVE || was == DEST_LOADED;
	if (was == SOURCE_ASKS_KEEP)
		return b->qemu == QEMU_NONE;
	if (was == SOURCE_ASKS_GIVE)
		return copy_is_kept(w);
	if (was == DEST_ASKS_RUN)
		return a->qemu == QEMU_NONE ||
		       (!w->back_again && (a->state == SOURCE_GIVING ||
					   a->state == SOURCE_LEAVING ||
					   (!a->up && a->disk == DISK_COMMIT)));
	return !is_given_up(w);
}

static bool decides_unheard(enum decide_state was, enum decide_state now)
{
	return (was == SOURCE_ASKS_KEEP && now == SOURCE_UNDOING) ||
	       (was == SOURCE_ASKS_GIVE && now == SOURCE_NOTING_LEFT) ||
	       (was == DEST_ASKS_RUN && now == DEST_CLAIMING);
}

/* --- a step of one side */

/* A thread waits for these, and has nothing else to do. */
static bool is_own(enum decide_event event)
{
	return event >= EVENT_STORED && event <= EVENT_DIED;
}

static bool is_found_on_disk(enum decide_event event)
{
	return event >= EVENT_FOUND_PREPARE && event < DECIDE_EVENTS;
}

/* False: what follows is not followed. */
static bool happens(struct world *w, enum role who, enum decide_event event)
{
	struct side *s = &w->of[who];
	const struct decide_row *r = row_for(w, who, event);

	if (!r && (is_own(event) || is_found_on_disk(event)))
		wrong("news that no row is for");
	if (!r)
		return true;
	if (event != EVENT_HEARD_COMMIT && event != EVENT_HEARD_DROPPED &&
	    decides_unheard(s->state, r->next)) {
		if (!is_true(w, s->state))
			return false;
		w->obeyed = 1;
	}
	if (event == EVENT_GIVE_UP && r->next == DEST_NOTING_DROP) {
		if (!is_true(w, s->state) && !reachable(w, ROLE_SOURCE))
			return false;
		if (!is_true(w, s->state))
			w->ended = 1;
	}
	if (r->next == DEST_TOLD || r->next == DEST_CLAIMING)
		w->told = 1;
	s->state = r->next & 63;
	s->row = (uint8_t)(r - search->table.rows + 1);
	s->at = 0;
	if (r->actions[0] == ACT_NOTHING)
		s->row = 0;
	return true;
}

/* After a store: the next actions of the row do not exist; what follows is of
 * the next event. */
static void stored(struct world w, enum role who, enum disk what)
{
	struct side *s = &w.of[who];
	struct world failed = w;

	s->disk = what & 15;
	if (happens(&w, who, EVENT_STORED))
		add(&w);
	failed.excused = 1;
	w = failed;
	if (happens(&failed, who, EVENT_NOT_STORED))
		add(&failed);
	w.of[who].disk = what & 15;
	if (happens(&w, who, EVENT_NOT_STORED))
		add(&w);
}

static void registers(struct world w, enum role who, bool is)
{
	struct world failed = w;

	w.of[who].registered = is;
	if (happens(&w, who, EVENT_STORED))
		add(&w);
	if (happens(&failed, who, EVENT_NOT_STORED))
		add(&failed);
}

static void continues(struct world w, enum role who)
{
	struct side *s = &w.of[who];
	struct world other = w;
	bool there = who == ROLE_DESTINATION;

	if (s->qemu == QEMU_NONE) {
		if (happens(&w, who, there ? EVENT_DIED : EVENT_ENDED))
			add(&w);
		return;
	}
	s->qemu = QEMU_RUNS;
	if (there)
		w.ran_there = 1;
	else if (w.complete)
		w.back_again = 1;
	if (happens(&w, who, EVENT_CONTINUED))
		add(&w);
	w = other;
	/* Both hosts fail: that is the end of it, and the job says so. */
	w.ended |= there && is_given_up(&w);
	if (happens(&w, who, EVENT_REFUSED))
		add(&w);
	if (!there)
		return;
	other.of[who].qemu = QEMU_NONE;
	other.ran_there = other.ended = 1;
	if (happens(&other, who, EVENT_DIED))
		add(&other);
}

static void sends(struct world *w, enum message m)
{
	w->flight |= 1U << m & 0x1fff;
}

/* What an action says to the other side. */
static void tells(struct world *w, enum decide_action what)
{
	switch ((int)what) {
	case ACT_SEND_COMMIT:
		if (w->session)
			sends(w, MSG_IS_COMMIT);
		break;
	case ACT_SEND_LOADED:
		sends(w, MSG_LOADED);
		break;
	case ACT_SEND_RUNNING:
		if (w->session)
			sends(w, MSG_RUNNING);
		break;
	case ACT_SEND_DROPPED:
		if (w->session)
			sends(w, MSG_DROPPED);
		break;
	case ACT_TELL:
		sends(w, MSG_RESOLVE);
		break;
	default:
		break;
	}
}

/* The action that is next.  */
static void act(struct world w, enum role who)
{
	static const uint8_t kept[DECIDE_ACTIONS] = {
		[ACT_STORE_COMMIT] = DISK_COMMIT,
		[ACT_STORE_LEFT] = DISK_LEFT,
		[ACT_STORE_COMMITTED] = DISK_COMMITTED,
		[ACT_STORE_ARRIVED] = DISK_ARRIVED,
		[ACT_STORE_DROPPED] = DISK_DROPPED,
		[ACT_STORE_LOST] = DISK_LOST,
	};
	struct side *s = &w.of[who];
	const struct decide_row *r = &search->table.rows[s->row - 1];
	enum decide_action what = r->actions[s->at];
	bool last = s->at + 1 == DECIDE_ACTIONS_MAX ||
		    r->actions[s->at + 1] == ACT_NOTHING;

	s->at = last ? 0 : s->at + 1;
	s->row = last ? 0 : s->row;
	if (kept[what]) {
		stored(w, who, kept[what]);
		return;
	}
	switch ((int)what) {
	case ACT_STORE_ABORTED:
		stored(w, who, DISK_ABORTED);
		stored(w, who, DISK_NONE);
		return;
	case ACT_REMOVE:
		stored(w, who, DISK_NONE);
		return;
	case ACT_REGISTER:
		registers(w, who, true);
		return;
	case ACT_FORGET:
		if (w.another_run)
			wrong("the machine that came back is forgotten");
		if (last) {
			registers(w, who, false);
			return;
		}
		s->registered = 0;
		break;
	case ACT_CONTINUE:
		continues(w, who);
		return;
	case ACT_END_QEMU:
		if (who == ROLE_SOURCE && w.another_run)
			wrong("the guest that came back is ended");
		if (s->qemu == QEMU_RUNS)
			wrong("a guest that runs is ended");
		s->qemu = QEMU_NONE;
		if (who == ROLE_DESTINATION && !happens(&w, who, EVENT_ENDED))
			return;
		break;
	default:
		tells(&w, what);
		break;
	}
	add(&w);
}

/* --- messages */

static void answers(struct world *w, enum role who)
{
	static const uint8_t said[DECIDE_ACTIONS] = {
		[ACT_SAY_COMMIT] = MSG_IS_COMMIT,
		[ACT_SAY_ABORT] = MSG_IS_ABORT,
		[ACT_SAY_UNDECIDED] = MSG_IS_UNDECIDED,
		[ACT_SAY_UNKNOWN] = MSG_IS_UNKNOWN,
		[ACT_SAY_RUNNING] = MSG_RUNNING,
		[ACT_SAY_WAITING] = MSG_WAITING,
		[ACT_SAY_DROPPED] = MSG_DROPPED,
		[ACT_SAY_GONE] = MSG_GONE,
		[ACT_SAY_LOST] = MSG_LOST,
	};
	/* Before a daemon has read its journal its port is closed. */
	const struct decide_row *r = row_for(w, who, EVENT_ASKED);

	if (!r || !said[r->actions[0]])
		wrong("a question without an answer");
	else
		sends(w, said[r->actions[0]]);
}

static const uint8_t heard[MESSAGES] = {
	[MSG_IS_COMMIT] = EVENT_HEARD_COMMIT,
	[MSG_IS_ABORT] = EVENT_HEARD_ABORT,
	[MSG_IS_UNDECIDED] = EVENT_HEARD_UNDECIDED,
	[MSG_IS_UNKNOWN] = EVENT_HEARD_UNKNOWN,
	[MSG_LOADED] = EVENT_BOTH_COMPLETE,
	[MSG_RUNNING] = EVENT_HEARD_RUNNING,
	[MSG_DROPPED] = EVENT_HEARD_DROPPED,
	[MSG_WAITING] = EVENT_HEARD_WAITING,
	[MSG_GONE] = EVENT_HEARD_GONE,
	[MSG_LOST] = EVENT_HEARD_LOST,
};

static bool deliver(struct world *w, enum message m)
{
	enum role to = m < TO_DESTINATION ? ROLE_DESTINATION : ROLE_SOURCE;
	struct side *s = &w->of[to];

	if (!reachable(w, to))
		return false;
	if (m == MSG_ASK || m == MSG_PROBE) {
		answers(w, to);
		return true;
	}
	/* What it is told it looks at when it has done what it does. */
	if (s->row == 0 && m == MSG_RESOLVE &&
	    !happens(w, to, EVENT_HEARD_COMMIT))
		return false;
	if (m == MSG_RESOLVE) {
		answers(w, to);
		return true;
	}
	return s->row == 0 && happens(w, to, (enum decide_event)heard[m]);
}

/* What was sent once may come at any time, and again: nothing is taken out.
 * What is lost is what never comes. */
static void messages(const struct world *w)
{
	for (int m = 0; m < MESSAGES; m++) {
		struct world next = *w;

		/* Who asks, and when, is nobody's matter. */
		if ((w->flight & 1 << m || m == MSG_ASK || m == MSG_PROBE) &&
		    w->complete && deliver(&next, (enum message)m))
			add(&next);
	}
}

/* --- what else can happen */

static void try(const struct world *from, enum role who,
		enum decide_event event)
{
	struct world w = *from;

	if (happens(&w, who, event))
		add(&w);
}

static bool asks(enum decide_state s)
{
	return s == SOURCE_ASKS_KEEP || s == SOURCE_ASKS_GIVE ||
	       s == DEST_ASKS_RUN;
}

static void idle(const struct world *w, enum role who)
{
	enum role peer = !who;
	enum decide_state s = w->of[who].state;
	struct world next = *w;

	if (!asks(s) || !reachable(w, peer))
		try(w, who, EVENT_SILENT);
	if (s == SOURCE_COPYING || (s == DEST_LOADING && !w->session)) {
		next.session = 0;
		try(&next, who, EVENT_FAILED);
	}
	if (s == DEST_LOADING && w->complete)
		try(w, who, EVENT_LOADED);
	if (s == SOURCE_COPYING && w->session && !w->cut && !w->complete &&
	    w->of[peer].state == DEST_LOADING && w->of[peer].up) {
		next = *w;
		next.complete = 1;
		next.of[who].qemu = QEMU_PAUSED;
		add(&next);
	}
	try(w, who, EVENT_RUN_HERE);
	try(w, who, EVENT_GIVE_UP);
}

/* The entry is taken up when its QEMU has been looked at, which may hang. */
static void takes_up(struct world w, enum role who)
{
	static const uint8_t found[] = {
		[DISK_NONE] = DECIDE_EVENTS,
		[DISK_PREPARE] = EVENT_FOUND_PREPARE,
		[DISK_COMMIT] = EVENT_FOUND_COMMIT,
		[DISK_ABORTED] = DECIDE_EVENTS,
		[DISK_LEFT] = EVENT_FOUND_LEFT,
		[DISK_COMMITTED] = EVENT_FOUND_COMMITTED,
		[DISK_ARRIVED] = DECIDE_EVENTS,
		[DISK_DROPPED] = EVENT_FOUND_DROPPED,
		[DISK_LOST] = DECIDE_EVENTS,
	};
	struct side *s = &w.of[who];

	s->finding = 0;
	if (happens(&w, who, (enum decide_event)found[s->disk]))
		add(&w);
}

static void starts(struct world w, enum role who)
{
	static const uint8_t is_entry[] = {
		[DISK_PREPARE] = 1,   [DISK_COMMIT] = 1,  [DISK_LEFT] = 1,
		[DISK_COMMITTED] = 1, [DISK_DROPPED] = 1, [DISK_LOST] = 0,
	};

	w.of[who].up = 1;
	w.of[who].finding = is_entry[w.of[who].disk] != 0;
	add(&w);
}

static void faults(const struct world *w, enum role who)
{
	const struct side *s = &w->of[who];
	struct world next = *w;
	struct side *n = &next.of[who];

	if (!s->up && !s->dead) {
		starts(*w, who);
		return;
	}
	/* It is set up anew, and knows nothing. */
	if (s->dead && !w->disk_lost) {
		n->up = next.disk_lost = next.excused = 1;
		n->disk = 0;
		n->dead = n->registered = 0;
		add(&next);
	}
	if (!s->up)
		return;
	n->row = n->at = 0;
	n->up = n->finding = 0;
	n->state = DECIDE_NONE;
	next.session = 0;
	add(&next);
	/* For good, with what it has. */
	n->dead = 1;
	next.ended |=
		n->qemu == QEMU_RUNS ||
		(who == ROLE_SOURCE && (w->another_run || !copy_is_kept(w))) ||
		(who == ROLE_DESTINATION && (w->told || is_given_up(w)));
	n->qemu = QEMU_NONE;
	next.excused = 1;
	if (who == ROLE_SOURCE)
		next.another_run = 0;
	add(&next);
}

static void network(const struct world *w)
{
	struct world next = *w;

	next.cut = !w->cut;
	next.session = 0;
	add(&next);
}

/* What users do with machines that no job holds. */
static void trips(const struct world *w)
{
	const struct side *a = &w->of[ROLE_SOURCE];
	const struct side *b = &w->of[ROLE_DESTINATION];
	struct world next = *w;

	if (!w->trip)
		return;
	next.trip = 0;
	/* The name is given to another machine, which does not run. */
	if (a->up && !a->registered) {
		next.of[ROLE_SOURCE].registered = 1;
		add(&next);
	}
	if (!b->up || !b->registered || b->qemu != QEMU_RUNS || !is_over(b) ||
	    b->row)
		return;
	next = *w;
	next.trip = 0;
	next.of[ROLE_DESTINATION].registered = 0;
	next.of[ROLE_DESTINATION].qemu = QEMU_NONE;
	next.elsewhere = 1;
	add(&next);
	if (!a->up || a->registered)
		return;
	next.elsewhere = 0;
	next.another_run = next.of[ROLE_SOURCE].registered = 1;
	add(&next);
}

static void expand(const struct world *w)
{
	for (int who = 0; who < 2; who++) {
		if (w->of[who].up && w->of[who].row)
			act(*w, (enum role)who);
		else if (w->of[who].finding)
			takes_up(*w, (enum role)who);
		else if (w->of[who].up)
			idle(w, (enum role)who);
		faults(w, (enum role)who);
	}
	messages(w);
	network(w);
	trips(w);
}

/* --- does every doubt end? */

/* What one side does where nothing fails and nothing is lost. */
static void turn(struct world *w, enum role who)
{
	const size_t seen = search->n;
	struct side *s = &w->of[who];
	enum role peer = !who;
	const struct world now = *w;

	search->single = w;
	search->n = 0;
	if (!s->up)
		starts(now, who);
	else if (s->finding)
		takes_up(now, who);
	else if (s->row)
		act(now, who);
	else if (s->state == SOURCE_COPYING || s->state == DEST_LOADING)
		happens(w, who, EVENT_FAILED);
	else if (w->of[peer].up && !decide_is_over(s->state)) {
		bool asked = who == ROLE_DESTINATION;
		enum message question = asked            ? MSG_ASK
					: asks(s->state) ? MSG_PROBE
							 : MSG_RESOLVE;

		w->flight = 0;
		deliver(w, question);
		for (int m = 0; m < MESSAGES; m++)
			if (w->flight & 1 << m)
				deliver(w, (enum message)m);
	}
	w->flight = 0;
	search->single = NULL;
	search->n = seen;
}

static bool settled(const struct world *w)
{
	return w->of[0].up && w->of[1].up && !w->of[0].row && !w->of[1].row &&
	       is_over(&w->of[0]) && is_over(&w->of[1]);
}

/* Both sides live and hear each other: the doubt ends, or a record is lost and
 * the operator has to say. */
static void check_it_ends(const struct world *from)
{
	struct world w = *from;

	/* What is under way leads to a world that rests, a cut to its end:
	 * those are searched as well. */
	if (w.cut || w.session)
		return;
	for (int who = 0; who < 2; who++)
		if (w.of[who].dead || !w.of[who].up || w.of[who].row ||
		    w.of[who].finding)
			return;
	for (int i = 0; i < 40 && !settled(&w); i++) {
		turn(&w, ROLE_SOURCE);
		turn(&w, ROLE_DESTINATION);
		check(&w);
	}
	if (settled(&w))
		return;
	if (!w.excused && !w.obeyed && !w.ended && !w.elsewhere &&
	    !w.another_run)
		wrong("a doubt that does not end");
}

/* --- the whole */

static struct world beginning(bool stays_paused)
{
	struct world w;

	memset(&w, 0, sizeof(w));
	w.exists = 1;
	for (int who = 0; who < 2; who++) {
		w.of[who].up = 1;
		w.of[who].disk = DISK_PREPARE;
	}
	w.of[ROLE_SOURCE].state = SOURCE_COPYING;
	w.of[ROLE_SOURCE].qemu = QEMU_RUNS;
	w.of[ROLE_SOURCE].registered = 1;
	w.of[ROLE_DESTINATION].state = DEST_LOADING;
	w.of[ROLE_DESTINATION].qemu = QEMU_PAUSED;
	w.trip = 1;
	w.session = 1;
	w.stays_paused = stays_paused;
	return w;
}

void search_explore(struct search *s, bool stays_paused)
{
	const struct world w = beginning(stays_paused);

	search = s;
	s->n = s->next = 0;
	s->wrong = NULL;
	s->full = false;
	find_parts(s);
	/* Most wrong tables are found before the first one is full: a small
	 * one stays in the processor's cache. */
	make_table(s, SLOTS_LEAST);
	keep(&w);
	while (s->next < s->n && !s->wrong && !s->full) {
		const struct world now = s->seen[s->next++];

		check(&now);
		check_it_ends(&now);
		expand(&now);
		keep_all(s);
	}
}
