/* SPDX-License-Identifier: MIT */

/*
 * The RAM of a QEMU that waits for a move, written from outside
 *
 * A block of RAM whose backend is shared memory is also a file: QEMU holds a
 * descriptor of it, and /proc/PID/fd opens the same file for us.  What is
 * written there is in the guest.  QEMU needs no help with this as long as the
 * guest has not run.
 *
 * Writing goes through pwrite(): a full memory is an error then and not a
 * SIGBUS, and a page that was not there before costs no fault, which makes it
 * twice as fast as a mapping for the pages that most are, new ones.  Only huge
 * pages need a mapping; each of them is allocated by fallocate(), which can
 * say no, before it is touched.
 *
 * Per block, a bit per 4 KiB page says whether the page can hold anything but
 * zeros.  Pages whose bit is clear are never touched for a zero, so a guest's
 * untouched memory costs nothing at the destination.  Nor does reading it: what
 * has no bit is zeros, and the rest goes through pread(), which allocates no
 * page, huge or not.
 *
 * Threads: memory_write(), memory_zero(), memory_fill() and memory_read() may
 * be called by many at once for pages that are not the same; everything else by
 * one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct guest_memory;

enum { MEMORY_PAGE = 4096, MEMORY_NAME_MAX = 255 };

struct memory_block {
	char name[MEMORY_NAME_MAX + 1]; /* as in the migration stream */
	uint64_t len_bytes;
	uint64_t page_size_bytes; /* 4096, or that of the huge pages */
	bool fresh;               /* nothing was in it when it was opened */
	int fd;
};

/* The shared RAM of process @pid, by its command line.  A process with none
 * gives an object with no blocks. */
int memory_of_process(struct guest_memory **ret, pid_t pid, struct error *e);

/* One block that is given as a file; takes a descriptor of its own. */
int memory_of_fd(struct guest_memory **ret, const char *name, int fd,
		 struct error *e);

unsigned memory_blocks(const struct guest_memory *m);
const struct memory_block *memory_block(const struct guest_memory *m,
					unsigned i);

/* Why the others cannot be written: "ram1: private memory (share=off)". */
unsigned memory_left_out(const struct guest_memory *m);
const char *memory_reason(const struct guest_memory *m, unsigned i);

/* @offset and @len are multiples of 4096; -ERANGE outside of the block,
 * -ENOSPC when the host's memory (tmpfs, huge pages) is used up. */
int memory_write(struct guest_memory *m, unsigned block, uint64_t offset,
		 const void *data, size_t len, struct error *e);
int memory_zero(struct guest_memory *m, unsigned block, uint64_t offset,
		uint64_t len, struct error *e);
/* @word: eight bytes as they stand in memory, again and again. */
int memory_fill(struct guest_memory *m, unsigned block, uint64_t offset,
		uint64_t len, uint64_t word, struct error *e);
int memory_read(const struct guest_memory *m, unsigned block, uint64_t offset,
		void *ret, size_t len, struct error *e);

void memory_free(struct guest_memory *m);
