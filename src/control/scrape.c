/* SPDX-License-Identifier: MIT */

/*
 * One thread of libmicrohttpd's for all of at most SCRAPERS connections, each
 * dropped after IDLE_S without a byte, so that who never reads, or never asks,
 * costs no more than that.  A page in somebody's browser is kept out by the
 * name that it calls this host.
 */
#include "control/scrape.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "control/metrics.h"

enum { SCRAPERS = 16, IDLE_S = 5, MEMORY_MAX = 16 << 10 };

struct scrape {
	struct host *host;
	struct MHD_Daemon *http;
};

/* Takes @text over, which may be NULL. */
static enum MHD_Result reply(struct MHD_Connection *conn, unsigned status,
			     const char *type, char *text)
{
	enum MHD_Result sent;
	struct MHD_Response *r;

	if (!text)
		return MHD_NO;
	r = MHD_create_response_from_buffer(strlen(text), text,
					    MHD_RESPMEM_MUST_FREE);
	if (!r) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	sent = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return sent;
}

static enum MHD_Result refuse(struct MHD_Connection *conn, unsigned status,
			      const char *why)
{
	return reply(conn, status, "text/plain", strdup(why));
}

static enum MHD_Result answer(const struct scrape *s,
			      struct MHD_Connection *conn, const char *url)
{
	const char *name = MHD_lookup_connection_value(conn, MHD_HEADER_KIND,
						       MHD_HTTP_HEADER_HOST);
	char *text = NULL;
	struct error e;

	if (name && !text_is_loopback(name)) /* who gives none is no browser */
		return refuse(conn, MHD_HTTP_FORBIDDEN,
			      "this is read by its address alone\n");
	if (strcmp(url, "/metrics") != 0)
		return refuse(conn, MHD_HTTP_NOT_FOUND,
			      "there is /metrics, and nothing else\n");
	if (metrics_show(s->host, NULL, &text, &e) < 0)
		return refuse(conn, MHD_HTTP_SERVICE_UNAVAILABLE, e.text);
	return reply(conn, MHD_HTTP_OK, METRICS_TYPE, text);
}

/* As in control.c; a body is not waited for. */
/* NOLINTNEXTLINE(readability-function-size): the library's parameters */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *conn,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *data_len, void **state)
{
	(void)version, (void)data, (void)state;
	*data_len = 0;
	if (strcmp(method, "GET") != 0)
		return refuse(conn, MHD_HTTP_METHOD_NOT_ALLOWED,
			      "this can only be read\n");
	return answer(ctx, conn, url);
}

static int listen_at(const struct sockaddr_in *at, struct error *e)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int yes = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 ||
	    listen(fd, SCRAPERS) < 0)
		return error_sys(e, "listen on port %u for 'metrics' in [host]",
				 (unsigned)ntohs(at->sin_port));
	return take_fd(&fd);
}

int scrape_start(struct scrape **ret, struct host *h,
		 const struct sockaddr_in *at, struct error *e)
{
	struct scrape *s = calloc(1, sizeof(*s));
	int fd;

	if (!s)
		return error_set(e, ENOMEM, "no memory for /metrics");
	s->host = h;
	fd = listen_at(at, e);
	if (fd >= 0)
		s->http = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD |
						   MHD_USE_POLL | MHD_USE_ITC,
					   0, NULL, NULL, on_request, s,
					   MHD_OPTION_LISTEN_SOCKET, fd,
					   MHD_OPTION_CONNECTION_LIMIT,
					   (unsigned)SCRAPERS,
					   MHD_OPTION_CONNECTION_TIMEOUT,
					   (unsigned)IDLE_S,
					   MHD_OPTION_CONNECTION_MEMORY_LIMIT,
					   (size_t)MEMORY_MAX, MHD_OPTION_END);
	if (!s->http) {
		if (fd >= 0) {
			close(fd);
			error_set(e, EIO,
				  "the HTTP server for 'metrics' in "
				  "[host] did not start");
		}
		free(s);
		return error_code(e);
	}
	log_info("metrics on port %u", (unsigned)ntohs(at->sin_port));
	*ret = s;
	return 0;
}

void scrape_stop(struct scrape *s)
{
	if (!s)
		return;
	MHD_stop_daemon(s->http);
	free(s);
}
