/* SPDX-License-Identifier: MIT */

/*
 * libmicrohttpd accepts, reads and writes; it runs one thread per connection,
 * at most CONNECTIONS of them, and drops one that is silent for IDLE_S.  A
 * request is collected whole, up to API_MAX_BODY, and then answered by
 * api_answer() in that thread.  What is longer is read and thrown away, so that
 * the client reads its 413 and not a broken pipe, up to DISCARD_MAX.
 *
 * The threads share `struct control`, which is set before they start; of the
 * caller, each request knows what the kernel said when it began.
 */
#include "control/control.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "control/api.h"
#include "control/caller.h"
#include "control/calls.h"
#include "control/gate.h"
#include "control/scrape.h"
#include "host/events.h"
#include "host/host.h"

enum {
	CONNECTIONS = 64,
	IDLE_S = 30,
	FIRST_CAP = 4096,
	DISCARD_MAX = 64 << 20,
	LINE_CAP = 2048, /* of a stream: a piece */
};

/* A socket, and the server behind it. */
struct door {
	struct control *of;
	struct MHD_Daemon *http; /* NULL: it does not stand */
	struct gate gate;
	bool changes; /* who comes by here may change something */
};

struct control {
	struct host *host;
	struct calls *calls; /* NULL: nowhere */
	struct door act, look;
	struct scrape *scrape; /* NULL: there is none */
};

/* A request while its body arrives; lives in the connection. */
struct upload {
	struct caller by;
	char *data;
	size_t len, cap;
};

static bool upload_add(struct upload *u, const char *data, size_t n)
{
	size_t cap = u->cap ? u->cap : FIRST_CAP;
	char *grown;

	if (n > DISCARD_MAX || u->len > DISCARD_MAX - n)
		return false;
	u->len += n;
	if (u->len > API_MAX_BODY)
		return true;
	while (cap < u->len)
		cap *= 2;
	if (cap != u->cap) {
		grown = realloc(u->data, cap);
		if (!grown)
			return false;
		u->data = grown;
		u->cap = cap;
	}
	memcpy(u->data + u->len - n, data, n);
	return true;
}

static enum MHD_Result send_reply(struct MHD_Connection *conn,
				  const struct api_reply *reply)
{
	struct MHD_Response *r;
	enum MHD_Result sent;

	if (!reply->body)
		return MHD_NO;
	r = MHD_create_response_from_buffer(strlen(reply->body), reply->body,
					    MHD_RESPMEM_MUST_COPY);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
				reply->type ? reply->type : "application/json");
	/* Who may come again later does not hold a place until then. */
	if (reply->status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	if (reply->allow[0])
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, reply->allow);
	sent = MHD_queue_response(conn, reply->status, r);
	MHD_destroy_response(r);
	return sent;
}

static enum MHD_Result refuse(struct MHD_Connection *conn, unsigned status,
			      const char *why)
{
	struct api_reply reply = { 0 };
	enum MHD_Result sent;

	log_warning("control socket: %s", why);
	api_refuse(&reply, status, why);
	sent = send_reply(conn, &reply);
	free(reply.body);
	return sent;
}

/* --- events */

/* A line is sent as a whole, in one piece or several. */
struct stream {
	struct events_reader *reader;
	char *line;
	size_t len, sent;
};

/* In the connection's own thread, which may wait. */
static ssize_t next_piece(void *context, uint64_t at, char *buf, size_t max)
{
	struct stream *s = context;
	struct event e;
	size_t n;

	(void)at;
	if (!s->line) {
		if (!events_next(s->reader, &e))
			return MHD_CONTENT_READER_END_OF_STREAM;
		s->line = shape_text(&event_shape, &e);
		if (!s->line)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		s->len = strlen(s->line);
		s->line[s->len++] = '\n'; /* in place of the end */
		s->sent = 0;
	}
	n = s->len - s->sent < max ? s->len - s->sent : max;
	memcpy(buf, s->line + s->sent, n);
	s->sent += n;
	if (s->sent == s->len) {
		free(s->line);
		s->line = NULL;
	}
	return (ssize_t)n;
}

static void stream_end(void *context)
{
	struct stream *s = context;

	events_close(s->reader);
	free(s->line);
	free(s);
}

static enum MHD_Result stream(const struct door *d, struct MHD_Connection *conn)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct MHD_Response *r;
	enum MHD_Result sent;
	struct error e;

	if (!s)
		return MHD_NO;
	if (events_open(host_events(d->of->host), d->changes, &s->reader, &e) <
	    0) {
		free(s);
		return refuse(conn, MHD_HTTP_SERVICE_UNAVAILABLE, e.text);
	}
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, LINE_CAP,
					      next_piece, s, stream_end);
	if (!r) {
		stream_end(s);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
				"application/x-ndjson");
	sent = MHD_queue_response(conn, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return sent;
}

/* --- requests */

static enum MHD_Result answer(const struct door *d, struct MHD_Connection *conn,
			      const struct api_request *rq)
{
	struct api_reply reply = { 0 };
	enum MHD_Result sent;

	api_answer(&reply, d->of->host, rq);
	sent = send_reply(conn, &reply);
	free(reply.body);
	return sent;
}

