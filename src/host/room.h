/* SPDX-License-Identifier: MIT */

/*
 * Memory that moves will take on this host: at the destination the whole
 * machine; at the source the holes of memory that is shared, since QEMU reads
 * every page, and the kernel fills a hole of a shared file that is read.
 *
 * What a move will still take is claimed from its beginning to its end, so that
 * moves that begin together do not all count on the same memory.
 *
 * Owns the claims.  Any thread may call everything; the lock in here is held
 * while files of /proc and /sys are read, and that of copies (kept_copies.h) is
 * taken under it to count them; they go, where their memory is needed, after.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct definition;
struct error;
struct job;
struct kept_copies;
struct room;
struct room_claim;

/* Memory that a move will take: of @leaves, or, where that is 0, of a QEMU that
 * is still to be started. */
struct room_need {
	const char *machine;
	uint64_t bytes;
	pid_t leaves;
};

/* Both outlive it.  NULL: no memory. */
struct room *room_new(const char *host_name, struct kept_copies *kept);
void room_free(struct room *all); /* without claims; NULL is fine */

/* What a machine that comes could have beside what is claimed. */
uint64_t room_left(struct room *all);
/* Bytes that @pid could still take; UINT64_MAX: not known. */
uint64_t room_available(pid_t pid);
/* What a move that comes, one that leaves by this process, and a second QEMU
 * beside this process take here. */
struct room_need room_of_arrival(const struct definition *d);
struct room_need room_of_departure(const char *machine, pid_t pid);
/* @handed: its memory is. */
struct room_need room_of_update(const char *machine, pid_t pid, bool handed);
/* So much is about to be taken here: copies go where it is short. */
void room_make(struct room *all, uint64_t bytes);
/* -EBUSY with the numbers when it does not fit beside what is claimed. */
int room_check(struct room *all, const struct room_need *n, struct error *e);
/* -EBUSY likewise; else it is claimed for @j, which outlives the claim. */
int room_claim(struct room *all, struct room_claim **ret, struct job *j,
	       const struct room_need *n, struct error *e);
void room_release(struct room *all, struct room_claim *c); /* NULL is fine */
