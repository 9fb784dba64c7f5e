/* SPDX-License-Identifier: MIT */

/*
 * The way back: the destination, which has kept what the machine left there,
 * tells the sums of those pages, and the source's history begins with them:
 * docs/keep-copy.md.
 */
#pragma once

struct error;
struct guest_memory;
struct history_known;
struct kept;
struct message_copy;
struct relay_blocks;
struct session;

/* Destination: in as many "copy" as it takes, the last of which says so.
 * @machine is for the log. */
int back_tell(struct session *s, struct kept *k, const struct guest_memory *m,
	      const char *machine, struct error *e);

/* Source: adds them to @known.  -EBADMSG for pages that @blocks do not have. */
int back_take(struct history_known *known, const struct message_copy *told,
	      const struct relay_blocks *blocks, struct error *e);
