/* SPDX-License-Identifier: MIT */

/*
 * One lock for the client and the kept replies: while droverd is asked, others
 * wait for it, at most ANSWER_MS, and find in most cases that the answer is
 * theirs too.  At most KEPT replies are held, the oldest goes first.
 */
#include "web/upstream.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "cmd/client.h"
#include "cmd/outcome.h"
#include "web/admit.h"
#include "web/refusal.h"

enum {
	KEEP_MS = 400, /* less than a page waits between two looks */
	ANSWER_MS = 5000,
	KEPT = 48,
	KEPT_MAX = 256 << 10, /* bytes of one that is kept */
};

struct kept {
	char call[WEB_CALL_CAP]; /* "": none */
	struct upstream_reply reply;
	uint64_t at_us;
};

struct upstream {
	pthread_mutex_t lock; /* guards all below */
	struct client *client;
	struct kept kept[KEPT];
};

struct upstream *upstream_new(const char *socket)
{
	struct upstream *u = calloc(1, sizeof(*u));
	struct error e;

	if (!u || client_new(&u->client, socket, &e) < 0) {
		free(u);
		return NULL;
	}
	client_limit(u->client, ANSWER_MS);
	pthread_mutex_init(&u->lock, NULL);
	return u;
}

void upstream_free(struct upstream *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < KEPT; i++)
		free(u->kept[i].reply.text);
	client_free(u->client);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

/* As droverd said it, as far as it told. */
static void explain(struct upstream_reply *ret, const struct upstream *u,
		    const struct error *e)
{
	const char *kind = "failed";

	ret->status = 502;
	if (e->code == EREMOTEIO) {
		kind = client_refusal(u->client)->kind;
		if (client_refusal(u->client)->status == STATUS_NOT_FOUND)
			ret->status = 404;
	} else if (e->code == ENOTCONN) {
		kind = outcome_of_code(-ENOTCONN)->kind;
		ret->status = 503;
	}
	ret->text = web_refusal(e->text, kind);
}

/* That of @call, or else the one that is to give way. */
static struct kept *find(struct upstream *u, const char *call)
{
	struct kept *oldest = &u->kept[0];

	for (size_t i = 0; i < KEPT; i++) {
		if (!strcmp(u->kept[i].call, call))
			return &u->kept[i];
		if (u->kept[i].at_us < oldest->at_us)
			oldest = &u->kept[i];
	}
	return oldest;
}

static void keep(struct kept *k, const char *call,
		 const struct upstream_reply *r)
{
	free(k->reply.text);
	*k = (struct kept){ .reply.status = r->status };
	if (!r->text || strlen(r->text) > KEPT_MAX ||
	    !(k->reply.text = strdup(r->text)))
		return;
	memcpy(k->call, call, strlen(call) + 1);
	k->at_us = clock_us();
}

void upstream_get(struct upstream_reply *ret, struct upstream *u,
		  const char *call)
{
	WITH_LOCK(&u->lock);
	struct kept *k = find(u, call);
	struct error e;

	*ret = (struct upstream_reply){ .status = 200 };
	if (!strcmp(k->call, call) &&
	    clock_us() - k->at_us < KEEP_MS * USEC_PER_MS) {
		ret->status = k->reply.status;
		ret->text = strdup(k->reply.text);
		return;
	}
	if (client_get_text(u->client, call, &ret->text, &e) < 0)
		explain(ret, u, &e);
	keep(k, call, ret);
}
