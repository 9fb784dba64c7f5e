/* SPDX-License-Identifier: MIT */
#include "move/commit.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "move/job.h"
#include "move/journal.h"
#include "move/move.h"
#include "move/peer.h"

enum {
	RETRY_LEAST_US = 200000,
	RETRY_MOST_US = 5000000,
	ANSWER_US = 10000000,
	/* A destination that is about to continue the guest is waited for. */
	FINISH_US = 8000000,
};

static uint64_t pause_longer(uint64_t pause_us)
{
	if (pause_us == 0)
		return RETRY_LEAST_US;
	return pause_us * 2 < RETRY_MOST_US ? pause_us * 2 : RETRY_MOST_US;
}

/* --- the table, done */

/* A word that nobody has taken up was for a doubt that has gone. */
static void forget_word(struct commit_side *c)
{
	if (job_take_verdict(c->job) != JOB_UNDECIDED)
		job_refuse_verdict(c->job,
				   "what was in doubt has changed meanwhile");
}

void commit_run(struct commit_side *c, enum decide_event event)
{
	enum decide_state before;
	const struct decide_row *r;

	do {
		before = job_course(c->job);
		r = job_decide(c->job, event, c->facts(c));
		/* Each row that is not the last ends with news, and no action
		 * brings news that the next state has no row for. */
		assert(r);
		if (r->next != before)
			forget_word(c);
		c->last = event;
		event = NO_EVENT;
		for (int i = 0;
		     i < DECIDE_ACTIONS_MAX && r->actions[i] != ACT_NOTHING &&
		     event == NO_EVENT;
		     i++)
			event = c->actions[r->actions[i]](c);
	} while (!decide_is_over(r->next));
}

/* --- the operator's word */

enum decide_event commit_word(struct job *job)
{
	switch (job_take_verdict(job)) {
	case JOB_RUN_HERE:
		return EVENT_RUN_HERE;
	case JOB_GIVE_UP:
		return EVENT_GIVE_UP;
	case JOB_UNDECIDED:
		break;
	}
	return NO_EVENT;
}

enum decide_event commit_refuse(struct commit_side *c)
{
	bool update = c->job->kind == JOB_UPDATE;
	char why[100];

	snprintf(why, sizeof(why), "%s%s was heard", update ? "" : "host ",
		 c->peer->name);
	log_warning("%s %s (%s): the operator's word is not obeyed: %s",
		    job_kind_names[c->job->kind], c->job->machine, c->job->id,
		    why);
	job_refuse_verdict(c->job, why);
	return NO_EVENT;
}

/* --- questions */

struct word {
	enum decide_event event;
	const char *means;
};

static const struct word states[STATES] = {
	[STATE_RUNNING] = { EVENT_HEARD_RUNNING, "it runs it" },
	[STATE_WAITING] = { EVENT_HEARD_WAITING, "it is waiting" },
	[STATE_DROPPED] = { EVENT_HEARD_DROPPED, "it could not run the guest" },
	[STATE_GONE] = { EVENT_HEARD_GONE,
			 "it knows nothing of this move any more" },
	[STATE_LOST] = { EVENT_HEARD_LOST,
			 "its QEMU has ended, and whether the guest had run "
			 "there is not known" },
};

static const struct word decisions[DECISIONS] = {
	[DECISION_COMMIT] = { EVENT_HEARD_COMMIT, "the guest is this host's" },
	[DECISION_ABORT] = { EVENT_HEARD_ABORT,
			     "the source has taken the move back" },
	[DECISION_UNDECIDED] = { EVENT_HEARD_UNDECIDED, "undecided" },
	[DECISION_UNKNOWN] = { EVENT_HEARD_UNKNOWN,
			       "it knows neither the move nor the guest any "
			       "more: given up, or moved on" },
};

/* NULL: it was no answer. */
static const struct word *word_of(const struct message *said)
{
	if (said->type == MESSAGE_RESOLVED)
		return &states[said->resolved];
	if (said->type == MESSAGE_ANSWER)
		return &decisions[said->answer];
	return NULL;
}

/* 0 with the answer; else c->heard says why there is none. */
static int answer_to(struct commit_side *c, const struct message *question,
		     struct message *ret)
{
	struct error e;
	int r = peer_ask(c->host, c->peer, question, ANSWER_US, ret, &e);

	if (r < 0)
		snprintf(c->heard, sizeof(c->heard), "%.290s", e.text);
	return r;
}

static enum decide_event hear(struct commit_side *c,
			      const struct message *question,
			      enum message_type wanted)
{
	const struct word *word = NULL;
	AUTO_MESSAGE struct message answer = { 0 };

	if (answer_to(c, question, &answer) < 0)
		return EVENT_SILENT;
	if (answer.type == wanted)
		word = word_of(&answer);
	if (word) {
		snprintf(c->heard, sizeof(c->heard), "%s", word->means);
		return word->event;
	}
	if (answer.type == MESSAGE_FAILED)
		snprintf(c->heard, sizeof(c->heard), "it says: %.200s",
			 answer.failed.error);
	else
		snprintf(c->heard, sizeof(c->heard), "it says '%s'",
			 message_name(answer.type));
	return EVENT_SILENT;
}