/* Strangers get their answer before anything of a body is read. */
static enum MHD_Result begin(const struct door *d, struct MHD_Connection *conn,
			     void **state)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn,
					MHD_CONNECTION_INFO_CONNECTION_FD);
	struct upload *u;
	struct ucred who;
	struct error e;

	if (!info)
		return MHD_NO;
	if (gate_check(&who, info->connect_fd, d->gate.group, &e) < 0)
		return refuse(conn, MHD_HTTP_FORBIDDEN, e.text);
	*state = u = calloc(1, sizeof(*u));
	if (!u)
		return MHD_NO;
	u->by = (struct caller){ .uid = who.uid,
				 .pid = who.pid,
				 .changes = d->changes };
	return MHD_YES;
}

static const char *argument(struct MHD_Connection *conn, const char *name)
{
	return MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, name);
}

/* Called once when the header is there, again for each piece of the body, and
 * a last time with no piece when the request is whole. */
/* NOLINTNEXTLINE(readability-function-size): the library's parameters */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *conn,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *data_len, void **state)
{
	const struct door *d = ctx;
	struct upload *u = *state;
	struct api_request rq = { .verb = method,
				  .path = url,
				  .calls = d->of->calls };

	(void)version;
	if (!u)
		return begin(d, conn, state);
	if (*data_len > 0) {
		bool took = upload_add(u, data, *data_len);

		*data_len = 0;
		return took ? MHD_YES : MHD_NO;
	}
	rq.by = &u->by;
	rq.body = u->data;
	rq.body_len = u->len;
	rq.file = argument(conn, "file");
	rq.mode = argument(conn, "mode");
	if (!rq.mode)
		rq.mode = argument(conn, "option");
	rq.last = argument(conn, "last");
	rq.step = argument(conn, "step");
	rq.purpose = argument(conn, "for");
	if (api_is_stream(&rq))
		return stream(d, conn);
	return answer(d, conn, &rq);
}

static void on_end(void *ctx, struct MHD_Connection *conn, void **state,
		   enum MHD_RequestTerminationCode why)
{
	struct upload *u = *state;

	(void)ctx, (void)conn, (void)why;
	if (!u)
		return;
	free(u->data);
	free(u);
	*state = NULL;
}

static int door_open(struct door *d, const char *path, gid_t group,
		     struct error *e)
{
	if (gate_open(&d->gate, path, group, e) < 0)
		return error_in(e, "control socket");
	d->http =
		MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION |
					 MHD_USE_INTERNAL_POLLING_THREAD |
					 MHD_USE_POLL | MHD_USE_ITC,
				 0, NULL, NULL, on_request, d,
				 MHD_OPTION_LISTEN_SOCKET, d->gate.fd,
				 MHD_OPTION_CONNECTION_LIMIT,
				 (unsigned)CONNECTIONS,
				 MHD_OPTION_CONNECTION_TIMEOUT,
				 (unsigned)IDLE_S, MHD_OPTION_NOTIFY_COMPLETED,
				 on_end, NULL, MHD_OPTION_END);
	if (!d->http) {
		gate_close(&d->gate);
		return error_set(e, EIO,
				 "control socket: the HTTP server "
				 "did not start");
	}
	d->gate.fd = -1; /* the server closes it */
	log_debug("control API on %s", path);
	return 0;
}

static void door_close(struct door *d)
{
	if (!d->http)
		return;
	/* First the file, so that a client that comes now is told that there
	 * is no service, instead of being cut off. */
	gate_close(&d->gate);
	MHD_stop_daemon(d->http);
}

static int open_act(struct control *c, const struct control_options *o,
		    struct error *e)
{
	gid_t group;

	if (gate_group(&group, o->group, e) < 0)
		return error_code(e);
	/* A host on which nobody made the group yet is served all the same. */
	if (group == GATE_NO_GROUP)
		log_warning("the group %s does not exist: only root may use "
			    "the control socket",
			    o->group);
	return door_open(&c->act, o->socket, group, e);
}

static int open_look(struct control *c, const struct control_options *o,
		     struct error *e)
{
	char path[sizeof(c->look.gate.path) + 8];
	gid_t group;

	if (!o->read_group || !o->read_group[0])
		return 0;
	if (gate_group(&group, o->read_group, e) < 0)
		return error_code(e);
	if (group == GATE_NO_GROUP)
		return 0;
	gate_look_path(path, sizeof(path), o->socket);
	return door_open(&c->look, path, group, e);
}

int control_start(struct control **ret, struct host *h,
		  const struct control_options *o, struct error *e)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(e, ENOMEM, "no memory for the control API");
	c->host = h;
	c->act = (struct door){ .of = c, .changes = true };
	c->look = (struct door){ .of = c };
	if (o->folder && !(c->calls = calls_new(o->folder))) {
		free(c);
		return error_set(e, ENOMEM, "no memory for the control API");
	}
	/* Who finds the first has the other, too. */
	if ((o->metrics && scrape_start(&c->scrape, h, o->metrics, e) < 0) ||
	    open_look(c, o, e) < 0 || open_act(c, o, e) < 0) {
		control_stop(c);
		return error_code(e);
	}
	*ret = c;
	return 0;
}

int control_check_free(const char *socket_path, struct error *e)
{
	if (gate_clear(socket_path, e) < 0)
		return error_in(e, "control socket");
	return 0;
}

void control_stop(struct control *c)
{
	if (!c)
		return;
	/* Those that read events wait for the next. */
	if (c->host)
		events_end(host_events(c->host));
	scrape_stop(c->scrape);
	door_close(&c->look);
	door_close(&c->act);
	calls_free(c->calls);
	free(c);
}
