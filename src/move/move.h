/* SPDX-License-Identifier: MIT */

/*
 * A move: a relay, and a monitor on each side.  Begin with source.c.
 *
 *   source            the source's stages, up to where both QEMUs are complete
 *   destination       the destination's
 *   steer, rounds, converge
 *                     QEMU's rounds: what is measured, and chosen by it
 *   source_estimate, speed, estimate
 *                     its clock: docs/estimate.md
 *   decide            who may run the guest: the table
 *   update, update_acts
 *                     a move to another QEMU of this host: docs/update.md
 *   source_acts, destination_acts
 *                     what the table asks of each side
 *   commit            goes by it, asks and answers the other side
 *   journal           what a restarted daemon needs to go on
 *   compare           the pre-flight check, on both sides
 *   disks, content, volume
 *                     are a machine's disks the same ones there?
 *   copy, disk_paths  disks that go with it, and where to
 *   permit            what a machine that comes may name
 *   job, job_view     a move, or a relay, as the host has and shows it
 *   report            what it tells while it runs and when it has ended
 *   paths, settings   over which networks, and how, by default
 *   peer              sessions with the other host
 *
 * Each side runs in a thread of its own that owns its monitor, relay and
 * session.  They talk by messages (docs/wire.md, "Messages").
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "move/paths.h"
#include "qemu/definition.h"
#include "qemu/launch.h"
#include "wire/message.h"

struct error;
struct ini_list;
struct job;
struct journal_entry;
struct nic_watch;
struct session;

struct guest_memory;
struct kept;
struct kept_of;
struct move_arrival;

/* What a move has to know of the host around it; outlives every move. */
struct move_host {
	const char *own_name;
	const char *qemu;      /* default program */
	const char *qemu_user; /* struct launch_options, as the next one */
	const struct ini_list *bridges;
	/* Those besides it that a peer's machine may name. */
	const struct words *programs;
	/* A definition that comes is held against qemu/policy.h, with these
	 * directories. */
	bool strict;
	const struct words *image_directories;
	const char *run_directory;
	const char *state_directory;
	uint64_t switchover_outage_us;
	/* What leaves leaves a copy, so that memory has to be a file. */
	bool keeps_copies;
	struct trust *trust; /* who this host is, and whom it believes */
	struct nic_watch *nics;
	struct compressor *compressor;
	/* The registry.  Each is on disk when it returns.
	 *
	 * The guest of @a is here now.  Negative: that could not be saved, and
	 * a daemon that was restarted would not know. */
	int (*arrived)(void *context, struct move_arrival *a);
	/* The machine is held no longer by the move that brought it. */
	void (*release)(void *context, const char *machine);
	/* The machine, which the move holds, is @peer's, and so are @disks,
	 * paths of files that stay here.  Negative: it is not off the disk. */
	int (*left)(void *context, const char *machine, const char *peer,
		    const struct words *disks);
	/* @p has the guest of the machine, which the update holds, in the place
	 * of its QEMU so far, and is the host's; without a pidfd: it had, and
	 * has ended.  Negative: that is not on disk. */
	int (*updated)(void *context, const char *machine,
		       const struct qemu_process *p, bool paused);
	/* Does the QEMU @guest (launch_identity()) of @machine live?  Has one
	 * arrived by @job? */
	bool (*guest_lives)(void *context, const char *machine,
			    const char *guest);
	bool (*has_arrived)(void *context, const char *job);
	/* Disks that come with a machine, by the job that brings it: is there
	 * one at @path?  Nothing of ours writes them any more, and all is
	 * durable. */
	bool (*has_copy)(void *context, const char *job, const char *path);
	int (*seal_copy)(void *context, const char *job, struct error *e);
	/* @m, taken over, is what the machine had here; for a while. */
	void (*keep)(void *context, const struct kept_of *of,
		     struct guest_memory *m);
	/* What is kept of it and went to @peer, or NULL; kept_done() then. */
	struct kept *(*kept)(void *context, const char *uuid, const char *peer);
	void (*kept_done)(void *context, struct kept *k);
	/* Is that what this host's administrator wrote himself? */
	bool (*is_own)(void *context, const struct definition *d);
	void *context;
};

/* Where a machine that runs on this host has its sockets, @run_directory being
 * that of the service. */
static inline void move_run_dir(char buf[static PATH_MAX],
				const char *run_directory, const char *machine)
{
	snprintf(buf, PATH_MAX, "%s/machines/%s", run_directory, machine);
}

struct move_peer {
	char name[64];
	const char *const *addresses; /* NULL-terminated; outlives the move */
	uint16_t port;
	bool tls;
};

struct move_options {
	uint64_t downtime_limit_us;
	uint64_t timeout_us; /* 0: none */
	unsigned converge;   /* what is allowed for that: converge.h */
	bool disks;          /* go with it, where they are not shared */
	/* Where to, disk_paths.h; NULL: each keeps its path. */
	const struct words *disk_paths;
	bool paused;        /* leave the guest paused at the destination */
	int cpu_latency_us; /* held meanwhile; -1: none; for the report */
	unsigned weight;    /* against this host's other moves */
	uint64_t rate;      /* bytes a second at most; 0: any */
	uint64_t outage_limit_us;
	struct move_paths paths;
};

/* A machine that runs on this host. */
struct move_machine {
	const char *name;
	const char *definition; /* its text */
	struct qemu_process process;
	const char *run_dir;
	bool stays; /* on this host, in another QEMU */
};

/* --- source */

/* Moves @m away.  0: the guest is the destination's, @m's QEMU has ended, and
 * the host was told by left(): @m is gone.  Negative: it stays here, and runs
 * if it ran before; @e says why: -ENETRESET, the peer's droverd ended in the
 * middle of it; -EHOSTUNREACH, it was not reached; -EUSERS, it is full.  While
 * who has it is in doubt the job says so, and this waits.  @entry is one of the
 * journal: the move is taken up where a daemon left it, and the entry, the
 * caller's, written on. */
int move_away(struct job *job, const struct move_host *host,
	      struct move_machine *m, const struct move_peer *peer,
	      const struct move_options *o, struct error *e);
int move_away_resume(struct job *job, const struct move_host *host,
		     struct move_machine *m, const struct move_peer *peer,
		     struct journal_entry *entry, struct error *e);

/* --- destination */

/* What has arrived. */
struct move_arrival {
	char name[64];
	char *definition;
	struct qemu_process process; /* the host's from arrived() on */
	const char *run_dir;
	const char *job; /* by which it came */
	bool paused;
	bool ended; /* it was here, and its QEMU has ended since */
};

/* Answers the source's "move" message @request; takes @s over.  0: the guest
 * is ours and the host was told by arrived().  Negative: nothing is left of it
 * here. */
int move_in(struct job *job, const struct move_host *host, struct session *s,
	    const struct message_move *request, const struct move_peer *peer,
	    struct error *e);
int move_in_resume(struct job *job, const struct move_host *host,
		   struct journal_entry *entry, const struct move_peer *peer,
		   struct error *e);

/* --- both, on this host */

/* Moves @m into a new QEMU beside its own.  0: the guest is in that, the old
 * one has ended, and the host was told by updated().  Negative: it stays in the
 * old one; otherwise as move_away(). */
int move_update(struct job *job, const struct move_host *host,
		struct move_machine *m, const struct move_options *o,
		struct error *e);
int move_update_resume(struct job *job, const struct move_host *host,
		       struct move_machine *m, struct journal_entry *entry,
		       struct error *e);
