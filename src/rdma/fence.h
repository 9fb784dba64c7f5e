/* SPDX-License-Identifier: MIT */

/*
 * When a batch may leave by RDMA WRITE, and what has to have happened before
 * one that did may leave another way: docs/rdma.md.  Pure.
 */
#pragma once

#include <stdbool.h>

/* What the source knows of a queue pair. */
struct fence_facts {
	bool offered;   /* the other side listens, and has told the secret */
	bool dialled;   /* its thread was started */
	bool connected; /* here */
	bool promised;  /* the other side has posted receives, and told where
			 * its buffers are */
	/* It broke, its lane ended, the session ended, or the other side says
	 * that it is destroyed there. */
	bool over;
	bool destroyed_there; /* rdma_destroy_qp() has returned, it says */
	bool destroyed_here;  /* likewise; its thread has ended */
	bool released;        /* what it held was put back */
};

/* Pages may be written through it. */
bool fence_may_write(const struct fence_facts *f);
/* What was written through it and is not acknowledged may leave another way:
 * nothing of it can land any more. */
bool fence_may_leave(const struct fence_facts *f);
/* Its buffers here are nobody's. */
bool fence_may_free(const struct fence_facts *f);

enum fence_step {
	FENCE_WAIT,
	FENCE_DIAL,    /* start its thread */
	FENCE_STOP,    /* tell its thread to end */
	FENCE_RELEASE, /* put back what it held */
	FENCE_FORGET,  /* all is done, on both sides */
};

/* What is to be done next.  @stopped: its thread has been told. */
enum fence_step fence_next(const struct fence_facts *f, bool stopped);
