/* SPDX-License-Identifier: MIT */

/*
 * The registry: which machines are here, how each is, and who holds it.
 *
 * It owns the machines and their files (host/store.h).  Any thread may call
 * everything here.  Its lock guards the list and all of a machine, and is held
 * for short times, never across anything that waits; under it only the lock of
 * the jobs is taken.
 *
 * An operation that takes time holds the machine instead (host/hold.h): it took
 * or reserved the machine, and then alone may change it, until it releases or
 * removes it.  The functions that begin with machine_ and take a machine are
 * for whoever holds it; it may look at the machine's record without the lock,
 * since nobody else writes there.
 */
#pragma once

#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>

#include "base/uuid.h"
#include "host/hold.h"
#include "host/machine_view.h"
#include "host/store.h"
#include "qemu/launch.h"

struct definition;
struct error;
struct events;
struct host_settings;
struct jobs;
struct machine;
struct registry;

/* What is known of a machine. */
struct machine_record {
	char name[STORE_NAME_CAP];
	char uuid[UUID_CAP]; /* what it is; a name may be given twice */
	char *text; /* its definition; NULL while it comes in for the first
		     * time */
	bool started, paused, adopted;
	bool own; /* this host's administrator wrote the definition */
	struct qemu_process process;  /* while started */
	char arrived[STORE_NAME_CAP]; /* the job by which it came; or empty */
	char from[STORE_NAME_CAP];    /* and the host; empty: not known */
	char lost[STORE_WHY_CAP];     /* how its QEMU died; empty: it did not */
	char before[STORE_BEFORE_CAP]; /* as in store.h; of @process */
	char run_dir[PATH_MAX];
};

/* @s and @jobs outlive it.  NULL: no memory. */
/* @events may be NULL. */
struct registry *registry_new(const struct host_settings *s, struct jobs *jobs,
			      struct events *events);
void registry_free(struct registry *r); /* QEMUs run on; NULL is fine */

/* --- looking */

bool registry_has(struct registry *r, const char *name);
/* Of each machine, of at most @cap, its QEMU, 0 for none; how many there are.
 */
unsigned registry_processes(struct registry *r, int *ret_pids, unsigned cap);
static inline unsigned registry_count(struct registry *r)
{
	return registry_processes(r, NULL, 0);
}
/* -ENOENT, with what to do. */
int registry_missing(const struct registry *r, const char *name,
		     struct error *e);
/* All, the oldest first.  @default_qemu: where a definition names none. */
int registry_view(struct registry *r, const char *default_qemu,
		  struct machine_views *ret, struct error *e);
int registry_view_one(struct registry *r, const char *name,
		      const char *default_qemu, struct machine_view *ret,
		      struct error *e);
/* That with this uuid.  @ret_runs: also of one that somebody holds, who may be
 * about to start it. */
bool registry_find_uuid(struct registry *r, const char *uuid,
			char ret_name[static STORE_NAME_CAP], bool *ret_runs);
/* Does the QEMU @guest (launch_identity()) of the machine live?  Has one
 * arrived by @job? */
bool registry_guest_lives(struct registry *r, const char *name,
			  const char *guest);
bool registry_came_by(struct registry *r, const char *job);
/* The definition that this host's administrator wrote for that machine, on the
 * heap; NULL: there is none. */
char *registry_own_definition(struct registry *r, const char *uuid);
/* Would machine_expect() take it?  -EEXIST, -EBUSY. */
int registry_welcomes(struct registry *r, const struct definition *d,
		      struct error *e);
/* The definition of the @i-th machine; false: there are fewer. */
struct registry_text {
	char name[STORE_NAME_CAP], run_dir[PATH_MAX];
	char *text; /* NULL where it comes in for the first time */
};
bool registry_text(struct registry *r, unsigned i, struct registry_text *ret);
static inline void registry_text_done(struct registry_text *t)
{
	free(t->text);
}

/* --- taking hold of one */

