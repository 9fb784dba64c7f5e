/* SPDX-License-Identifier: MIT */
#include "move/commit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "move/job.h"
#include "move/journal.h"
#include "move/move.h"
#include "session/session.h"

enum {
	RETRY_LEAST_US = 200000,
	RETRY_MOST_US = 5000000,
	ANSWER_US = 10000000,
	/* A destination that is about to continue the guest is waited for. */
	SETTLE_US = 8000000,
};

/* One question over a session of its own. */
static int ask_once(const struct move_host *host, const struct move_peer *peer,
		    json_t *question, json_t **ret, struct error *e)
{
	const struct session_options o = {
		.own_name = host->own_name,
		.peer = peer->name,
		.addresses = peer->addresses,
		.port = peer->port,
		.channels = 1,
		.outage_limit_us = ANSWER_US,
	};
	struct session *s;
	int r;

	if (session_open(&s, &o, e) < 0) {
		json_decref(question);
		return error_code(e);
	}
	r = session_send(s, question, e);
	if (r == 0)
		r = session_await(s, clock_us() + ANSWER_US, ret, e);
	session_free(s);
	return r < 0 ? r : 0;
}

static uint64_t pause_longer(uint64_t pause_us)
{
	if (pause_us == 0)
		return RETRY_LEAST_US;
	return pause_us * 2 < RETRY_MOST_US ? pause_us * 2 : RETRY_MOST_US;
}

static bool says(const json_t *answer, const char *key, const char *value)
{
	const char *text = json_string_value(json_object_get(answer, key));

	return text && !strcmp(text, value);
}

/* --- source */

static void doubt_at_source(struct job *job, const struct move_peer *peer,
			    const char *why)
{
	char error[300], advice[300];

	snprintf(error, sizeof(error),
		 "host %s was told to run %s, but has not confirmed it: %s",
		 peer->name, job->machine, why);
	snprintf(advice, sizeof(advice),
		 "Drover keeps trying.  If %s runs it: drover job resolve %s "
		 "--give-up.  If %s is dead for good: drover job resolve %s "
		 "--run-here",
		 peer->name, job->id, peer->name, job->id);
	job_set_doubt(job, error, advice);
}

static int operator_at_source(struct job *job, struct error *e)
{
	switch (atomic_load(&job->verdict)) {
	case JOB_RUN_HERE:
		return error_set(e, EOWNERDEAD,
				 "the operator kept %s on this host",
				 job->machine);
	case JOB_GIVE_UP:
		return 0;
	default:
		return -EAGAIN;
	}
}

int commit_press(struct job *job, const struct move_host *host,
		 const struct move_peer *peer, struct error *e)
{
	uint64_t pause = 0;

	for (;;) {
		json_t *answer = NULL;
		bool runs, dropped;
		int r = operator_at_source(job, e);

		if (r != -EAGAIN)
			return r;
		r = ask_once(host, peer,
			     json_pack("{s:s,s:s,s:s}", "type", "resolve",
				       "job", job->id, "decision", "commit"),
			     &answer, e);
		runs = r == 0 && says(answer, "state", "running");
		dropped = r == 0 && says(answer, "state", "dropped");
		if (r == 0 && says(answer, "state", "gone"))
			doubt_at_source(job, peer,
					"it knows nothing of this move any "
					"more");
		else if (r == 0 && says(answer, "state", "lost"))
			doubt_at_source(job, peer,
					"its QEMU has ended, and whether the "
					"guest had run there is not known");
		else if (!runs && !dropped)
			doubt_at_source(job, peer, r < 0 ? e->text : "waiting");
		json_decref(answer);
		if (runs)
			return 0;
		if (dropped)
			return error_set(e, EREMOTEIO,
					 "host %s could not run the guest",
					 peer->name);
		pause = pause_longer(pause);
		job_sleep(job, clock_us() + pause);
	}
}

static const char *decision_of(struct job *job)
{
	enum job_state state = job_state(job);
	bool ended = state != JOB_RUNNING && state != JOB_IN_DOUBT;

	/* The operator's word is about to undo what was decided. */
	if (!ended && atomic_load(&job->verdict) == JOB_RUN_HERE)
		return "undecided";
	switch (atomic_load(&job->decision)) {
	case DECISION_COMMIT:
		return "commit";
	case DECISION_ABORT:
		return "abort";
	default:
		return ended ? "abort" : "undecided";
	}
}

