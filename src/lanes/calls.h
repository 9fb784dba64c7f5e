/* SPDX-License-Identifier: MIT */

/* What lanes ask of whoever has them, and what these may rely on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch_body;
struct batch_head;
struct block_head;
struct error;
struct frame_head;
struct frame_out;

enum { HEARTBEAT_US = 200000 }; /* between signs of life of a lane */

/* What every lane tells when it begins and whenever it has changed. */
enum lanes_announce {
	LANES_CARDS, /* our cards */
	LANES_RDMA,  /* our queue pairs */
	LANES_ANNOUNCE,
};

/* Where arriving pages go, expanded.  Called by many threads at once; the pages
 * must stand in memory when it returns. */
struct page_sink {
	int (*apply)(void *context, const struct batch_head *batch,
		     const struct batch_body *body, struct error *e);
	void *context;
};

/* How pages may travel beside the channels: RDMA.  As above. */
struct lane_aside {
	/* The writer of lane @number has @f.  True: its pages are on their way,
	 * and the rest of it is what @head says, with flags, length and place.
	 * May wait for a moment. */
	bool (*write)(void *context, uint64_t number, struct frame_out *f,
		      struct frame_head *head);
	/* What was left of it has come. */
	int (*came)(void *context, const struct frame_head *head,
		    const void *meta, struct error *e);
	/* What the peer has to say of it; -EBADMSG. */
	int (*words)(void *context, uint64_t generation, const void *text,
		     size_t len, struct error *e);
	void *context;
};

/* Where blocks of disks go that arrive, expanded.  Likewise; 1: they have not
 * been applied yet, and whoever has them says so to the inbox later. */
struct block_sink {
	int (*apply)(void *context, uint64_t seq, const struct block_head *b,
		     const uint8_t *data, struct error *e);
	void *context;
};

/* All are called without a lock of the lanes.  The readers of several lanes
 * call at once. */
struct lane_calls {
	/* The inbox has one more. */
	void (*message)(void *context);
	/* The peer's cards; a negative errno: they cannot be. */
	int (*cards)(void *context, uint64_t generation, const void *text,
		     size_t len, struct error *e);
	/* The peer has ended the session. */
	void (*bye)(void *context, bool failed, const char *why);
	/* What came makes no sense, or is damaged again and again. */
	void (*broken)(void *context, const char *why);
	/* A lane has ended, see lanes_next_ended().  Any thread, also one that
	 * drops a lane; it may take a lock, but not wait. */
	void (*ended)(void *context);
	void *context;
};
