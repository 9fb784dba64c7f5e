/* SPDX-License-Identifier: MIT */
#include "cmd/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "cmd/outcome.h"
#include "control/gate.h"

enum { REPLY_MAX = 16 << 20, URL_CAP = 1024 };

struct client {
	CURL *curl;
	char *socket_path;
	const struct outcome *refusal; /* of the last request that was */
	long most_ms;
};

struct reply {
	char *data;
	size_t len;
};

static void done_reply(struct reply *r)
{
	free(r->data);
}

static void free_list(struct curl_slist **l)
{
	curl_slist_free_all(*l);
}

int client_new(struct client **ret, const char *socket_path, struct error *e)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c) {
		c->curl = curl_easy_init();
		c->socket_path = strdup(socket_path);
	}
	if (!c || !c->curl || !c->socket_path) {
		client_free(c);
		return error_set(e, ENOMEM, "no memory for the HTTP client");
	}
	*ret = c;
	return 0;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	free(c->socket_path);
	free(c);
}

void client_limit(struct client *c, long most_ms)
{
	c->most_ms = most_ms;
}

static size_t take_reply(char *data, size_t size, size_t n, void *ctx)
{
	struct reply *r = ctx;
	char *grown;

	n *= size;
	if (n > REPLY_MAX - r->len)
		return 0;
	grown = realloc(r->data, r->len + n + 1);
	if (!grown)
		return 0;
	memcpy(grown + r->len, data, n);
	r->data = grown;
	r->len += n;
	r->data[r->len] = '\0';
	return n;
}

/* libcurl does not always say why a unix socket could not be reached. */
static int ask_why(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(to.sun_path))
		return ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return errno;
	return 0;
}

static int explain_unreachable(const struct client *c, struct error *e)
{
	static const struct {
		int code;
		const char *hint;
	} hints[] = {
		{ ENOENT, " (is the service running?)" },
		{ ECONNREFUSED, " (is the service running?)" },
		{ EACCES, " (only root and members of the group drover may; "
			  "those of drover-read may look)" },
	};
	int why = ask_why(c->socket_path);
	const char *hint = "";

	for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
		if (hints[i].code == why)
			hint = hints[i].hint;
	return error_set(e, ENOTCONN, "cannot reach droverd at %s: %s%s",
			 c->socket_path,
			 why ? strerrordesc_np(why) : "it does not answer",
			 hint);
}

static int explain_transfer(const struct client *c, CURLcode r, struct error *e)
{
	if (r == CURLE_COULDNT_CONNECT)
		return explain_unreachable(c, e);
	/* What a service that was just stopped looks like from here. */
	if (r == CURLE_GOT_NOTHING || r == CURLE_RECV_ERROR ||
	    r == CURLE_SEND_ERROR)
		return error_set(e, ENOTCONN,
				 "droverd at %s closed the connection before "
				 "it answered",
				 c->socket_path);
	return error_set(e, EIO, "talk to droverd at %s: %s", c->socket_path,
			 curl_easy_strerror(r));
}

/* Who may not use the control socket may have the one for looking. */
static bool try_to_look(struct client *c)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 8];
	char *copy;

	if (ask_why(c->socket_path) != EACCES)
		return false;
	gate_look_path(path, sizeof(path), c->socket_path);
	if (ask_why(path) != 0 || !(copy = strdup(path)))
		return false;
	free(c->socket_path);
	c->socket_path = copy;
	return true;
}

static int read_reply(struct client *c, json_t **ret, const struct reply *r,
		      long status, struct error *e)
{
	AUTO_JSON json_t *j = NULL;
	const char *why;

	if (r->data)
		j = json_loadb(r->data, r->len, JSON_DECODE_ANY, NULL);
	if (status >= 200 && status < 300 && j) {
		*ret = take_ptr(&j);
		return 0;
	}
	why = json_string_value(json_object_get(j, "error"));
	c->refusal =
		outcome_of_reply(json_string_value(json_object_get(j, "kind")),
				 status);
	if (why)
		return error_set(e, EREMOTEIO, "%s", why);
	return error_set(e, EPROTO,
			 "the service gave status %ld and no JSON: is it "
			 "droverd?",
			 status);
}

