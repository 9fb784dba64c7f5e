/* SPDX-License-Identifier: MIT */

/*
 * The watch: a thread that notices QEMUs that end by themselves, reaps those
 * that are known no more, and keeps what they write short (host/folders.h).
 *
 * It holds a machine whose QEMU has ended while it writes that down; its own
 * list of processes has a lock.  Any thread may call everything but the start
 * and the end.
 */
#pragma once

#include <sys/types.h>

#include "host/store.h"

struct error;
struct machine_record;
struct qemu_process;
struct registry;
struct watch;

/* @r and @state_directory outlive it.  NULL: no memory. */
struct watch *watch_new(struct registry *r, const char *state_directory);
/* Until @stop_fd is readable. */
int watch_start(struct watch *w, int stop_fd, struct error *e);
void watch_stop(struct watch *w); /* waits; only after watch_start() */
void watch_free(struct watch *w); /* NULL is fine */

/* As launch_forget(), and when it ends it leaves no zombie, since those that
 * were started here are our children also when we know them no more, and what
 * its user @number was given is taken back. */
void watch_forget_process(struct watch *w, struct qemu_process *p,
			  uid_t number);

/* Says in the log whether its QEMU died, and in @ret how; empty: it did not.
 * @p: NULL when it ended while no daemon was here. */
void watch_describe_end(char ret[static STORE_WHY_CAP],
			const struct machine_record *m,
			const struct qemu_process *p, const char *qmp_path);