/* Of a move without a job: its daemon was restarted. */
static const char *decision_on_disk(const struct move_host *host,
				    const char *id, const char *machine)
{
	struct error e;
	json_t *entry;
	int step;

	/* Found before the daemon took it up again. */
	if (journal_find(host->state_directory, id, &entry, &e) == 0) {
		step = journal_step_of(entry);
		json_decref(entry);
		return step == STEP_COMMIT ? "commit" : "undecided";
	}
	if (e.code != ENOENT)
		return "undecided";
	/* What is not here either must not be dropped there: it was given up,
	 * or has left since. */
	if (machine && !host->has_machine(host->context, machine))
		return "unknown";
	return "abort";
}

json_t *commit_answer_ask(const struct move_host *host, const char *id,
			  const char *machine, struct job *job)
{
	return json_pack("{s:s,s:s}", "type", "answer", "decision",
			 job ? decision_of(job)
			     : decision_on_disk(host, id, machine));
}

/* --- destination */

static void doubt_at_destination(struct job *job, const struct move_peer *peer,
				 const char *why)
{
	char error[300], advice[300];

	snprintf(error, sizeof(error),
		 "%s is here, complete and paused, but host %s does not say "
		 "whether it may run: %s",
		 job->machine, peer->name, why);
	snprintf(advice, sizeof(advice),
		 "Drover keeps asking.  If %s or another host runs it: drover "
		 "job resolve %s --give-up.  If none does, and %s never will: "
		 "drover job resolve %s --run-here",
		 peer->name, job->id, peer->name, job->id);
	job_set_doubt(job, error, advice);
}

static json_t *question(const struct job *job)
{
	return json_pack("{s:s,s:s,s:s}", "type", "ask", "job", job->id,
			 "machine", job->machine);
}

bool commit_was_aborted(struct job *job, const struct move_host *host,
			const struct move_peer *peer)
{
	json_t *answer = NULL;
	struct error ignored;
	bool aborted;

	aborted = ask_once(host, peer, question(job), &answer, &ignored) == 0 &&
		  says(answer, "decision", "abort");
	json_decref(answer);
	return aborted;
}

static int known_at_destination(struct job *job, struct error *e)
{
	int verdict = atomic_load(&job->verdict);
	int decision = atomic_load(&job->decision);

	/* What the source has said comes before what the operator thinks. */
	if (decision == DECISION_COMMIT)
		return 0;
	if (decision == DECISION_ABORT)
		return error_set(e, ECANCELED,
				 "the source has taken the move back");
	if (verdict == JOB_GIVE_UP)
		return error_set(e, ECANCELED,
				 "the operator has given it up on this host");
	return verdict == JOB_RUN_HERE ? 0 : -EAGAIN;
}

int commit_ask(struct job *job, const struct move_host *host,
	       const struct move_peer *peer, struct error *e)
{
	uint64_t pause = 0;

	for (;;) {
		json_t *answer = NULL;
		int r = known_at_destination(job, e);

		if (r != -EAGAIN)
			return r;
		r = ask_once(host, peer, question(job), &answer, e);
		if (r == 0 && says(answer, "decision", "commit"))
			job_set_decision(job, DECISION_COMMIT);
		else if (r == 0 && says(answer, "decision", "abort"))
			job_set_decision(job, DECISION_ABORT);
		else if (r == 0 && says(answer, "decision", "unknown"))
			doubt_at_destination(job, peer,
					     "it has no machine of this name "
					     "any more: given up, or moved on");
		else
			doubt_at_destination(job, peer,
					     r < 0 ? e->text : "undecided");
		json_decref(answer);
		if (atomic_load(&job->decision) != DECISION_NONE)
			continue;
		pause = pause_longer(pause);
		job_sleep(job, clock_us() + pause);
	}
}

static const char *state_here(const struct move_host *host, const char *id,
			      struct job *job)
{
	struct error ignored;
	json_t *entry;
	int step;

	if (job) {
		if (!job_wait_ended(job, clock_us() + SETTLE_US))
			return "waiting";
		if (job_state(job) == JOB_DONE)
			return "running";
		return atomic_load(&job->lost) ? "lost" : "dropped";
	}
	if (journal_find(host->state_directory, id, &entry, &ignored) < 0)
		return host->has_arrived(host->context, id) ? "running"
							    : "gone";
	step = journal_step_of(entry);
	json_decref(entry);
	return step == STEP_COMMITTED ? "running" : "waiting";
}

json_t *commit_answer_resolve(const struct move_host *host, const char *id,
			      const char *decision, struct job *job)
{
	if (job)
		job_set_decision(job, !strcmp(decision, "commit")
					      ? DECISION_COMMIT
					      : DECISION_ABORT);
	return json_pack("{s:s,s:s}", "type", "resolved", "state",
			 state_here(host, id, job));
}
