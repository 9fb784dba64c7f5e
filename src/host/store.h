/* SPDX-License-Identifier: MIT */

/*
 * Machines on disk.  A machine is two files in STATE/machines: NAME.machine,
 * its definition, and NAME.json, what has to be known to find its QEMU again.
 *
 * A machine is here while NAME.machine is: that file is written last and
 * removed first, so one without NAME.json, which would be taken for stopped,
 * never is.
 *
 * A machine that was last seen on a peer has a note, STATE/elsewhere/UUID.json,
 * so that it is not started here while it runs there: it is written when the
 * machine leaves, or is about to come, and removed when it has come.  Of one
 * that this host's administrator defined its definition stands there as well.
 *
 * There is no state in memory and no lock: any thread may call, for one machine
 * one at a time, which whoever holds the machine sees to.  What a function has
 * written or removed is on disk when it returns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"

struct error;

enum { STORE_NAME_CAP = 64, STORE_WHY_CAP = 180, STORE_BEFORE_CAP = 400 };

/* NAME.json */
struct machine_file {
	bool started, paused, adopted;
	int pid; /* while started, as the next two */
	uint64_t start_time;
	char qmp[108];
	char arrived[STORE_NAME_CAP]; /* the job by which it came; or empty */
	char from[STORE_NAME_CAP];    /* and the host */
	char lost[STORE_WHY_CAP];     /* how its QEMU died; empty: it did not */
	bool own; /* this host's administrator wrote its definition */
	/* The QEMUs that had its guest before updates, as launch_identity()
	 * has them, the last one first, with blanks between. */
	char before[STORE_BEFORE_CAP];
};

int store_save(const char *state_directory, const char *name,
	       const char *definition, const struct machine_file *f,
	       struct error *e);
/* One that was never saved is all right. */
int store_erase(const char *state_directory, const char *name, struct error *e);

/* Calls @one for each machine, until it fails.  @definition is on the heap and
 * @one's. */
int store_each(const char *state_directory,
	       int (*one)(void *context, const char *name, char *definition,
			  const struct machine_file *f, struct error *e),
	       void *context, struct error *e);

struct elsewhere_note {
	const char *uuid, *name, *peer;
	const char *from; /* the host that it came here from; NULL: as before */
	/* Its definition, by this host's administrator; NULL: as before. */
	const char *own;
};

/* The machine is, or is about to be, on .peer.  What fails is logged. */
void store_note_elsewhere(const char *state_directory,
			  const struct elsewhere_note *of);
/* It was noted to have come from @peer. */
bool store_came_from(const char *state_directory, const char *uuid,
		     const char *peer);
/* The definition in that note, on the heap; NULL: there is none. */
char *store_own_definition(const char *state_directory, const char *uuid);
/* It is here. */
void store_forget_elsewhere(const char *state_directory, const char *uuid);
/* False: it was not seen anywhere else. */
bool store_last_seen(const char *state_directory, const char *uuid,
		     char ret_peer[static STORE_NAME_CAP]);
