/* SPDX-License-Identifier: MIT */

/*
 * The destination's side of a move, as its two files see it: destination.c
 * starts a QEMU and has the guest's pages loaded, destination_acts.c does what
 * the table of decide.h asks for.  One thread owns it.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "move/commit.h"
#include "move/job.h"
#include "move/journal.h"
#include "move/move.h"
#include "qemu/monitor.h"

struct destination {
	struct job *job;
	const struct move_host *host;
	const struct move_peer *peer;
	struct session *session;
	struct move_arrival arrival;

	struct definition definition;
	bool small_pages; /* as the source's QEMU */
	char run_dir[PATH_MAX];
	struct journal_entry entry; /* of a move that is not taken up */
	struct qmp *qmp;
	struct migration_capabilities capabilities;
	struct guest_memory *memory;
	struct kept *kept; /* of an earlier stay, or NULL */
	struct relay *relay;
	bool started;   /* a QEMU of ours exists */
	bool announces; /* the network is to be told that the guest is here */
	bool resumed;   /* after a restart of the daemon */
	unsigned facts;
	struct commit_side side;
	struct error why; /* the move failed */
	uint64_t next_ask_us;
};

/* Sets d->side up, with @entry of the journal; job, host and peer are there. */
void destination_begin(struct destination *d, struct journal_entry *entry);
