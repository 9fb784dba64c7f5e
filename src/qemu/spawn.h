/* SPDX-License-Identifier: MIT */

/*
 * Starting a program that outlives this one: a session of its own, no
 * descriptor but those it is given, signals as after a login, another user
 * where that is wanted (confine.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct confinement;
struct error;
struct named_files;

struct spawn {
	char *const *argv; /* the program by its path */
	const char *directory;
	int input_fd; /* standard input; 0: there is none */
	int log_fd;   /* standard output and error */
	const struct confinement *who;
	int cgroup_fd; /* of cgroup_make() */
	/* It shall be able to open them. */
	const struct named_files *files;
	bool small_pages; /* no transparent huge pages */
	/* Stay open in it, under the same numbers. */
	const int *kept;
	size_t kept_count;
	uint64_t limit_us; /* until it is the program; 0: 5 s */
};

/* When it returns, the program runs, or has ended already; or it could not be
 * started, and no process is left: -ETIMEDOUT where it was stopped on its way,
 * or hung. */
int spawn_process(pid_t *ret, const struct spawn *s, struct error *e);
