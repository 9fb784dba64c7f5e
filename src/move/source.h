/* SPDX-License-Identifier: MIT */

/*
 * The source's side of a move, as its two files see it: source.c brings the
 * guest's pages over, source_acts.c does what the table of decide.h asks for.
 * One thread owns it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"
#include "move/commit.h"
#include "move/estimate.h"
#include "move/job.h"
#include "move/journal.h"
#include "move/move.h"
#include "move/report.h"
#include "move/speed.h"
#include "move/steer.h"
#include "qemu/monitor.h"

enum { SOURCE_REASON_US = 500000 }; /* to say, or hear, what went wrong */

enum { SOURCE_SAMPLES = 3 };

/* source_estimate.c */
struct source_clock {
	uint64_t used; /* bytes of memory that hold something; 0: not known */
	/* What QEMU samples now, and what it has sampled, the newest first. */
	unsigned over_s; /* 0: nothing */
	uint64_t due_us;
	struct estimate_change sampled[SOURCE_SAMPLES];
	unsigned samples;
	struct speed speed;
	struct estimate told;
	uint64_t told_us;
};

struct source {
	struct job *job;
	const struct move_host *host;
	struct move_machine *machine;
	const struct move_peer *peer;
	const struct move_options *o;

	struct qmp *qmp;
	struct migration_capabilities capabilities; /* of the machine's QEMU */
	struct journal_entry entry;
	/* Of the machine, for the destination. */
	struct machine_description description;
	struct disk_marks *marks; /* until that is prepared */
	struct copy *copy;        /* of its disks; NULL: they stay */
	struct session *session;
	struct relay *relay;
	struct relay_blocks blocks;
	struct history_known *known; /* there, of these; NULL: nothing */
	struct guest_memory *behind; /* what it leaves; NULL: nothing */
	char uuid[UUID_CAP];
	bool peer_switchover_ack;

	bool resumed;           /* after a restart of the daemon */
	bool unreached;         /* it came to no session */
	bool left, forgotten;   /* given up; out of the registry */
	bool completed, loaded; /* says the source's, the destination's QEMU */
	bool migrating;         /* QEMU was told to */
	bool commit_prepared;   /* journal_prepare() */
	struct move_times times;
	uint64_t next_bandwidth_us;
	uint64_t timeout_us, deadline_us; /* 0: none */
	struct job_progress progress;

	struct steer steer;
	struct source_clock clock;
	struct commit_side side;
	struct error why; /* the move failed */
};

/* A message of @type, or the other side's "failed" as -EREMOTEIO. */
int source_await(struct source *m, enum message_type type, uint64_t deadline_us,
		 struct message *ret, struct error *e);

/* Bytes of its guest's memory that hold something; 0: not known. */
uint64_t source_memory_used(pid_t pid);
/* How full the memory is, and what the guest changes, is looked at; before QEMU
 * migrates. */
void source_estimate_begin(struct source *m);
/* While it does, before it is asked how far it is. */
void source_estimate_sample(struct source *m);
/* Into m->progress, of what @info and @st say now. */
void source_estimate(struct source *m, const struct migration_info *info,
		     const struct session_stats *st);

/* Sets m->side up, with @entry of the journal; job, host and peer are there. */
void source_begin(struct source *m, struct journal_entry *entry);
