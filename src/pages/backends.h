/* SPDX-License-Identifier: MIT */

/*
 * Which of a running QEMU's memory backends can be opened, and how: its
 * command line says what there is, /proc/PID/fd holds the files.  Backends of
 * one kind look alike there; QEMU makes them in the order of its command line
 * and Linux gives the lowest free descriptor, so among those of equal size
 * the order of the descriptors tells them apart.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

enum { BACKENDS_MAX = 64, BACKEND_NAME_MAX = 255 };

struct backend {
	char name[BACKEND_NAME_MAX + 1]; /* of the RAM block */
	uint64_t len_bytes;
	uint64_t address; /* of the file in the process, 0: nowhere */
	char reason[160];
	int fd;          /* -1: see the reason */
	bool is_private; /* anonymous memory of the process's own */
};

/* The backends that are RAM of the machine, opened for reading and writing
 * where that is possible; the caller closes.  How many, or negative errno
 * when the process cannot be looked at. */
int backends_find(struct backend ret[BACKENDS_MAX], pid_t pid, struct error *e);

/* Bytes of those that are files: that are there, and that are holes, which
 * reading fills.  Huge pages, which are set aside, do not count. */
struct backends_use {
	uint64_t filled, holes;
};
struct backends_use backends_use(pid_t pid);
