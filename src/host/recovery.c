/* SPDX-License-Identifier: MIT */
#include "host/recovery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/hooks.h"
#include "host/jobs.h"
#include "host/moves.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/requeue.h"
#include "host/terms.h"
#include "host/waiting.h"
#include "move/journal.h"

/* A move that is taken up. */
struct recovery {
	struct host *host;
	struct job *job;
	struct machine *machine; /* held by the job */
	struct terms terms;
	struct move_peer peer;
	struct journal_entry entry;
};

static void recovery_free(struct recovery *o)
{
	job_drop(o->job);
	journal_entry_done(&o->entry);
	terms_done(&o->terms);
	free(o);
}

static void *leaving_main(void *arg)
{
	struct recovery *o = arg;
	struct move_machine m = moves_view(o->machine);
	struct error e = { 0 };
	const bool prepared = o->entry.step == STEP_PREPARE;
	int r = move_away_resume(o->job, &o->terms.host, &m, &o->peer,
				 &o->entry, &e);

	/* One that has left is off the list, and gone. */
	if (r < 0)
		machine_release(o->host->registry, o->machine);
	waiting_found_ended(o->host->waiting);
	/* Who watches it sees in its last word what it is now. */
	requeue_ended(o->host->requeue, o->job, r < 0 && prepared);
	job_settle(o->job, r, &e);
	hooks_tell_end(o->host, o->job);
	recovery_free(o);
	return NULL;
}

static void *updating_main(void *arg)
{
	struct recovery *o = arg;
	struct move_machine m = moves_view(o->machine);
	struct error e = { 0 };
	int r = move_update_resume(o->job, &o->terms.host, &m, &o->entry, &e);

	machine_release(o->host->registry, o->machine);
	job_settle(o->job, r, &e);
	recovery_free(o);
	return NULL;
}

static void *arriving_main(void *arg)
{
	struct recovery *o = arg;
	struct error e = { 0 };
	int r = move_in_resume(o->job, &o->terms.host, &o->entry, &o->peer, &e);

	/* One with a definition had arrived before the daemon died. */
	if (r < 0)
		machine_did_not_come(o->host->registry, o->machine);
	job_settle(o->job, r, &e);
	waiting_left(o->host->waiting, false);
	hooks_tell_end(o->host, o->job);
	recovery_free(o);
	return NULL;
}

/* The machine of an entry, held by its job. */
static int take_entry(struct recovery *o, struct error *e)
{
	const char *name = o->entry.machine;
	const struct hold by = hold_by_job(o->job->id);
	struct registry *all = o->host->registry;
	int r = machine_take(all, name, by, &o->machine, e);

	if (r == 0 || o->entry.role == ROLE_SOURCE)
		return r;
	return machine_reserve_name(all, name, by, &o->machine, e);
}

/* An entry goes only when it is certain that nothing has to be done. */
static void not_taken_up(struct host *h, struct journal_entry *entry,
			 const struct error *why)
{
	const char *folder = h->settings->state_directory;
	const char *id = entry->job;
	struct error e;

	if (entry->role != ROLE_SOURCE || why->code != ENOENT) {
		log_error("journal of job %s: %s: it is kept for the next "
			  "start",
			  id, why->text);
		return;
	}
	if (entry->step == STEP_LEFT) {
		if (journal_conclude(folder, entry, STEP_LEFT, &e) < 0)
			log_error("%s", e.text);
		return;
	}
	/* Of a guest that has left, the entry goes last; docs/commit.md. */
	if (entry->step == STEP_COMMIT)
		log_info("move %s (job %s): it had left", entry->machine, id);
	else
		log_warning("journal of job %s: %s", id, why->text);
	if (journal_remove(folder, id, ROLE_SOURCE, &e) < 0)
		log_error("%s", e.text);
}

static int launch(struct recovery *o, struct error *e)
{
	struct jobs *all = o->host->jobs;
	int r;

	jobs_add(all, o->job);
	if (o->job->kind == JOB_UPDATE) {
		r = jobs_thread(all, "update", updating_main, o, e);
	} else if (o->job->role == ROLE_SOURCE) {
		waiting_found(o->host->waiting);
		r = jobs_thread(all, "move out", leaving_main, o, e);
	} else {
		waiting_counts(o->host->waiting);
		r = jobs_thread(all, "move in", arriving_main, o, e);
	}
	if (r < 0) {
		job_fail(o->job, e);
		recovery_free(o);
	}
	return r;
}

/* Takes the entry over. */
static int recover_one(struct host *h, struct journal_entry *entry,
		       struct error *e)
{
	struct recovery *o = calloc(1, sizeof(*o));

	if (!o)
		return error_set(e, ENOMEM, "no memory for a move");
	o->host = h;
	o->terms = terms_of(h);
	o->entry = *entry;
	entry->definition = NULL;
	entry->disks = (struct words){ 0 };
	entry = &o->entry;
	if (job_new(&o->job,
		    &(struct job_subject){ .id = entry->job,
					   .kind = entry->folder[0] ? JOB_UPDATE
								    : JOB_MOVE,
					   .role = entry->role,
					   .machine = entry->machine,
					   .peer = entry->peer },
		    e) < 0 ||
	    take_entry(o, e) < 0) {
		not_taken_up(h, entry, e);
		recovery_free(o);
		return 0;
	}
	/* Without the peer in the configuration nobody can be asked: the
	 * operator is. */
	if (o->job->kind == JOB_MOVE &&
	    peer_of(&o->terms, entry->peer, &o->peer, e) < 0)
		snprintf(o->peer.name, sizeof(o->peer.name), "%s", entry->peer);
	log_info("%s %s (job %s): found in the journal at '%s'",
		 job_kind_names[o->job->kind], o->job->machine, o->job->id,
		 journal_step_name(entry->step));
	return launch(o, e);
}

int recovery_start(struct host *h, struct error *e)
{
	SCOPED(journal_entries_done) struct journal_entries all = { 0 };
	int r = journal_read(h->settings->state_directory, &all, e);

	for (size_t i = 0; r == 0 && i < all.count; i++)
		r = recover_one(h, &all.at[i], e);
	return r;
}
