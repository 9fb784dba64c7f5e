/* SPDX-License-Identifier: MIT */

/*
 * QEMU's monitor, QMP, over a unix socket.
 *
 * A struct qmp belongs to one thread at a time and starts none.  Events that
 * arrive while a command waits for its reply are kept, the oldest
 * QMP_EVENTS_MAX of them and no more than QMP_EVENTS_BYTES; the rest is counted
 * and lost.
 *
 * After -EREMOTEIO (QEMU refused the command) and -ETIMEDOUT the connection may
 * be used on: a reply that comes after its time is dropped.  Whether QEMU
 * carries out a command that timed out is not known.  After any other error the
 * connection is of no more use.
 *
 * QEMU serves one client per socket.  It accepts a second one and lets it
 * wait without a greeting, so a monitor in use shows as a missing greeting.
 *
 * Errors: -EREMOTEIO a refusal, "QEMU: COMMAND: text of QEMU"; -EPIPE QEMU
 * closed its monitor; -ETIMEDOUT; -EIO QEMU took only a part of a command in
 * its time; -EBADMSG what came is no QMP; -EBUSY the monitor is in use;
 * -EACCES, -ENOENT, ... from connecting.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct qmp;

/* As text.  QEMU's longest, a thousand block nodes, has 1.5 MB and 80,000
 * values, of which each takes up to 250 bytes of memory; an event has some
 * hundred bytes. */
enum {
	QMP_LINE_MAX = 4 << 20,
	QMP_VALUES_MAX = 256 << 10,
	QMP_EVENTS_MAX = 1024,
	QMP_EVENTS_BYTES = 512 << 10,
};

/* Connects, again and again while the socket is absent or refuses, and
 * negotiates, all by @deadline_us (clock_us() time). */
int qmp_open(struct qmp **ret, const char *path, uint64_t deadline_us,
	     struct error *e);

/* As qmp_open() on a socket that is connected; takes @fd over, also on
 * failure. */
int qmp_open_fd(struct qmp **ret, int fd, uint64_t deadline_us,
		struct error *e);

void qmp_close(struct qmp *q);

/* For poll(): readable when an event may have come.  Ask qmp_event() with
 * deadline 0 until it returns 0 before waiting on it. */
int qmp_fd(const struct qmp *q);

/* How long qmp_run() waits for the reply; 10 s unless set. */
void qmp_set_timeout(struct qmp *q, uint64_t timeout_us);

/* Run @command.  Takes @args (NULL: none).  The "return" part of the reply
 * goes into @ret as a new reference, unless @ret is NULL. */
int qmp_run(struct qmp *q, const char *command, json_t *args, json_t **ret,
	    struct error *e);

/* The next event: 1 with a new reference in @ret_event, 0 at the deadline
 * (0: do not wait), negative errno on failure.  What has been kept while
 * commands ran comes first. */
int qmp_event(struct qmp *q, uint64_t deadline_us, json_t **ret_event,
	      struct error *e);

void qmp_version(const struct qmp *q, int *ret_major, int *ret_minor,
		 int *ret_micro);

/* One attempt to connect; the descriptor, or negative errno. */
int qmp_dial(const char *path, struct error *e);

/* The lines of a monitor: bytes in, JSON objects out. */
struct qmp_input {
	char *buf;
	size_t len, cap;
	size_t taken;   /* bytes of lines that have been handed out */
	size_t scanned; /* no line end before this */
	size_t line;    /* bytes of the line that was handed out last */
};

void qmp_input_done(struct qmp_input *in);
int qmp_input_add(struct qmp_input *in, const void *bytes, size_t len,
		  struct error *e);

/* 1 with a new reference, 0 when more bytes are needed, -EBADMSG. */
int qmp_input_next(struct qmp_input *in, json_t **ret, struct error *e);
