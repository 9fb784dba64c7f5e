/* SPDX-License-Identifier: MIT */

/*
 * The journal: one small JSON file per move on each host, written and synced
 * before the step that it names is taken, so that a restarted daemon can
 * finish the move or undo it.  docs/architecture.md, "Commit", says which step
 * means what.
 */
#pragma once

#include <jansson.h>

struct error;

enum journal_step {
	STEP_PREPARE,   /* either side: undo when found */
	STEP_COMMIT,    /* source: decided; the guest is the destination's */
	STEP_COMMITTED, /* destination: the guest was continued here */
	JOURNAL_STEPS,
};

/* Writes @entry with its "step" set.  An entry has "job", "role", "machine",
 * "peer", and what the side needs to act again.  On disk when it returns. */
int journal_write(const char *state_directory, json_t *entry,
		  enum journal_step step, struct error *e);
void journal_remove(const char *state_directory, const char *job);

/* All entries, as an array. */
int journal_read(const char *state_directory, json_t **ret, struct error *e);
/* 0 with the entry of @job, -ENOENT when there is none. */
int journal_find(const char *state_directory, const char *job, json_t **ret,
		 struct error *e);
int journal_step_of(const json_t *entry); /* -1 for none */

/* A file that is either whole or not there: written aside, synced, renamed,
 * its folder synced.  Makes the folder. */
int journal_save_file(const char *directory, const char *name, const char *text,
		      struct error *e);
/* What was removed from the folder stays removed: on disk when it returns. */
int journal_sync_folder(const char *path, struct error *e);
/* Removes what a daemon that was killed has left aside; nobody may write into
 * the folder meanwhile. */
void journal_remove_unfinished(const char *directory);
