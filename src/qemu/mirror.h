/* SPDX-License-Identifier: MIT */

/*
 * A job of QEMU's that mirrors a disk into an NBD server at a unix socket of
 * this host: blockdev-mirror, all of the disk, each write of the guest waits
 * until it is on both sides.  A target that fails stops the job, and not the
 * guest.  Fields as in QEMU's qapi/block-core.json and qapi/job.json.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct error;
struct qmp;

enum { MIRROR_ID_CAP = 31 }; /* a node's name has no more */

struct mirror {
	char id[MIRROR_ID_CAP]; /* of the job; the target's node has it too */
	const char *node;       /* of the disk */
	const char *socket, *export;
	bool raw; /* the disk's format has no clusters that are not allocated */
};

enum mirror_step {
	MIRROR_NONE, /* there is no such job */
	MIRROR_COPIES,
	MIRROR_READY,  /* and in step */
	MIRROR_STANDS, /* stopped, because the target has failed */
	MIRROR_ENDED,
};

struct mirror_state {
	enum mirror_step step;
	uint64_t done, all; /* bytes; both move */
	char why[160];      /* it ended by a failure */
};

int mirror_start(struct qmp *q, const struct mirror *m, struct error *e);
int mirror_look(struct qmp *q, const struct mirror *m, struct mirror_state *ret,
		struct error *e);
/* One that stands goes on: it dials again where its connection has gone. */
int mirror_resume(struct qmp *q, const struct mirror *m, struct error *e);
/* One that is ready drains what is in flight, flushes the copy and ends;
 * @force: it is given up.  Its end shows in mirror_look(). */
int mirror_end(struct qmp *q, const struct mirror *m, bool force,
	       struct error *e);
/* What is left of it in QEMU goes: of one that has ended, or never was.  False:
 * there was no node. */
bool mirror_clear(struct qmp *q, const struct mirror *m);
