/* SPDX-License-Identifier: MIT */

/*
 * libmicrohttpd accepts, reads and writes; it runs one thread per connection,
 * at most CONNECTIONS of them, and drops one that is silent for IDLE_S.  A
 * request is collected whole, up to API_MAX_BODY, and then answered by
 * api_answer() in that thread.  What is longer is read and thrown away, so that
 * the client reads its 413 and not a broken pipe, up to DISCARD_MAX.
 *
 * The threads share `struct control`, which is set before they start.
 */
#include "control/control.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "control/api.h"
#include "control/gate.h"

enum {
	CONNECTIONS = 64,
	IDLE_S = 30,
	FIRST_CAP = 4096,
	DISCARD_MAX = 64 << 20,
};

struct control {
	struct MHD_Daemon *http;
	struct host *host;
	struct gate gate;
};

/* A request while its body arrives; lives in the connection. */
struct upload {
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
				"application/json");
	if (reply->allow[0])
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, reply->allow);
	sent = MHD_queue_response(conn, reply->status, r);
	MHD_destroy_response(r);
	return sent;
}

static enum MHD_Result answer(struct control *c, struct MHD_Connection *conn,
			      const struct api_request *rq)
{
	struct api_reply reply = { 0 };
	enum MHD_Result sent;

	api_answer(&reply, c->host, rq);
	sent = send_reply(conn, &reply);
	free(reply.body);
	return sent;
}

/* Strangers get their answer before anything of a body is read. */
static enum MHD_Result begin(struct control *c, struct MHD_Connection *conn,
			     void **state)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn,
					MHD_CONNECTION_INFO_CONNECTION_FD);
	struct api_reply reply = { 0 };
	enum MHD_Result sent;
	struct error e;

	if (!info)
		return MHD_NO;
	if (gate_check(info->connect_fd, c->gate.group, &e) < 0) {
		api_refuse(&reply, MHD_HTTP_FORBIDDEN, e.text);
		sent = send_reply(conn, &reply);
		free(reply.body);
		return sent;
	}
	*state = calloc(1, sizeof(struct upload));
	return *state ? MHD_YES : MHD_NO;
}

/* Called once when the header is there, again for each piece of the body, and
 * a last time with no piece when the request is whole. */
/* NOLINTNEXTLINE(readability-function-size): the library's parameters */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *conn,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *data_len, void **state)
{
	struct upload *u = *state;
	struct api_request rq = { .verb = method, .path = url };

	(void)version;
	if (!u)
		return begin(ctx, conn, state);
	if (*data_len > 0) {
		bool took = upload_add(u, data, *data_len);

		*data_len = 0;
		return took ? MHD_YES : MHD_NO;
	}
	rq.body = u->data;
	rq.body_len = u->len;
	rq.file = MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND,
					      "file");
	rq.mode = MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND,
					      "mode");
	if (!rq.mode)
		rq.mode =
			MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND,
						    "option");
	return answer(ctx, conn, &rq);
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

int control_start(struct control **ret, struct host *h, const char *socket_path,
		  const char *group, struct error *e)
{
	AUTO_FREE struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(e, ENOMEM, "no memory for the control API");
	c->host = h;
	if (gate_open(&c->gate, socket_path, group, e) < 0)
		return error_in(e, "control socket");
	c->http =
		MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION |
					 MHD_USE_INTERNAL_POLLING_THREAD |
					 MHD_USE_POLL | MHD_USE_ITC,
				 0, NULL, NULL, on_request, c,
				 MHD_OPTION_LISTEN_SOCKET, c->gate.fd,
				 MHD_OPTION_CONNECTION_LIMIT,
				 (unsigned)CONNECTIONS,
				 MHD_OPTION_CONNECTION_TIMEOUT,
				 (unsigned)IDLE_S, MHD_OPTION_NOTIFY_COMPLETED,
				 on_end, NULL, MHD_OPTION_END);
	if (!c->http) {
		gate_close(&c->gate);
		return error_set(e, EIO,
				 "control socket: the HTTP server "
				 "did not start");
	}
	c->gate.fd = -1; /* the server closes it */
	log_debug("control API on %s", socket_path);
	*ret = take_ptr(&c);
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
	/* First the file, so that a client that comes now is told that there
	 * is no service, instead of being cut off. */
	gate_close(&c->gate);
	MHD_stop_daemon(c->http);
	free(c);
}
