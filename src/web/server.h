/* SPDX-License-Identifier: MIT */

/*
 * HTTP for the page: on each listening socket a thread per connection, at most
 * WEB_READERS of them.  One that does not send, or does not read, for
 * WEB_IDLE_S is dropped; what is being sent at once is bounded in bytes.
 */
#pragma once

#include "web/admit.h"

struct error;
struct upstream;
struct web_server;

enum { WEB_READERS = 64, WEB_IDLE_S = 10 };

struct web_listens {
	int fd; /* taken over, also when it fails */
	struct web_door door;
	const char *cookie; /* its name, where there is a token */
};

/* @u and what @on points at outlive it. */
int web_start(struct web_server **ret, struct upstream *u,
	      const struct web_listens *on, struct error *e);
void web_stop(struct web_server *s); /* NULL is fine */
