/* SPDX-License-Identifier: MIT */

/*
 * QEMU as a process: started from a definition, found again after a restart
 * of the daemon, ended.  A QEMU outlives the daemon: it has its own session,
 * none of the daemon's descriptors, and a log of its own.
 *
 * The run directory belongs to QEMU's user, who may be another than ours
 * (confine.h) and mean harm: what lies in it is looked at before it is used
 * (base/foreign.h).
 *
 * The pid alone names nobody once the process is gone; together with its
 * start time it does.  The pidfd is held from the start to launch_end() or
 * launch_forget().  Any thread may call these, one at a time per process.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include "qemu/definition.h"

/* A machine has two run directories, NAME and NAME+, which no name ends with:
 * the next QEMU of one that is updated is started in the other one. */
static inline void launch_beside(char buf[static PATH_MAX], const char *run_dir)
{
	size_t len = strlen(run_dir);

	if (len > 0 && run_dir[len - 1] == '+')
		snprintf(buf, PATH_MAX, "%.*s", (int)len - 1, run_dir);
	else
		snprintf(buf, PATH_MAX, "%s+", run_dir);
}

struct qemu_process {
	pid_t pid;
	uint64_t start_time; /* field 22 of /proc/PID/stat, clock ticks */
	int pidfd;
	char qmp_path[108];
};

/* Makes the run directory (mode 0700, QEMU's user's), starts QEMU there and
 * waits until its monitor answers.  When it ends before that, the error has its
 * last words: -ECHILD "QEMU ended at once: ...".  -EEXIST, and nothing is
 * touched, when launch_find() finds one there. */
int launch_start(struct qemu_process *ret, const struct definition *d,
		 const struct launch_options *o, struct error *e);

/* -ESRCH if the process is gone, or the pid is another's by now. */
int launch_attach(struct qemu_process *ret, pid_t pid, uint64_t start_time,
		  const char *run_dir, struct error *e);

/* As above, for a QEMU that was started in @run_dir by a daemon that died
 * before it could write down which process that is. */
int launch_find(struct qemu_process *ret, const char *run_dir, struct error *e);
bool launch_alive(const struct qemu_process *p);

/* One run of a QEMU among all of all hosts: boot id, pid and start time of the
 * process. */
enum { LAUNCH_IDENTITY_SIZE = 96 };
void launch_identity(char *buf, size_t cap, const struct qemu_process *p);

/* Ask QEMU to end; after @deadline_us make it.  Removes the socket. */
int launch_end(struct qemu_process *p, uint64_t deadline_us, struct error *e);

/* Of a process that has ended: true when it died, @ret says how.  @p: NULL, or
 * not our child, when nothing but what it left tells. */
bool launch_died(const struct qemu_process *p, const char *qmp_path, char *ret,
		 size_t cap);

/* The machine, whose definition is @text, has ended, and is not to be found on
 * another host: its user has no rights to its images any more.  What cannot be
 * taken away is logged. */
void launch_withdraw(const char *state_directory, const char *name,
		     const char *text, const char *run_dir);
/* A machine that was to come here, and did not: what it was given here is taken
 * back, and its folder cleaned, unless a QEMU of it runs all the same. */
void launch_did_not_come(const char *state_directory, const char *name,
			 const char *text, const char *run_dir);

/* 1: the program of @pid is no longer the one at @path, which would be started;
 * 0: it is; -1: not known.  A script there says nothing, but a program whose
 * own file is not what it was is an older one. */
int launch_outdated(pid_t pid, const char *path);

/* Stop looking after the process without touching it. */
void launch_forget(struct qemu_process *p);

/* The last lines in the log of a QEMU that ended, as one. */
void launch_last_words(const char *run_dir, char *ret, size_t cap);

/* Start time of a process; -ESRCH when there is none. */
int launch_start_time(uint64_t *ret, pid_t pid, struct error *e);

/* Of a QEMU that never had its guest: all that it has made goes as well. */
void launch_clean_all(const char *run_dir);
/* Removes from a run directory what Drover puts there, and the directory when
 * nothing of the user's is left in it.  They stay while a QEMU runs there. */
void launch_clean(const char *run_dir);
