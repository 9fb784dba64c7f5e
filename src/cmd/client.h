/* SPDX-License-Identifier: MIT */

/*
 * The client's side of the control API: one request, one JSON reply.  For one
 * thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct client;
struct error;
struct outcome;

/* Connects on the first call only. */
int client_new(struct client **ret, const char *socket_path, struct error *e);
void client_free(struct client *c);

/* No call takes longer; 0, as at first: as long as the service takes. */
void client_limit(struct client *c, long most_ms);

struct client_request {
	const char *verb;
	const char *path;
	const json_t *body; /* sent as JSON, or */
	const char *text;   /* sent as it is, or neither */
};

/* ENOTCONN: the service cannot be reached, the text is a whole sentence for
 * the user.  EREMOTEIO: it refused, the text is its own. */
int client_call(struct client *c, const struct client_request *rq, json_t **ret,
		struct error *e);

/* What the service meant by its refusal, after EREMOTEIO. */
const struct outcome *client_refusal(const struct client *c);
/* Does @r, of the last call, say that there is no such thing? */
bool client_found_none(const struct client *c, int r);

int client_get(struct client *c, const char *path, json_t **ret,
	       struct error *e);

/* What is no JSON; on the heap. */
int client_get_text(struct client *c, const char *path, char **ret,
		    struct error *e);

/* @body may be NULL. */
int client_post(struct client *c, const char *path, const json_t *body,
		json_t **ret, struct error *e);

/* @text with what a URL cannot hold escaped, for free(); NULL: no memory. */
char *client_escape(const char *text);

static inline void client_drop_json(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(client_drop_json)))
