/* SPDX-License-Identifier: MIT */

/*
 * The source's side of the disks that go with a machine (docs/disks.md): their
 * session, a server for each, and the jobs of QEMU's that mirror into them.
 * The move's thread owns it.
 */
#pragma once

#include <stdint.h>

#include "move/move.h"
#include "wire/description.h"

struct copy;
struct error;
struct job;
struct qmp;
struct words;

struct copy_progress {
	uint64_t done, all; /* bytes */
};

/* Which of @described's disks travel is marked in it.  The other host has made
 * the files, and QEMU mirrors.  What cannot be copied is refused before that.
 */
int copy_begin(struct copy **ret, struct job *job, const struct move_host *host,
	       const struct move_machine *machine, const struct move_peer *peer,
	       const struct move_options *o, struct qmp *q,
	       struct machine_description *described, struct error *e);
/* Of the disks that travel, appended. */
int copy_paths(const struct copy *c, struct words *ret, struct error *e);
/* 1: all are in step; 0: not yet; negative: it does not go on. */
int copy_look(struct copy *c, struct qmp *q, struct copy_progress *ret,
	      struct error *e);
/* The guest stands still: it waits for no write, and a path may be missing for
 * @outage_limit_us. */
void copy_switchover(struct copy *c, uint64_t outage_limit_us);
/* Does its session live?  Asks no QEMU. */
int copy_check(struct copy *c, struct error *e);
/* While the memory moves and the guest runs: has jobs that stand go on.  1: the
 * disks are in step; 0: not yet, and the guest is not to be stopped. */
int copy_tend(struct copy *c, struct qmp *q, struct error *e);
/* Both QEMUs have all of the memory: the mirrors end, and the other host has
 * all that the guest was told is written, durable. */
int copy_seal(struct copy *c, struct qmp *q, struct error *e);
/* What a daemon has left in QEMU that was killed while it copied. */
void copy_sweep(struct qmp *q);
/* What is left of it goes; @q may be NULL, as may @c. */
void copy_end(struct copy *c, struct qmp *q);
