/* SPDX-License-Identifier: MIT */

/*
 * What the files of src/host share; nobody else includes it.
 *
 *     host.c       start, recovery, end, the description of this host
 *     live.c       the settings in force, and how others follow them
 *     machines.c   the books: which machines are here, on disk and in memory
 *     guests.c     what a user does with them
 *     elsewhere.c  machines that were last seen on a peer
 *     states.c     what their QEMUs say, and that one has ended
 *     moves.c      jobs, and moves away
 *     room.c       memory that moves will take
 *     incoming.c   the peer port, and what peers ask for
 *     nics.c       the network cards
 *     paths.c      over which networks sessions travel
 *     relays.c     relays for machines that somebody else manages
 *
 * host->lock guards the lists and all of a machine; it is held for short times
 * and never across anything that waits.  An operation that takes time marks
 * its machine as busy instead, and then alone may use it.
 */
#pragma once

#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/uuid.h"
#include "host/host.h"
#include "host/live.h"
#include "move/job.h"
#include "move/move.h"
#include "relay/endpoint.h"
#include "session/accept.h"
#include "session/session.h"

enum { LISTENERS_MAX = 16, JOBS_KEPT = 200 };

struct machine {
	char name[64];
	char uuid[UUID_CAP]; /* what it is; a name may be given twice */
	char *text;   /* its definition; NULL while it comes in for the first
		       * time */
	char *coming; /* its definition while it comes in; else NULL */
	bool started, paused, adopted;
	struct qemu_process process; /* while started */
	char status[24];             /* what QEMU said last; empty: nothing */
	char lost[180];              /* how its QEMU died; empty: it did not */
	unsigned asked;              /* in which turn */
	uint64_t ask_again_us;       /* not before */
	char run_dir[PATH_MAX];
	char arrived[64]; /* the job by which it came; empty: none */
	char busy[80];    /* what holds it: "job 3f9a12cd"; empty: free */
	struct machine *next;
};

/* A child that nobody asks after any more. */
struct forgotten {
	int pidfd;
	struct forgotten *next;
};

/* Memory that a move will take: of @leaves, or, where that is 0, of a QEMU that
 * is still to be started. */
struct room_need {
	const char *machine;
	uint64_t bytes;
	pid_t leaves;
};

/* On the list from room_claim() on. */
struct room_claim {
	struct job *job;
	uint64_t bytes, before; /* taken before it began */
	struct room_claim *next;
};

/* A relay that waits for its source. */
struct relay_wait {
	char name[64];
	struct endpoint qemu;
	pid_t pid; /* that its QEMU should be; 0: any */
	struct job *job;
	struct relay_wait *next;
};

struct channel_kind;

struct listener {
	int fd;
	const struct channel_kind *kind;
};

struct host {
	/* set before the threads start */
	/* Those of the start: what needs a restart counts as it is here. */
	const struct host_settings *settings;
	struct live live;      /* the settings in force */
	struct move_host move; /* what does not change of it; see terms_of() */
	struct session_table *sessions;
	struct nic_watch *nics;
	struct compressor *compressor;
	struct acceptor acceptor;
	struct listener listener[LISTENERS_MAX];
	unsigned listeners;
	int stop_fd; /* readable once the host stops */
	int lock_fd; /* that the state directory is ours */
	pthread_t listen_thread, watch_thread;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping;
	unsigned threads; /* of jobs and of connections */
	/* Connections whose threads greet or serve them, by their address. */
	unsigned unknown, known;
	struct machine *machines;
	unsigned turn; /* of asking their QEMUs */
	struct forgotten *forgotten;
	struct job *jobs; /* the newest first */
	struct relay_wait *relays;
	struct room_claim *claims;
};

/* host.c: with the settings in force */
struct terms terms_of(struct host *h);

/* machines.c */
struct machine *machine_find(struct host *h, const char *name); /* locked */
/* Marks it as held by @what.  -ENOENT, -EBUSY. */
int machine_take(struct host *h, const char *name, const char *what,
		 struct machine **ret, struct error *e);
/* A new one, held by @what; -EEXIST. */
int machine_reserve(struct host *h, const char *name, const char *what,
		    struct machine **ret, struct error *e);
/* As above, for a definition with a uuid, which no other may have. */
int machine_reserve_for(struct host *h, const struct definition *d,
			const char *what, struct machine **ret,
			struct error *e);
/* One that a peer moves here: new, or in the place of the same machine, which
 * does not run.  -EEXIST, -EBUSY. */
int machine_expect(struct host *h, const struct definition *d, const char *what,
		   struct machine **ret, struct error *e);
/* Would machine_expect() take it? */
int machine_welcome(struct host *h, const struct definition *d,
		    struct error *e);
