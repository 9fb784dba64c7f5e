/* SPDX-License-Identifier: MIT */

/* What lanes ask of whoever has them, and what these may rely on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch_body;
struct batch_head;
struct error;

enum { HEARTBEAT_US = 200000 }; /* between signs of life of a lane */

/* Where arriving pages go, expanded.  Called by many threads at once; the pages
 * must stand in memory when it returns. */
struct page_sink {
	int (*apply)(void *context, const struct batch_head *batch,
		     const struct batch_body *body, struct error *e);
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
