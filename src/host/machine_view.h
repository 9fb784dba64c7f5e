/* SPDX-License-Identifier: MIT */

/*
 * A machine as it was at one moment, for who looks.  A copy: whoever has it
 * owns it, needs no lock, and frees it.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/scope.h"
#include "base/uuid.h"
#include "host/store.h"
#include "move/job.h"

enum machine_state {
	MACHINE_STOPPED,
	MACHINE_RUNNING,
	MACHINE_PAUSED,
	MACHINE_IO_ERROR, /* QEMU has paused it: its disk fails */
	MACHINE_INCOMING,
	MACHINE_IN_DOUBT,
	MACHINE_LOST, /* its QEMU died */
	MACHINE_STATES,
};

extern const char *const machine_state_names[MACHINE_STATES];

struct machine_view {
	char name[STORE_NAME_CAP], uuid[UUID_CAP];
	char job[JOB_ID_SIZE]; /* that holds it; empty: none */
	enum machine_state state;
	int pid; /* of its QEMU; 0: none */
	unsigned vcpus;
	uint64_t memory_bytes;
	uint64_t huge_bytes; /* of its QEMU in huge pages */
	bool has_huge;       /* that is known; a list does not ask */
	char why_small[128]; /* it has none; empty: not known why */
	bool comes; /* somebody holds it who may be about to start it */
	bool adopted;
	bool has_outdated;        /* that is known */
	bool outdated;            /* its QEMU is older than the one installed */
	bool unchanged;           /* of an answer: it was so already */
	char status[24];          /* what QEMU said last; empty: nothing */
	char lost[STORE_WHY_CAP]; /* how its QEMU died; empty: it did not */
	char run_dir[PATH_MAX];
	/* Of the definition, which may be unreadable: empty then, never NULL.
	 */
	char *machine, *qemu;
	char *definition; /* NULL: unreadable, or not here yet */
};

struct machine_views {
	struct machine_view *at;
	size_t count;
};

/* What the definition @text says, and the program where it names none. */
void machine_view_describe(struct machine_view *v, const char *text,
			   const char *default_qemu);
void machine_view_done(struct machine_view *v);
void machine_views_done(struct machine_views *v);