/* It did not come, and is what it was before. */
void machine_did_not_come(struct host *h, struct machine *m);
/* Its definition from now on, not yet on disk.  Gives @d a uuid where it has
 * none: that of the machine. */
int machine_set_definition(struct host *h, struct machine *m,
			   struct definition *d, struct error *e);
int machine_missing(const struct host *h, const char *name, struct error *e);
void machine_set_running(struct host *h, struct machine *m,
			 const struct qemu_process *p, bool paused);
void machine_set_stopped(struct host *h, struct machine *m);
void machine_release(struct host *h, struct machine *m);
/* Off the list and off the disk when it returns; frees @m. */
void machine_remove(struct host *h, struct machine *m);
int machine_erase(const struct host *h, const struct machine *m,
		  struct error *e);                     /* off the disk */
void machine_unlist(struct host *h, struct machine *m); /* frees @m */
int machine_save(struct host *h, const struct machine *m, struct error *e);
int machines_load(struct host *h, struct error *e);
bool machine_in_doubt(const struct host *h, const struct machine *m);
/* For struct move_host. */
int machine_arrived(void *host, struct move_arrival *a);
int machine_left(void *host, const char *name, const char *peer);
void machine_settled(void *host, const char *name);
bool machine_guest_lives(void *host, const char *name, const char *guest);
bool machine_came_by(void *host, const char *job);

/* room.c */

/* Bytes that @pid could still take; UINT64_MAX: not known. */
uint64_t room_available(pid_t pid);
/* What a move that comes, one that leaves by this process, takes here. */
struct room_need room_of_arrival(const struct definition *d);
struct room_need room_of_departure(const char *machine, pid_t pid);
/* A finding with the numbers when it does not fit beside what is claimed. */
void room_find(struct host *h, const struct room_need *n, json_t *findings);
/* -EBUSY likewise; else it is claimed until room_release(). */
int room_claim(struct host *h, struct room_claim *c, struct job *j,
	       const struct room_need *n, struct error *e);
void room_release(struct host *h, struct room_claim *c);

/* elsewhere.c */

/* The machine is, or is about to be, on @peer. */
void elsewhere_note(struct host *h, const char *uuid, const char *name,
		    const char *peer);
/* It is here. */
void elsewhere_forget(struct host *h, const char *uuid);
/* -EBUSY where a peer has it, or cannot be asked. */
int elsewhere_check(struct host *h, const struct machine *m, struct error *e);
/* To a peer's "holds". */
json_t *elsewhere_answer(struct host *h, const char *peer,
			 const json_t *request);

/* states.c */

/* Has the QEMUs of free machines asked how they are; @name: of that one. */
void machines_ask(struct host *h, const char *name);
/* As the API has it. */
json_t *machine_json(struct host *h, const struct machine *m);
/* Says whether it died; @p: NULL when it ended while no daemon was here. */
void machine_note_end(struct machine *m, const struct qemu_process *p,
		      const char *qmp_path);
/* As launch_forget(), and it leaves no zombie when it ends. */
void machine_forget_process(struct host *h, struct machine *m);
/* The thread that notices QEMUs that end by themselves. */
void *machines_watch(void *host);

/* moves.c */
void job_add(struct host *h, struct job *j); /* the list takes a reference */
struct job *job_find(struct host *h, const char *id, const char *role);
/* Starts a detached thread that is counted; @arg is the thread's. */
int thread_start(struct host *h, const char *name, void *(*run)(void *),
		 void *arg, struct error *e);
void thread_ended(struct host *h);
/* A move's end into its job. */
void job_settle(struct job *j, int r, const struct error *e);
int moves_recover(struct host *h, struct error *e);
/* What a peer was asked has failed: it refuses, does not answer in time, or
 * -EHOSTUNREACH. */
int peer_failed(struct error *e);
/* Points into @s. */
int peer_of(const struct settings *s, const char *name, struct move_peer *ret,
	    struct error *e);

/* incoming.c */
int incoming_start(struct host *h, struct error *e);
void incoming_stop(struct host *h);

/* paths.c */

/* What a request asks for by its fields mode, networks and connections, else
 * what the settings say. */
int paths_read(struct move_paths *ret, const struct settings *s,
	       const json_t *options, struct error *e);
/* May a session come in over this connection, at our address?  -EACCES with
 * the reason. */
int paths_admit(const struct host *h, const struct networks *networks,
		const struct channel *c, struct error *e);
/* Answers a peer's "plan" request; takes @s over. */
void paths_serve_plan(struct host *h, struct session *s, const json_t *request);

/* relays.c: answers a peer's "relay" request; takes @s over */
void relay_serve(struct host *h, struct session *s, const json_t *request);
