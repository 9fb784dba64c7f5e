/* SPDX-License-Identifier: MIT */
#include "host/recovery.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "host/jobs.h"
#include "host/moves.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/terms.h"
#include "move/journal.h"

/* A move that is taken up. */
struct recovery {
	struct host *host;
	struct job *job;
	struct machine *machine; /* held by the job */
	struct terms terms;
	struct move_peer peer;
	json_t *entry; /* of the journal */
};

static void recovery_free(struct recovery *o)
{
	job_drop(o->job);
	json_decref(o->entry);
	terms_done(&o->terms);
	free(o);
}

static void *leaving_main(void *arg)
{
	struct recovery *o = arg;
	struct move_machine m = moves_view(o->machine);
	struct error e = { 0 };
	int r = move_away_resume(o->job, &o->terms.host, &m, &o->peer, o->entry,
				 &e);

	/* One that has left is off the list, and gone. */
	if (r < 0)
		machine_release(o->host->registry, o->machine);
	job_settle(o->job, r, &e);
	recovery_free(o);
	return NULL;
}

static void *arriving_main(void *arg)
{
	struct recovery *o = arg;
	struct error e = { 0 };
	int r = move_in_resume(o->job, &o->terms.host, o->entry, &o->peer, &e);

	/* One with a definition had arrived before the daemon died. */
	if (r < 0)
		machine_did_not_come(o->host->registry, o->machine);
	job_settle(o->job, r, &e);
	recovery_free(o);
	return NULL;
}

/* The machine of an entry, held by its job. */
static int take_entry(struct recovery *o, bool source, struct error *e)
{
	const char *name = journal_text(o->entry, "machine");
	const struct hold by = hold_by_job(o->job->id);
	struct registry *all = o->host->registry;
	int r = machine_take(all, name, by, &o->machine, e);

	if (r == 0 || source)
		return r;
	return machine_reserve_name(all, name, by, &o->machine, e);
}

/* An entry goes only when it is certain that nothing has to be done. */
static void not_taken_up(struct host *h, json_t *entry, bool source,
			 const struct error *why)
{
	const char *id = journal_text(entry, "job");
	struct error e;

	if (!source || why->code != ENOENT) {
		log_error("journal of job %s: %s: it is kept for the next "
			  "start",
			  id, why->text);
		return;
	}
	if (journal_step_of(entry) == STEP_LEFT) {
		if (journal_conclude(h->settings->state_directory, entry,
				     STEP_LEFT, &e) < 0)
			log_error("%s", e.text);
		return;
	}
	/* Of a guest that has left, the entry goes last; docs/commit.md. */
	if (journal_step_of(entry) == STEP_COMMIT)
		log_info("move %s (job %s): it had left",
			 journal_text(entry, "machine"), id);
	else
		log_warning("journal of job %s: %s", id, why->text);
	if (journal_remove(h->settings->state_directory, id, "source", &e) < 0)
		log_error("%s", e.text);
}

static int launch(struct recovery *o, bool source, struct error *e)
{
	int r;

	jobs_add(o->host->jobs, o->job);
	r = source ? jobs_thread(o->host->jobs, "move out", leaving_main, o, e)
		   : jobs_thread(o->host->jobs, "move in", arriving_main, o, e);
	if (r < 0) {
		job_fail(o->job, e);
		recovery_free(o);
	}
	return r;
}

static int recover_one(struct host *h, json_t *entry, struct error *e)
{
	bool source = !strcmp(journal_text(entry, "role"), "source");
	const char *peer = journal_text(entry, "peer");
	struct recovery *o = calloc(1, sizeof(*o));

	if (!o)
		return error_set(e, ENOMEM, "no memory for a move");
	o->host = h;
	o->terms = terms_of(h);
	o->entry = json_incref(entry);
	if (job_new(&o->job,
		    &(struct job_subject){
			    .id = journal_text(entry, "job"),
			    .kind = "move",
			    .role = source ? "source" : "destination",
			    .machine = journal_text(entry, "machine"),
			    .peer = peer },
		    e) < 0 ||
	    take_entry(o, source, e) < 0) {
		not_taken_up(h, entry, source, e);
		recovery_free(o);
		return 0;
	}
	/* Without the peer in the configuration nobody can be asked: the
	 * operator is. */
	if (peer_of(o->terms.settings, peer, &o->peer, e) < 0)
		snprintf(o->peer.name, sizeof(o->peer.name), "%s", peer);
	log_info("move %s (job %s): found in the journal at '%s'",
		 o->job->machine, o->job->id, journal_text(entry, "step"));
	return launch(o, source, e);
}

int recovery_start(struct host *h, struct error *e)
{
	json_t *all, *entry;
	size_t i;
	int r = journal_read(h->settings->state_directory, &all, e);

	if (r < 0)
		return r;
	json_array_foreach (all, i, entry)
		if ((r = recover_one(h, entry, e)) < 0)
			break;
	json_decref(all);
	return r;
}
