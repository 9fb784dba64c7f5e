/* SPDX-License-Identifier: MIT */

/*
 * The RAM of a QEMU that waits for a move, written from outside
 *
 * A block of RAM is one of several kinds (kind.h).  One whose backend is shared
 * memory is also a file: QEMU holds a descriptor of it, and /proc/PID/fd opens
 * the same file for us.  One that QEMU has for itself is written by way of its
 * address, which has to be proved first (private.h).  Either way what is
 * written is in the guest, and QEMU needs no help with this as long as the
 * guest has not run.
 *
 * Per block, a bit per 4 KiB page says whether the page can hold anything but
 * zeros.  Pages whose bit is clear are never touched for a zero, so a guest's
 * untouched memory costs nothing at the destination.  Nor does reading it: what
 * has no bit is zeros, and the rest is read in a way that allocates no page.
 *
 * Threads: what writes and reads may be called by many at once for pages that
 * are not the same, memory_expect() and memory_prove() beside that by one for
 * each block, memory_seal() by any; everything else by one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pages/block.h"

struct error;
struct guest_memory;

/* What of a process's RAM is wanted. */
enum memory_of {
	MEMORY_SHARED,      /* what is a file */
	MEMORY_OF_CHILD,    /* and what it has for itself: a child of ours that
			     * nobody waits for before memory_seal() */
	MEMORY_OF_STRANGER, /* the same of any process */
};

/* The RAM of process @pid, by its command line.  A process with none gives an
 * object with no blocks. */
int memory_of_process(struct guest_memory **ret, pid_t pid, enum memory_of of,
		      struct error *e);

/* One block that is given as a file; takes a descriptor of its own. */
int memory_of_fd(struct guest_memory **ret, const char *name, int fd,
		 struct error *e);

unsigned memory_blocks(const struct guest_memory *m);
const struct memory_block *memory_block(const struct guest_memory *m,
					unsigned i);

/* Why the others cannot be written: "ram1: private memory (share=off)". */
unsigned memory_left_out(const struct guest_memory *m);
const char *memory_reason(const struct guest_memory *m, unsigned i);

/* This thread goes on writing block @block, which there is: it runs where that
 * memory is, on a host of several NUMA nodes (numa.h). */
void memory_run_near(const struct guest_memory *m, unsigned block);

/* @offset and @len are multiples of 4096; -ERANGE outside of the block,
 * -ENOSPC when the host's memory (tmpfs, huge pages) is used up. */
int memory_write(struct guest_memory *m, unsigned block, uint64_t offset,
		 const void *data, size_t len, struct error *e);
/* The same of up to MEMORY_PIECES at once. */
int memory_write_pieces(struct guest_memory *m, unsigned block,
			const struct memory_piece *pieces, unsigned n,
			struct error *e);
int memory_zero(struct guest_memory *m, unsigned block, uint64_t offset,
		uint64_t len, struct error *e);
/* The pieces, @most at most, that write zeros over what can be something else
 * in @r, which lies in the block; @r is what they left. */
struct memory_range {
	uint64_t offset, len;
};
unsigned memory_zeros(const struct guest_memory *m, unsigned block,
		      struct memory_range *r, struct memory_piece *ret,
		      unsigned most);
int memory_read(const struct guest_memory *m, unsigned block, uint64_t offset,
		void *ret, size_t len, struct error *e);

/* The page at @offset, whose page_sum() is @sum, will be there when QEMU has
 * answered. */
int memory_expect(struct guest_memory *m, unsigned block, uint64_t offset,
		  uint64_t sum, struct error *e);

/* QEMU has answered.  All but the first with a sentence in @why. */
enum memory_proof memory_prove(struct guest_memory *m, unsigned block,
			       struct error *why);

/* Nothing is written into the process any more once this returns; to be called
 * before it is waited for.  NULL is fine. */
void memory_seal(struct guest_memory *m);

void memory_free(struct guest_memory *m);
