/* SPDX-License-Identifier: MIT */

/*
 * The journal: one small JSON file per move and side, JOB.ROLE.json, written
 * and synced before the step that it names is taken, so that a restarted daemon
 * can finish the move or undo it; and the records of moves that are over of
 * which the other side may still ask, in a folder of their own.  docs/commit.md
 * says which step means what.
 */
#pragma once

#include <jansson.h>

struct error;

enum journal_step {
	STEP_PREPARE,   /* either side: undo when found */
	STEP_COMMIT,    /* source: decided; the guest is the destination's */
	STEP_COMMITTED, /* destination: the guest is ours */
	STEP_DROPPED,   /* destination: the copy goes; it has never run */
	STEP_LEFT,      /* source: given up, unheard */
	/* of records only; "left" and "dropped" become records */
	STEP_ABORTED, /* source: the guest went on here */
	STEP_ARRIVED, /* destination: the guest came, and is registered */
	STEP_LOST,    /* destination: nobody knows whether it ran here */
	JOURNAL_STEPS,
};

enum { JOURNAL_RECORDS_MAX = 64 }; /* then the oldest one goes */

/* Writes @entry with its "step" set.  An entry has "job", "role", "machine",
 * "peer", and what the side needs to act again.  On disk when it returns. */
int journal_write(const char *state_directory, json_t *entry,
		  enum journal_step step, struct error *e);
/* The entry is off the disk when it returns 0; so is one that never was. */
int journal_remove(const char *state_directory, const char *job,
		   const char *role, struct error *e);
/* The entry becomes a record of a move that is over. */
int journal_conclude(const char *state_directory, json_t *entry,
		     enum journal_step step, struct error *e);

/* All entries, as an array: those of the source that have decided first.  Files
 * of before are given the names of today. */
int journal_read(const char *state_directory, json_t **ret, struct error *e);
/* 0 with the entry, or the record, of @job; -ENOENT when there is none. */
int journal_find(const char *state_directory, const char *job, const char *role,
		 json_t **ret, struct error *e);
int journal_find_record(const char *state_directory, const char *job,
			const char *role, json_t **ret, struct error *e);
int journal_step_of(const json_t *entry); /* -1 for none */
/* Of an entry, or of any object; empty when there is none. */
const char *journal_text(const json_t *entry, const char *key);