static enum decide_event tell(struct commit_side *c)
{
	struct message m = { .type = MESSAGE_RESOLVE,
			     .resolve.decision = DECISION_COMMIT };

	snprintf(m.resolve.job, sizeof(m.resolve.job), "%s", c->job->id);
	return hear(c, &m, MESSAGE_RESOLVED);
}

static struct message question(const struct commit_side *c)
{
	struct message m = { .type = MESSAGE_ASK };

	snprintf(m.ask.job, sizeof(m.ask.job), "%s", c->job->id);
	snprintf(m.ask.machine, sizeof(m.ask.machine), "%s", c->job->machine);
	snprintf(m.ask.guest, sizeof(m.ask.guest), "%s", c->entry->guest);
	return m;
}

static enum decide_event ask(struct commit_side *c)
{
	const struct message m = question(c);

	return hear(c, &m, MESSAGE_ANSWER);
}

enum decide_event commit_tell(struct commit_side *c)
{
	enum decide_event word = commit_word(c->job);

	return word == NO_EVENT ? tell(c) : word;
}

enum decide_event commit_ask(struct commit_side *c)
{
	enum decide_event word = commit_word(c->job);

	if (atomic_load(&c->job->told_commit))
		return EVENT_HEARD_COMMIT;
	return word == NO_EVENT ? ask(c) : word;
}

/* Does it answer at all?  A question about a move of its own to this host tells
 * it nothing. */
enum decide_event commit_probe_destination(struct commit_side *c)
{
	AUTO_MESSAGE struct message answer = { 0 };
	const struct message asked = question(c);

	/* It had no copy when it last spoke, and cannot have got one. */
	if (c->last_answer == EVENT_HEARD_GONE ||
	    c->last_answer == EVENT_HEARD_LOST)
		return tell(c);
	return answer_to(c, &asked, &answer) < 0 ? EVENT_SILENT
						 : EVENT_HEARD_WAITING;
}

enum decide_event commit_probe_source(struct commit_side *c)
{
	return atomic_load(&c->job->told_commit) ? EVENT_HEARD_COMMIT : ask(c);
}

bool commit_was_aborted(struct commit_side *c)
{
	return ask(c) == EVENT_HEARD_ABORT;
}

/* --- what is not known */

static void doubt_at_source(struct commit_side *c)
{
	char error[300];
	const char *peer = c->peer->name;

	snprintf(error, sizeof(error),
		 "host %s was told to run %s, but has not confirmed it: %.160s",
		 peer, c->job->machine, c->heard);
	job_set_doubt(c->job, error,
		      "Drover keeps trying.  If %s runs it, run 'drover job "
		      "resolve %s --give-up'.  If %s is dead for good, run "
		      "'drover job resolve %s --run-here'",
		      peer, c->job->id, peer, c->job->id);
}

static void doubt_about_update(struct commit_side *c)
{
	char error[300];

	snprintf(error, sizeof(error),
		 "the new QEMU of %s was told to run it, but has not confirmed "
		 "it: %.160s",
		 c->job->machine, c->heard);
	job_set_doubt(c->job, error,
		      "Drover keeps asking.  To end the old QEMU all the same, "
		      "run 'drover job resolve %s --give-up'.  To end the new "
		      "one and go on in the old one, run 'drover job resolve "
		      "%s --run-here'",
		      c->job->id, c->job->id);
}

static void doubt_at_destination(struct commit_side *c)
{
	char error[300];
	const char *peer = c->peer->name;

	snprintf(error, sizeof(error),
		 "%s is here, complete and paused, but host %s does not say "
		 "whether it may run: %.160s",
		 c->job->machine, peer, c->heard);
	job_set_doubt(
		c->job, error,
		"Drover keeps asking.  If %s or another host runs it, run "
		"'drover job resolve %s --give-up'.  If none does, and %s "
		"never will, run 'drover job resolve %s --run-here'",
		peer, c->job->id, peer, c->job->id);
}

static void doubt_about_guest(struct commit_side *c)
{
	char error[300];

	snprintf(error, sizeof(error),
		 "the guest is on this host but may be paused: %.200s",
		 c->heard);
	job_set_doubt(
		c->job, error,
		"Drover keeps trying to continue it.  To do it by hand, run "
		"'drover job resolve %s --run-here', which ends the trying, "
		"then 'drover vm resume %s'",
		c->job->id, c->job->machine);
}

enum decide_event commit_doubt(struct commit_side *c)
{
	enum decide_state course = job_course(c->job);

	if (c->last == EVENT_NOT_STORED)
		job_set_doubt(c->job, c->heard,
			      "Drover keeps trying: make the folder writable, "
			      "or make room in it");
	else if (course == SOURCE_CONTINUING)
		doubt_about_guest(c);
	else if (course == SOURCE_GIVING && c->job->kind == JOB_UPDATE)
		doubt_about_update(c);
	else if (course == SOURCE_GIVING)
		doubt_at_source(c);
	else
		doubt_at_destination(c);
	c->last_answer = c->last;
	c->pause_us = pause_longer(c->pause_us);
	job_sleep(c->job, clock_us() + c->pause_us);
	return NO_EVENT;
}

