/* SPDX-License-Identifier: MIT */

/*
 * The journal: one small JSON file per move and side, JOB.ROLE.json, written
 * and synced before the step that it names is taken, so that a restarted daemon
 * can finish the move or undo it; and the records of moves that are over of
 * which the other side may still ask, in a folder of their own.  docs/commit.md
 * says which step means what, and which fields there are.
 *
 * Any thread may call, for one move one at a time.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/shape.h"
#include "base/words.h"
#include "move/job.h"
#include "move/role.h"
#include "qemu/launch.h"
#include "wire/message.h"

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

/* What a side needs to act again. */
struct journal_entry {
	char job[JOB_ID_SIZE];
	enum role role;
	enum journal_step step;
	char machine[JOB_NAME_SIZE], peer[JOB_NAME_SIZE];
	bool paused;      /* the guest is to stay paused */
	bool was_running; /* source: it is continued when the move fails */
	/* launch_identity() of the source's QEMU and, destination, of its own;
	 * empty: an older version wrote the entry, or there is none yet. */
	char guest[MESSAGE_GUEST_SIZE], qemu[LAUNCH_IDENTITY_SIZE];
	/* Destination: the process; 0: it was just being started. */
	pid_t pid;
	uint64_t start_time;
	char *definition; /* destination */
	/* Source: paths of disks that went with it, whose files stay here. */
	struct words disks;
	/* Of an update, docs/update.md: the new QEMU's run directory, and the
	 * three before the definition are that QEMU's.  Empty: of a move. */
	char folder[PATH_MAX];
};

extern const struct shape journal_entry_shape;

static inline void journal_entry_done(struct journal_entry *entry)
{
	shape_done(&journal_entry_shape, entry);
}

/* Of a move that begins; not on disk yet. */
struct journal_entry journal_entry_of(const struct job *j);

/* Writes @entry with this step, which is set.  On disk when it returns. */
int journal_write(const char *state_directory, struct journal_entry *entry,
		  enum journal_step step, struct error *e);
/* In two steps, of which the second is quick: what is prepared counts for
 * nothing, not even after a crash, until it is published.  Nothing else may be
 * written of this entry in between. */
int journal_prepare(const char *state_directory,
		    const struct journal_entry *entry, enum journal_step step,
		    struct error *e);
int journal_publish(const char *state_directory, struct journal_entry *entry,
		    enum journal_step step, struct error *e);
/* The entry is off the disk when it returns 0; so is one that never was. */
int journal_remove(const char *state_directory, const char *job, enum role role,
		   struct error *e);
/* The entry becomes a record of a move that is over. */
int journal_conclude(const char *state_directory, struct journal_entry *entry,
		     enum journal_step step, struct error *e);

struct journal_entries {
	struct journal_entry *at;
	size_t count;
};

void journal_entries_done(struct journal_entries *all);

/* All entries: those of the source that have decided first.  Files of before
 * are given the names of today. */
int journal_read(const char *state_directory, struct journal_entries *ret,
		 struct error *e);
/* 0 with the entry, or the record, of @job, which is the caller's; -ENOENT when
 * there is none. */
int journal_find(const char *state_directory, const char *job, enum role role,
		 struct journal_entry *ret, struct error *e);
int journal_find_record(const char *state_directory, const char *job,
			enum role role, struct journal_entry *ret,
			struct error *e);

const char *journal_step_name(enum journal_step step); /* "prepare" */