static int prepare(struct client *c, const struct client_request *rq,
		   const char *body, struct reply *into)
{
	char url[URL_CAP];
	CURL *h = c->curl;

	if (snprintf(url, sizeof(url), "http://drover%s", rq->path) >=
	    (int)sizeof(url))
		return -ENAMETOOLONG;
	curl_easy_reset(h);
	if (curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->socket_path) ||
	    curl_easy_setopt(h, CURLOPT_URL, url) ||
	    curl_easy_setopt(h, CURLOPT_PROXY, "") ||
	    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L) ||
	    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, c->most_ms) ||
	    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take_reply) ||
	    curl_easy_setopt(h, CURLOPT_WRITEDATA, into))
		return -ENOMEM;
	/* The fields set both the method and what comes with it. */
	if (strcmp(rq->verb, "GET") != 0 &&
	    (strcmp(rq->verb, "DELETE") != 0 || *body) &&
	    (curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, (long)strlen(body)) ||
	     curl_easy_setopt(h, CURLOPT_POSTFIELDS, body)))
		return -ENOMEM;
	if (curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, rq->verb))
		return -ENOMEM;
	return 0;
}

/* The answer, whatever it is. */
static int transfer(struct client *c, const struct client_request *rq,
		    struct reply *reply, long *ret_status, struct error *e)
{
	SCOPED(free_list) struct curl_slist *headers = NULL;
	AUTO_FREE char *packed = NULL;
	const char *body = rq->text ? rq->text : "";
	CURLcode r;

	if (rq->body) {
		packed = json_dumps(rq->body, JSON_COMPACT);
		if (!packed)
			return error_set(e, ENOMEM, "no memory for a request");
		body = packed;
	}
	headers = curl_slist_append(NULL, rq->text ? "Content-Type: text/plain"
						   : "Content-Type: "
						     "application/json");
	if (!headers || prepare(c, rq, body, reply) < 0 ||
	    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers))
		return error_set(e, ENOMEM, "cannot set up the request");
	r = curl_easy_perform(c->curl);
	if (r == CURLE_COULDNT_CONNECT && try_to_look(c) &&
	    curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH,
			     c->socket_path) == CURLE_OK)
		r = curl_easy_perform(c->curl);
	if (r != CURLE_OK)
		return explain_transfer(c, r, e);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, ret_status);
	return 0;
}

int client_call(struct client *c, const struct client_request *rq, json_t **ret,
		struct error *e)
{
	SCOPED(done_reply) struct reply reply = { 0 };
	long status = 0;

	if (transfer(c, rq, &reply, &status, e) < 0)
		return error_code(e);
	return read_reply(c, ret, &reply, status, e);
}

int client_get_text(struct client *c, const char *path, char **ret,
		    struct error *e)
{
	const struct client_request rq = { .verb = "GET", .path = path };
	SCOPED(done_reply) struct reply reply = { 0 };
	AUTO_JSON json_t *none = NULL;
	long status = 0;

	if (transfer(c, &rq, &reply, &status, e) < 0)
		return error_code(e);
	if (status != 200 || !reply.data)
		return read_reply(c, &none, &reply, status, e);
	*ret = take_ptr(&reply.data);
	return 0;
}

const struct outcome *client_refusal(const struct client *c)
{
	return c->refusal;
}

bool client_found_none(const struct client *c, int r)
{
	return r == -EREMOTEIO && c->refusal->status == STATUS_NOT_FOUND;
}

int client_get(struct client *c, const char *path, json_t **ret,
	       struct error *e)
{
	const struct client_request rq = { .verb = "GET", .path = path };

	return client_call(c, &rq, ret, e);
}

int client_post(struct client *c, const char *path, const json_t *body,
		json_t **ret, struct error *e)
{
	const struct client_request rq = {
		.verb = "POST",
		.path = path,
		.body = body,
	};

	return client_call(c, &rq, ret, e);
}

char *client_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0), *copy;

	if (!escaped)
		return NULL;
	copy = strdup(escaped);
	curl_free(escaped);
	return copy;
}
