/* SPDX-License-Identifier: MIT */

/*
 * The control API's server: HTTP on a unix socket, a thread per connection,
 * so that a method may block for as long as it takes.
 */
#pragma once

struct control;
struct error;
struct host;

/* Serves @h on @socket_path (mode 0660, owned by @group; NULL or "": the
 * daemon's own group) until control_stop().  A socket file that nobody serves
 * is replaced; EADDRINUSE when a daemon serves it. */
int control_start(struct control **ret, struct host *h, const char *socket_path,
		  const char *group, struct error *e);

/* EADDRINUSE when a daemon serves @socket_path: for a look before anything is
 * touched that the other one owns. */
int control_check_free(const char *socket_path, struct error *e);

/* Waits for the methods that are running.  NULL is fine. */
void control_stop(struct control *c);
