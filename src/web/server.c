/* SPDX-License-Identifier: MIT */

/*
 * The threads are libmicrohttpd's.  They share `struct web_server`, which is
 * set before they start but for `sending`, an atomic, and the upstream, which
 * has its lock.
 */
#include "web/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "control/metrics.h"
#include "web/assets.h"
#include "web/refusal.h"
#include "web/upstream.h"

enum {
	SENDING_MAX = 24 << 20, /* bytes of replies that nobody has read yet */
	STACK = 256 << 10,
	MEMORY_MAX = 32 << 10, /* of a request's head */
};

struct web_server {
	struct upstream *upstream;
	struct web_listens on;
	struct MHD_Daemon *http;
	atomic_size_t sending;
};

/* A token while it arrives; lives in the connection. */
struct upload {
	char said[WEB_TOKEN_CAP];
	size_t len; /* of all that came */
};

static const char *const always[][2] = {
	{ "Content-Security-Policy",
	  "default-src 'none'; script-src 'self'; style-src 'self'; "
	  "img-src 'self'; connect-src 'self'; base-uri 'none'; "
	  "form-action 'none'; frame-ancestors 'none'" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "Referrer-Policy", "no-referrer" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
};

static enum MHD_Result queue(struct MHD_Connection *conn, unsigned status,
			     struct MHD_Response *r)
{
	enum MHD_Result sent;

	if (!r)
		return MHD_NO;
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		MHD_add_response_header(r, always[i][0], always[i][1]);
	/* Who may come again later does not hold a place until then. */
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	sent = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return sent;
}

/* --- what droverd says, or that we do not */

/* A reply on its way: gives its bytes back. */
struct parcel {
	struct web_server *of;
	size_t len;
	char *text;
};

static void parcel_free(void *context)
{
	struct parcel *p = context;

	atomic_fetch_sub(&p->of->sending, p->len);
	free(p->text);
	free(p);
}

/* Takes @text over, also when it fails. */
static struct parcel *parcel_new(struct web_server *s, char *text)
{
	const size_t len = strlen(text);
	struct parcel *p;

	if (atomic_fetch_add(&s->sending, len) + len > SENDING_MAX ||
	    !(p = malloc(sizeof(*p)))) {
		atomic_fetch_sub(&s->sending, len);
		free(text);
		return NULL;
	}
	*p = (struct parcel){ s, len, text };
	return p;
}

/* Takes @text over, which may be NULL. */
static enum MHD_Result send_text(struct web_server *s,
				 struct MHD_Connection *conn, unsigned status,
				 const char *type, char *text)
{
	struct parcel *p = text ? parcel_new(s, text) : NULL;
	struct MHD_Response *r;

	if (!p)
		return MHD_NO;
	r = MHD_create_response_from_buffer_with_free_callback_cls(p->len,
								   p->text,
								   parcel_free,
								   p);
	if (!r) {
		parcel_free(p);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET");
	return queue(conn, status, r);
}

static enum MHD_Result refuse(struct web_server *s, struct MHD_Connection *conn,
			      unsigned status, const char *why)
{
	const char *kind = status == MHD_HTTP_NOT_FOUND   ? "not-found"
			   : status == MHD_HTTP_FORBIDDEN ? "refused"
							  : "invalid";

	return send_text(s, conn, status, "application/json",
			 web_refusal(why, kind));
}

static enum MHD_Result call(struct web_server *s, struct MHD_Connection *conn,
			    const char *what)
{
	const char *type = "application/json";
	struct upstream_reply reply;

	upstream_get(&reply, s->upstream, what);
	if (!strcmp(what, "/metrics") && reply.status == MHD_HTTP_OK)
		type = METRICS_TYPE;
	return send_text(s, conn, reply.status, type, reply.text);
}

/* --- the page itself */

static enum MHD_Result send_asset(struct web_server *s,
				  struct MHD_Connection *conn, const char *path)
{
	const char *has =
		MHD_lookup_connection_value(conn, MHD_HEADER_KIND,
					    MHD_HTTP_HEADER_IF_NONE_MATCH);
	const struct asset *a = NULL;
	struct MHD_Response *r;
	bool same;

	for (size_t i = 0; i < asset_count; i++)
		if (!strcmp(assets[i].path, path))
			a = &assets[i];
	if (!a)
		return refuse(s, conn, MHD_HTTP_NOT_FOUND,
			      "there is no such path here");
	same = has && !strcmp(has, a->etag);
	r = MHD_create_response_from_buffer(same ? 0 : a->len, a->data,
					    MHD_RESPMEM_PERSISTENT);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_ETAG, a->etag);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	return queue(conn, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, r);
}

/* The token of the address becomes a cookie, which no script can read. */
static enum MHD_Result login(struct web_server *s, struct MHD_Connection *conn,
			     const struct upload *u)
{
	const char *token = s->on.door.token;
	struct MHD_Response *r;
	char cookie[160];

	if (!token)
		return refuse(s, conn, MHD_HTTP_NOT_FOUND,
			      "no token is needed here");
	if (!web_is_token(token, u->said, u->len))
		return refuse(s, conn, MHD_HTTP_FORBIDDEN,
			      "that is not the token which drover-web said "
			      "when it started");
	snprintf(cookie, sizeof(cookie),
		 "%s=%s; HttpOnly; SameSite=Strict; Path=/", s->on.cookie,
		 token);
	r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_SET_COOKIE, cookie);
	return queue(conn, MHD_HTTP_NO_CONTENT, r);
}