/* -ENOENT; -EBUSY, with who holds it. */
int machine_take(struct registry *r, const char *name, struct hold by,
		 struct machine **ret, struct error *e);
/* A new one; -EEXIST, also where another has the uuid of @d. */
int machine_reserve(struct registry *r, const struct definition *d,
		    struct hold by, struct machine **ret, struct error *e);
/* Likewise, of which nothing but the name is known. */
int machine_reserve_name(struct registry *r, const char *name, struct hold by,
			 struct machine **ret, struct error *e);
/* One that a peer moves here: new, or in the place of the same machine, which
 * does not run.  -EEXIST, -EBUSY. */
int machine_expect(struct registry *r, const struct definition *d,
		   struct hold by, struct machine **ret, struct error *e);
/* The one that the caller holds already, or NULL. */
struct machine *machine_held(struct registry *r, const char *name);

/* --- for who holds it */

const struct machine_record *machine_record(const struct machine *m);
void machine_view_of(struct registry *r, const struct machine *m,
		     const char *default_qemu, struct machine_view *ret);
/* Its definition from now on, not yet on disk.  Gives @d a uuid where it has
 * none: that of the machine. */
int machine_set_definition(struct registry *r, struct machine *m,
			   struct definition *d, struct error *e);
/* Likewise, of a text that cannot be read. */
void machine_set_text(struct registry *r, struct machine *m, const char *text);
/* -EEXIST where another machine has the process, or is about to. */
int machine_claim_process(struct registry *r, struct machine *m,
			  const struct qemu_process *p, struct error *e);
void machine_set_adopted(struct registry *r, struct machine *m);
void machine_set_own(struct registry *r, struct machine *m, bool own);
void machine_set_arrived(struct registry *r, struct machine *m, const char *job,
			 const char *from);
/* Its run directory is where its QEMU's monitor is or was, @qmp_path; "" when
 * it is about to be started. */
void machine_set_folder(struct registry *r, struct machine *m,
			const char *qmp_path);
void machine_set_running(struct registry *r, struct machine *m,
			 const struct qemu_process *p, bool paused);
/* The guest went on in @p, a new QEMU: who asks for one of before is told that
 * the guest lives. */
void machine_set_updated(struct registry *r, struct machine *m,
			 const struct qemu_process *p, bool paused);
/* As it was read. */
void machine_set_before(struct registry *r, struct machine *m,
			const char *before);
/* @lost: how its QEMU died; "": it did not. */
void machine_set_stopped(struct registry *r, struct machine *m,
			 const char *lost);
int machine_save(struct registry *r, const struct machine *m, struct error *e);
void machine_release(struct registry *r, struct machine *m);
/* It did not come, and is what it was before. */
void machine_did_not_come(struct registry *r, struct machine *m);
int machine_erase(struct registry *r, const struct machine *m,
		  struct error *e);                         /* off the disk */
void machine_unlist(struct registry *r, struct machine *m); /* frees @m */
/* Both; what fails is logged. */
void machine_remove(struct registry *r, struct machine *m);

/* --- asking QEMUs how they are, of machines that nobody holds */

struct question {
	char name[STORE_NAME_CAP];
	pid_t pid;
	char path[108]; /* of the monitor */
};

unsigned registry_begin_turn(struct registry *r);
/* One that was not asked in @turn; @name: only that one; false: none is left.
 */
bool registry_next_question(struct registry *r, const char *name, unsigned turn,
			    struct question *ret);
/* @status: NULL when there was no answer; it is left alone for a while then. */
void registry_note_answer(struct registry *r, const struct question *of,
			  const char *status, bool running);

/* --- QEMUs that end by themselves, of machines that nobody holds */

/* Appends their descriptors; how many there are then. */
nfds_t registry_poll(struct registry *r, struct pollfd *p, nfds_t n,
		     nfds_t most);
/* One whose QEMU has ended, held by HOLD_END; NULL when all live. */
struct machine *machine_take_ended(struct registry *r);
