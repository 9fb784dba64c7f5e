/* SPDX-License-Identifier: MIT */

/*
 * What machines that moved away have left here, for their way back:
 * docs/keep-copy.md.
 *
 * Owns the copies and the folder STATE/copies.  Its lock is taken last, and
 * held while a file's name is removed but not while one is written or memory
 * is given back.  Any thread may call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "base/uuid.h"
#include "move/settings.h"

struct error;
struct guest_memory;
struct kept;
struct kept_copies;
struct kept_of;

struct kept_copies *kept_copies_new(const char *state_directory);
/* Those in memory go, those on disk stay.  NULL is fine. */
void kept_copies_free(struct kept_copies *all);
/* Those that an earlier daemon left; what is not whole is removed. */
void kept_copies_load(struct kept_copies *all);

/* Takes @m over; what was kept of the machine before goes. */
void kept_copies_add(struct kept_copies *all, const struct kept_of *of,
		     struct guest_memory *m, const struct move_settings *s);
/* That of the machine, where it went to @peer; NULL: there is none.  It stays
 * until it is given back, though it may be on no list any more; one that was
 * wrong goes then. */
struct kept *kept_copies_claim(struct kept_copies *all, const char *uuid,
			       const char *peer);
void kept_copies_give_back(struct kept_copies *all, struct kept *k);
/* Of this machine; @why for the log, NULL: nothing is said. */
void kept_copies_drop(struct kept_copies *all, const char *uuid,
		      const char *why);
/* Those that are older; 0: none. */
void kept_copies_expire(struct kept_copies *all, uint64_t time_us);
/* Bytes that those in memory take which may go. */
uint64_t kept_copies_spare(struct kept_copies *all);
/* Those in memory go, the oldest first, until @bytes are there. */
void kept_copies_make_room(struct kept_copies *all, uint64_t bytes);

struct kept_view {
	char machine[64], uuid[UUID_CAP], host[64];
	bool on_disk;
	uint64_t bytes, since_us;
};

struct kept_views {
	struct kept_view *at; /* on the heap */
	size_t count;
};

extern const struct shape kept_view_shape, kept_views_shape;

/* The oldest first. */
int kept_copies_list(struct kept_copies *all, struct kept_views *ret,
		     struct error *e);
/* By the machine's name or uuid.  -ENOENT. */
int kept_copies_remove(struct kept_copies *all, const char *name,
		       struct kept_view *ret, struct error *e);

/* What has to go, the oldest first, so that @need bytes of @most are free:
 * how many of @bytes.  -1: it never fits. */
int kept_copies_excess(const uint64_t *bytes, unsigned n, uint64_t need,
		       uint64_t most);