/* --- the journal */

static enum decide_event stored(struct commit_side *c, int r,
				const struct error *e)
{
	if (r == 0)
		return EVENT_STORED;
	snprintf(c->heard, sizeof(c->heard), "%.290s", e->text);
	log_error("move %s (%s): %s", c->job->machine, c->job->id, e->text);
	return EVENT_NOT_STORED;
}

enum decide_event commit_store(struct commit_side *c, int step)
{
	struct error e;

	return stored(c,
		      journal_write(c->host->state_directory, c->entry,
				    (enum journal_step)step, &e),
		      &e);
}

enum decide_event commit_publish(struct commit_side *c, int step)
{
	struct error e;

	return stored(c,
		      journal_publish(c->host->state_directory, c->entry,
				      (enum journal_step)step, &e),
		      &e);
}

enum decide_event commit_conclude(struct commit_side *c, int step)
{
	struct error e;

	return stored(c,
		      journal_conclude(c->host->state_directory, c->entry,
				       (enum journal_step)step, &e),
		      &e);
}

enum decide_event commit_remove(struct commit_side *c)
{
	struct error e;

	return stored(c,
		      journal_remove(c->host->state_directory, c->job->id,
				     c->job->role, &e),
		      &e);
}

/* --- answers */

static const enum message_decision said_decision[DECIDE_ACTIONS] = {
	[ACT_SAY_COMMIT] = DECISION_COMMIT,
	[ACT_SAY_ABORT] = DECISION_ABORT,
	[ACT_SAY_UNDECIDED] = DECISION_UNDECIDED,
	[ACT_SAY_UNKNOWN] = DECISION_UNKNOWN,
};

static const enum message_state said_state[DECIDE_ACTIONS] = {
	[ACT_SAY_RUNNING] = STATE_RUNNING, [ACT_SAY_WAITING] = STATE_WAITING,
	[ACT_SAY_DROPPED] = STATE_DROPPED, [ACT_SAY_GONE] = STATE_GONE,
	[ACT_SAY_LOST] = STATE_LOST,
};

static unsigned fact_of(enum journal_step step)
{
	switch ((int)step) {
	case STEP_ABORTED:
		return FACT_ABORTED;
	case STEP_LEFT:
		return FACT_LEFT;
	case STEP_ARRIVED:
		return FACT_ARRIVED;
	case STEP_DROPPED:
		return FACT_DROPPED;
	case STEP_LOST:
		return FACT_LOST;
	default:
		return 0;
	}
}

/* What is on disk of a move that no job is about.  ACT_NOTHING: of another
 * peer. */
static enum decide_action on_disk(const struct move_host *host, const char *id,
				  enum role role, const char *peer,
				  unsigned facts)
{
	SCOPED(journal_entry_done) struct journal_entry found = { .pid = 0 };
	const char *folder = host->state_directory;
	bool entry = true;
	struct error e;
	int r = journal_find(folder, id, role, &found, &e);

	if (r == -ENOENT) {
		entry = false;
		r = journal_find_record(folder, id, role, &found, &e);
	}
	if (r < 0 && r != -ENOENT)
		facts |= FACT_ENTRY;
	if (r == 0) {
		if (strcmp(found.peer, peer) != 0)
			return ACT_NOTHING;
		facts |= fact_of(found.step);
		if (entry)
			facts |= FACT_ENTRY;
	}
	return decide(role, DECIDE_NONE, EVENT_ASKED, facts)->actions[0];
}

bool commit_answer_ask(enum message_decision *ret, const struct move_host *host,
		       const char *peer, const struct message_ask *question,
		       struct job *job)
{
	const char *guest = question->guest;
	enum decide_action says;
	unsigned facts = 0;

	if (job && strcmp(job->peer, peer) != 0)
		return false;
	if (job) {
		says = job_answer(job);
	} else {
		if (guest[0] &&
		    host->guest_lives(host->context, question->machine, guest))
			facts |= FACT_ALIVE;
		says = on_disk(host, question->job, ROLE_SOURCE, peer, facts);
	}
	*ret = said_decision[says];
	return *ret != DECISION_NONE;
}

bool commit_answer_resolve(enum message_state *ret,
			   const struct move_host *host, const char *peer,
			   const struct message_resolve *question,
			   struct job *job)
{
	const char *id = question->job;
	enum decide_action says;

	if (job && strcmp(job->peer, peer) != 0)
		return false;
	if (job) {
		job_tell_commit(job);
		job_wait_ended(job, clock_us() + FINISH_US);
		says = job_answer(job);
	} else {
		says = on_disk(host, id, ROLE_DESTINATION, peer,
			       host->has_arrived(host->context, id)
				       ? FACT_ARRIVED
				       : 0);
	}
	*ret = said_state[says];
	return *ret != STATE_NONE;
}
