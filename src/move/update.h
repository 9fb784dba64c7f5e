/* SPDX-License-Identifier: MIT */

/*
 * A move to a new QEMU on this host, as its two files see it: update.c starts
 * that and has the guest loaded into it, update_acts.c does what the table of
 * decide.h asks for.  It goes by the source's rows; the new QEMU stands in the
 * place of the peer.  One thread owns it.  docs/update.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "move/commit.h"
#include "move/job.h"
#include "move/journal.h"
#include "move/move.h"
#include "move/report.h"
#include "move/steer.h"
#include "qemu/launch.h"
#include "qemu/monitor.h"

/* One of both, as its monitor shows it. */
struct update_qemu {
	struct qmp *qmp;
	struct migration_capabilities capabilities;
	bool complete; /* says so of the stream */
};

struct update {
	struct job *job;
	const struct move_host *host;
	struct move_machine *machine; /* with the old QEMU */
	const struct move_options *o;

	struct update_qemu old, fresh;
	struct qemu_process process; /* the new QEMU */
	struct journal_entry entry;  /* of an update that is not taken up */
	struct machine_description description;
	int memory_fd; /* the file of its memory, where it has one; else -1 */

	bool resumed;         /* after a restart of the daemon */
	bool migrating;       /* the old QEMU was told to */
	bool prepared;        /* "commit" is written, aside */
	bool told;            /* the new one may have run the guest */
	bool left, forgotten; /* as struct source */
	bool unheard;         /* nobody knows whether the new one runs it */
	struct move_times times;
	uint64_t deadline_us;
	uint64_t load_until_us; /* 0: the guest has not been stopped for it */
	struct steer steer;
	struct migration_info info; /* when it was last asked */
	struct job_progress progress;
	struct commit_side side;
	struct error why; /* it failed */
};

/* Sets u->side up, with @entry of the journal; job, host and machine are
 * there. */
void update_begin(struct update *u, struct journal_entry *entry);
