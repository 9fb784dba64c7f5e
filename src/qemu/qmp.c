/* SPDX-License-Identifier: MIT */
#include "qemu/qmp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/foreign.h"
#include "base/scope.h"

enum { READ_BYTES = 65536, DIAL_AGAIN_MS = 10 };

struct qmp {
	int fd;
	uint64_t timeout_us, next_id;
	struct qmp_input input;
	int version[3];
	json_t *events; /* array of [event, bytes], oldest first */
	size_t events_bytes, lost;
};

void qmp_input_done(struct qmp_input *in)
{
	free(in->buf);
	*in = (struct qmp_input){ 0 };
}

int qmp_input_add(struct qmp_input *in, const void *bytes, size_t len,
		  struct error *e)
{
	if (in->taken > 0) {
		in->len -= in->taken;
		in->scanned -= in->taken;
		memmove(in->buf, in->buf + in->taken, in->len);
		in->taken = 0;
	}
	if (len > QMP_LINE_MAX || in->len + len > (size_t)2 * QMP_LINE_MAX)
		return error_set(e, EBADMSG, "QEMU's monitor: too much input");
	if (in->cap - in->len < len) {
		size_t cap = in->len + len > 2 * in->cap ? in->len + len
							 : 2 * in->cap;
		char *more = realloc(in->buf, cap);

		if (!more)
			return error_set(e, ENOMEM,
					 "QEMU's monitor: no memory");
		in->buf = more;
		in->cap = cap;
	}
	if (len > 0 && in->buf)
		memcpy(in->buf + in->len, bytes, len);
	in->len += len;
	return 0;
}

/* The next line without its end: 1, or 0 when it is not whole yet. */
static int next_line(struct qmp_input *in, const char **ret, size_t *ret_len,
		     struct error *e)
{
	const char *end = NULL;
	size_t start = in->taken;

	if (in->len > in->scanned)
		end = memchr(in->buf + in->scanned, '\n',
			     in->len - in->scanned);
	in->scanned = end ? (size_t)(end - in->buf) + 1 : in->len;
	if (in->scanned - start > QMP_LINE_MAX)
		return error_set(e, EBADMSG,
				 "QEMU's monitor: a line of more than 4 MiB");
	if (!end)
		return 0;
	*ret = in->buf + start;
	*ret_len = in->scanned - start - 1;
	in->line = in->scanned - start;
	in->taken = in->scanned;
	return 1;
}

/* No fewer than there are: what stands in a string counts as well. */
static size_t values_in(const char *line, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += line[i] == ',' || line[i] == '{' || line[i] == '[';
	return n;
}

int qmp_input_next(struct qmp_input *in, json_t **ret, struct error *e)
{
	const char *line = NULL;
	json_error_t why;
	size_t len = 0;
	json_t *o;
	int r;

	do {
		r = next_line(in, &line, &len, e);
		if (r <= 0)
			return r;
	} while (len == 0 || (len == 1 && line[0] == '\r'));
	if (values_in(line, len) > QMP_VALUES_MAX)
		return error_set(e, EBADMSG,
				 "QEMU's monitor: a line of more than %d "
				 "values",
				 QMP_VALUES_MAX);
	o = json_loadb(line, len, JSON_ALLOW_NUL, &why);
	if (json_is_object(o)) {
		*ret = o;
		return 1;
	}
	json_decref(o);
	return error_set(e, EBADMSG,
			 "QEMU's monitor: this is not a JSON object: %.*s",
			 len > 60 ? 60 : (int)len, line);
}

/* The next object: 1, 0 at the deadline, negative errno. */
static int receive(struct qmp *q, uint64_t deadline_us, json_t **ret,
		   struct error *e)
{
	struct pollfd p = { .fd = q->fd, .events = POLLIN };
	char buf[READ_BYTES];

