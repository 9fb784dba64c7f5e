/* SPDX-License-Identifier: MIT */

/*
 * Pairing over a connection: a host that has no certificate asks the one that
 * has the CA's key for one.  docs/wire.md, "Pairing".
 *
 * Both sides run in one thread, wait for a few seconds at most, and say nothing
 * else on the connection.
 */
#pragma once

struct channel;
struct error;
struct pair_answer;
struct pair_request;
typedef struct ssl_ctx_st SSL_CTX;

/* On the side that dialled: makes @c secure with @context, which knows whom to
 * believe, and asks.  The name that the other side has proved is then that of
 * the channel.  -EACCES with its own words where it refuses. */
int pair_ask(struct channel **c, SSL_CTX *context,
	     const struct pair_request *rq, struct pair_answer *ret,
	     struct error *e);

/* On the side that accepted, after the hello. */
struct pair_server {
	const char *own_name;
	/* Fills in @ret, or @e with a sentence, which the other side hears. */
	int (*admit)(void *context, const struct channel *c,
		     const struct pair_request *rq, struct pair_answer *ret,
		     struct error *e);
	/* The request has come; may be NULL. */
	void (*greeted)(void *context);
	void *context;
};

int pair_serve(const struct pair_server *s, struct channel *c, struct error *e);
