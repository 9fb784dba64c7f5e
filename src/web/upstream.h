/* SPDX-License-Identifier: MIT */

/*
 * What droverd says, asked over one connection at a time and kept for KEEP_MS:
 * what a page costs droverd does not grow with the pages that are open.  Any
 * thread may call.
 */
#pragma once

#include <stddef.h>

struct upstream;

/* @socket: droverd's, or the one for looking; NULL: no memory. */
struct upstream *upstream_new(const char *socket);
void upstream_free(struct upstream *u); /* NULL is fine */

struct upstream_reply {
	unsigned status;
	char *text; /* for free(); NULL: no memory */
};

/* Always gives a status; @call begins with '/'. */
void upstream_get(struct upstream_reply *ret, struct upstream *u,
		  const char *call);
