/* SPDX-License-Identifier: MIT */

/*
 * RAM that QEMU has for itself, written from outside
 *
 * process_vm_writev(2) puts pages into the private, anonymous memory of another
 * process and has the kernel fault them in on its behalf: huge where QEMU asked
 * for huge pages, and charged to its control group.  A batch is one call,
 * whatever its runs are.
 *
 * Where a block is, the process does not say.  Its mappings of just the block's
 * length are candidates, and the address is *proved* before anything is written
 * there: the source leaves a page that holds more than a repeated word in
 * QEMU's stream, tells its sum (private_expect()), and has QEMU answer a PING
 * behind it; then QEMU has written that page where the block is, and exactly
 * one candidate must have it (private_prove()).  Where none has, or two have,
 * nothing is ever written.  What the guest or the process does can only make
 * the proof fail: it is its own memory that is looked at.
 *
 * A process id may be used again.  That of a child is kept until somebody waits
 * for it, which is after process_memory_seal(); of a stranger the file
 * /proc/PID/mem is used, which stays tied to the memory of the process that it
 * was opened of.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pages/block.h"

struct block;
struct error;
struct process_memory;

/* May this process write into what children of it have for themselves, also
 * of other users?  -EACCES with the reason; what only shows with the process
 * itself (AppArmor, SELinux) is left. */
int private_is_possible(struct error *e);

/* -EACCES, with who may have refused it, when this process may not write into
 * the memory of @pid. */
int process_memory_open(struct process_memory **ret, pid_t pid, bool child,
			struct error *e);
/* From when this returns on nothing is written any more, and the process may be
 * waited for.  Any thread. */
void process_memory_seal(struct process_memory *p);
void process_memory_free(struct process_memory *p); /* NULL is fine */

/* @p outlives the block. */
int private_block_init(struct block *b, struct process_memory *p,
		       uint64_t len_bytes, struct error *e);

void private_expect(struct block *b, uint64_t offset, uint64_t sum);
enum memory_proof private_prove(struct block *b, struct error *why);