/* --- requests */

static const char *header(struct MHD_Connection *conn, const char *name)
{
	return MHD_lookup_connection_value(conn, MHD_HEADER_KIND, name);
}

static const char *argument(struct MHD_Connection *conn, const char *name)
{
	return MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result answer(struct web_server *s, struct MHD_Connection *conn,
			      const struct web_verdict *v, const char *path,
			      const struct upload *u)
{
	switch (v->what) {
	case WEB_ASSET:
		return send_asset(s, conn, path);
	case WEB_CALL:
		return call(s, conn, v->call);
	case WEB_LOGIN:
		return login(s, conn, u);
	case WEB_REFUSED:
		break;
	}
	return refuse(s, conn, v->status, v->why);
}

/* Called once when the header is there, again for each piece of the body, and
 * a last time with no piece when the request is whole. */
/* NOLINTNEXTLINE(readability-function-size): the library's parameters */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *conn,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *data_len, void **state)
{
	struct web_server *s = ctx;
	struct upload *u = *state;
	struct web_asked asked = { .verb = method, .path = url };
	struct web_verdict v;

	(void)version;
	if (!u) {
		*state = calloc(1, sizeof(*u));
		return *state ? MHD_YES : MHD_NO;
	}
	if (*data_len > 0) {
		if (u->len + *data_len > sizeof(u->said))
			return MHD_NO; /* it is no token: read no more of it */
		memcpy(u->said + u->len, data, *data_len);
		u->len += *data_len;
		*data_len = 0;
		return MHD_YES;
	}
	asked.host = header(conn, MHD_HTTP_HEADER_HOST);
	asked.origin = header(conn, "Origin");
	asked.site = header(conn, "Sec-Fetch-Site");
	asked.last = argument(conn, "last");
	asked.step = argument(conn, "step");
	if (s->on.cookie)
		asked.cookie =
			MHD_lookup_connection_value(conn, MHD_COOKIE_KIND,
						    s->on.cookie);
	web_admit(&v, &s->on.door, &asked);
	return answer(s, conn, &v, url, u);
}

static void on_end(void *ctx, struct MHD_Connection *conn, void **state,
		   enum MHD_RequestTerminationCode why)
{
	(void)ctx, (void)conn, (void)why;
	free(*state);
	*state = NULL;
}

int web_start(struct web_server **ret, struct upstream *u,
	      const struct web_listens *on, struct error *e)
{
	struct web_server *s = calloc(1, sizeof(*s));

	if (s) {
		s->upstream = u;
		s->on = *on;
		s->http = MHD_start_daemon(
			MHD_USE_THREAD_PER_CONNECTION |
				MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
				MHD_USE_ITC,
			0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET,
			on->fd, MHD_OPTION_CONNECTION_LIMIT,
			(unsigned)WEB_READERS, MHD_OPTION_CONNECTION_TIMEOUT,
			(unsigned)WEB_IDLE_S,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX,
			MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK,
			MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL,
			MHD_OPTION_END);
	}
	if (!s || !s->http) {
		close(on->fd);
		free(s);
		return error_set(e, EIO, "the HTTP server did not start");
	}
	*ret = s;
	return 0;
}

void web_stop(struct web_server *s)
{
	if (!s)
		return;
	MHD_stop_daemon(s->http);
	free(s);
}