	for (;;) {
		int r = qmp_input_next(&q->input, ret, e);
		ssize_t n;

		if (r != 0)
			return r;
		n = recv(q->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return error_set(e, EPIPE, "QEMU closed its monitor");
		if (n > 0) {
			if (qmp_input_add(&q->input, buf, (size_t)n, e) < 0)
				return error_code(e);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return error_sys(e, "read QEMU's monitor");
		if (errno == EAGAIN) {
			r = poll(&p, 1, clock_poll_ms(deadline_us));
			if (r < 0 && errno != EINTR)
				return error_sys(e, "wait for QEMU's monitor");
			if (r == 0)
				return 0;
		}
	}
}

/* A mere time-out only when nothing has left: QEMU would take the next command
 * for the rest of this one. */
static int transmit(struct qmp *q, const char *text, uint64_t deadline_us,
		    struct error *e)
{
	struct pollfd p = { .fd = q->fd, .events = POLLOUT };
	size_t all = strlen(text), len = all;

	while (len > 0) {
		ssize_t n = send(q->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return error_set(e, EPIPE, "QEMU closed its monitor");
		if (errno != EAGAIN && errno != EINTR)
			return error_sys(e, "write to QEMU's monitor");
		if (errno == EAGAIN &&
		    poll(&p, 1, clock_poll_ms(deadline_us)) == 0)
			return len == all
				       ? error_set(e, ETIMEDOUT,
						   "QEMU's monitor takes no "
						   "command")
				       : error_set(e, EIO,
						   "QEMU's monitor took a part "
						   "of a command only");
	}
	return 0;
}

static void keep_event(struct qmp *q, json_t *event)
{
	size_t bytes = q->input.line;

	if (json_array_size(q->events) < QMP_EVENTS_MAX &&
	    bytes <= QMP_EVENTS_BYTES - q->events_bytes) {
		json_array_append_new(q->events, json_pack("[o, I]", event,
							   (json_int_t)bytes));
		q->events_bytes += bytes;
	} else {
		json_decref(event);
		q->lost++;
	}
}

static json_t *take_event(struct qmp *q)
{
	const json_t *first = json_array_get(q->events, 0);
	json_t *event = json_incref(json_array_get(first, 0));

	q->events_bytes -= (size_t)json_integer_value(json_array_get(first, 1));
	json_array_remove(q->events, 0);
	return event;
}

/* Is @o the reply to command @id?  Takes @o in any case. */
static int take_reply(struct qmp *q, json_t *o, uint64_t id,
		      const char *command, json_t **ret, struct error *e)
{
	json_t *error = json_object_get(o, "error");
	json_t *value = json_object_get(o, "return");
	const json_t *its = json_object_get(o, "id");
	const char *desc = json_string_value(json_object_get(error, "desc"));
	uint64_t got = (uint64_t)json_integer_value(its);
	int r = 1;

	if (json_object_get(o, "event")) {
		keep_event(q, o);
		return 0;
	}
	/* To a command that has run out of time. */
	if (got > 0 && got < id) {
		json_decref(o);
		return 0;
	}
	/* An error before QEMU has read an id has none. */
	if (got != id && (its || !error))
		r = error_set(e, EBADMSG,
			      "QEMU's monitor: a reply to another command");
	else if (error)
		r = error_set(e, EREMOTEIO, "QEMU: %s: %s", command,
			      desc ? desc : "failed, and does not say why");
	else if (!value)
		r = error_set(e, EBADMSG,
			      "QEMU's monitor: %s: neither result nor error",
			      command);
	else if (ret)
		*ret = json_incref(value);
	json_decref(o);
	return r;
}

static int run_until(struct qmp *q, const char *command, json_t *args,
		     json_t **ret, uint64_t deadline_us, struct error *e)
{
	uint64_t id = ++q->next_id;
	json_t *request = json_pack("{s:s, s:I, s:o*}", "execute", command,
				    "id", (json_int_t)id, "arguments", args);
	AUTO_FREE char *text = json_dumps(request, JSON_COMPACT);
	json_t *o;
	int r;

	json_decref(request);
	if (!text)
		return error_set(e, EINVAL, "%s: the arguments are not JSON",
				 command);
	r = transmit(q, text, deadline_us, e);
	while (r == 0) {
		r = receive(q, deadline_us, &o, e);
		if (r == 0)
			return error_set(e, ETIMEDOUT,
					 "QEMU did not answer %s in time",
					 command);
		if (r > 0)
			r = take_reply(q, o, id, command, ret, e);
		/* Events without end are no answer. */
		if (r == 0 && clock_us() >= deadline_us)
			return error_set(e, ETIMEDOUT,
					 "QEMU did not answer %s in time",
					 command);
	}
	return r < 0 ? r : 0;
}

int qmp_run(struct qmp *q, const char *command, json_t *args, json_t **ret,
	    struct error *e)
{
	return run_until(q, command, args, ret, clock_us() + q->timeout_us, e);
}

int qmp_event(struct qmp *q, uint64_t deadline_us, json_t **ret_event,
	      struct error *e)
{
	json_t *o;
	int r;

	if (json_array_size(q->events) > 0) {
		*ret_event = take_event(q);
		return 1;
	}
	for (;;) {
		r = receive(q, deadline_us, &o, e);
		if (r <= 0)
			return r;
		if (json_object_get(o, "event")) {
			*ret_event = o;
			return 1;
		}
		/* The reply to a command that has run out of time. */
		json_decref(o);
	}
}

static int greet(struct qmp *q, uint64_t deadline_us, struct error *e)
{
	json_t *o = NULL, *version = NULL;
	int r = receive(q, deadline_us, &o, e);

	if (r == 0)
		return error_set(e, EBUSY,
				 "QEMU sent no greeting: another client holds "
				 "the monitor, or QEMU is stuck");
	if (r < 0)
		return r;
	r = json_unpack(o, "{s:{s:{s:o}}}", "QMP", "version", "qemu", &version);
	if (r == 0)
		r = json_unpack(version, "{s:i, s:i, s:i}", "major",
				&q->version[0], "minor", &q->version[1],
				"micro", &q->version[2]);
	json_decref(o);
	if (r < 0)
		return error_set(e, EBADMSG, "this is not a monitor of QEMU");
	return run_until(q, "qmp_capabilities", NULL, NULL, deadline_us, e);
}

int qmp_open_fd(struct qmp **ret, int fd, uint64_t deadline_us, struct error *e)
{
	struct qmp *q = calloc(1, sizeof(*q));

	if (!q) {
		close(fd);
		return error_set(e, ENOMEM, "no memory for a monitor");
	}
	q->fd = fd;
	q->timeout_us = 10 * USEC_PER_SEC;
	q->events = json_array();
	if (greet(q, deadline_us, e) < 0) {
		qmp_close(q);
		return error_code(e);
	}
	*ret = q;
	return 0;
}

int qmp_dial(const char *path, struct error *e)
{
	AUTO_CLOSE int fd = -1;

	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return error_set(e, ENAMETOOLONG,
				 "the path of a socket has at most %zu bytes",
				 sizeof(((struct sockaddr_un *)NULL)
						->sun_path) -
					 1);
	/* Not blocking: a full backlog is -EAGAIN, not a wait. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_sys(e, "socket");
	if (foreign_connect(fd, path) < 0)
		return error_sys(e, "connect");
	return take_fd(&fd);
}

static int dial_until(const char *path, uint64_t deadline_us, struct error *e)
{
	for (;;) {
		int fd = qmp_dial(path, e);

		if (fd >= 0)
			return fd;
		if (e->code != ENOENT && e->code != ECONNREFUSED &&
		    e->code != EAGAIN)
			return fd;
		if (clock_us() >= deadline_us)
			return fd;
		/* Nothing tells when a socket begins to listen. */
		poll(NULL, 0, DIAL_AGAIN_MS);
	}
}

int qmp_open(struct qmp **ret, const char *path, uint64_t deadline_us,
	     struct error *e)
{
	int fd = dial_until(path, deadline_us, e);

	if (fd < 0 || qmp_open_fd(ret, fd, deadline_us, e) < 0)
		return error_in(e, "monitor %s", path);
	return 0;
}

void qmp_close(struct qmp *q)
{
	if (!q)
		return;
	close(q->fd);
	json_decref(q->events);
	qmp_input_done(&q->input);
	free(q);
}

int qmp_fd(const struct qmp *q)
{
	return q->fd;
}

void qmp_set_timeout(struct qmp *q, uint64_t timeout_us)
{
	q->timeout_us = timeout_us;
}

void qmp_version(const struct qmp *q, int *ret_major, int *ret_minor,
		 int *ret_micro)
{
	*ret_major = q->version[0];
	*ret_minor = q->version[1];
	*ret_micro = q->version[2];
}
