/* SPDX-License-Identifier: MIT */

/*
 * How the memory of a RAM block is reached: a kind is a table of functions in
 * a file of its own, and memory.c uses it by that table and knows none by name
 * but where a block is added.
 *
 *   file     a file that QEMU maps shared, by pwrite(); a full memory is an
 *            error then and not a SIGBUS
 *   huge     the same of huge pages: those set aside can only be mapped, and
 *            into those of a tmpfs that is several times as fast
 *   private  QEMU's own, written from outside (private.h)
 *
 * A kind is given ranges that lie inside of the block and are whole pages; the
 * pages it is given to write are marked as written before.  Many threads call
 * put() and get() at once for pages that are not the same.
 */
#pragma once

#include <sys/types.h>

#include "pages/block.h"

struct error;

struct private_block;
struct process_memory;

struct block {
	struct memory_block public; /* set before the threads start */
	const struct memory_kind *kind;
	_Atomic uint64_t *written; /* a bit per 4 KiB page */
	_Atomic int node;          /* of numa.h; private: once it is proved */

	/* of the kind */
	uint8_t *map;              /* huge */
	uint64_t unit_bytes;       /* huge: of its pages */
	_Atomic uint64_t *present; /* huge: a bit per huge page */
	struct private_block *private;
};

struct memory_kind {
	const char *name; /* as in "memory-kind" */
	int (*put)(struct block *b, const struct memory_piece *pieces,
		   unsigned n, struct error *e);
	int (*get)(const struct block *b, uint64_t offset, void *ret,
		   size_t len, struct error *e);
	void (*done)(struct block *b); /* also of one that is half made */
};

extern const struct memory_kind memory_file, memory_huge, memory_private;

/* Each makes of @b, which is empty, a block of its kind.  @fd is taken over,
 * also by a failure; the kind's done() clears up then, too. */
int file_block_init(struct block *b, int fd, uint64_t len_bytes,
		    struct error *e);

/* "read 64 KiB of pc.ram at 0x1000: " and errno's words. */
int block_failed(const struct block *b, const char *verb, uint64_t offset,
		 uint64_t len, struct error *e);
