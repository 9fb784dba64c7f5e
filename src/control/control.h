/* SPDX-License-Identifier: MIT */

/*
 * The control API's server: HTTP on a unix socket, a thread per connection,
 * so that a method may block for as long as it takes.
 *
 * There are two sockets.  What comes by the one may change something, by the
 * other it may look.  A file of its own for each group keeps strangers out by
 * its mode alone, lets an unprivileged reader be given a socket with which it
 * can do no harm, whoever it runs as, and keeps places for those who act when
 * those who look have taken all of theirs.
 */
#pragma once

struct control;
struct error;
struct host;
struct sockaddr_in;

struct control_options {
	const char *socket;
	const char *group; /* NULL or "": the daemon's own */
	/* Who may look and change nothing; they have a socket of their own
	 * beside the other one.  NULL, or a group that is not there: no such
	 * socket. */
	const char *read_group;
	const char *folder; /* in which calls are noted; NULL: they are not */
	const struct sockaddr_in *metrics; /* NULL: /metrics is not on TCP */
};

/* Serves @h until control_stop().  The sockets have mode 0660; the file of one
 * that nobody serves is replaced; EADDRINUSE when a daemon serves it. */
int control_start(struct control **ret, struct host *h,
		  const struct control_options *o, struct error *e);

/* EADDRINUSE when a daemon serves @socket_path: for a look before anything is
 * touched that the other one owns. */
int control_check_free(const char *socket_path, struct error *e);

/* Waits for the methods that are running.  NULL is fine. */
void control_stop(struct control *c);
