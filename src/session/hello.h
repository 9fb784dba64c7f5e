/* SPDX-License-Identifier: MIT */

/*
 * Hellos: who is at the two ends of a new connection.
 *
 * The secret's first bytes prove who joins, the others who accepts: a host that
 * was dialled by mistake learns only the former, and so cannot pass for the
 * peer.
 *
 * Without locks: an identity changes only in the first hello of the side that
 * dials, before any other thread of the session runs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/hello.h"

struct channel;
struct error;
struct trust;

enum {
	HELLO_TIMEOUT_US = 5000000,
	SECRET_JOINS = SECRET_SIZE / 2,
};

struct identity {
	/* What this host shows; NULL: the session is in plain text. */
	struct trust *trust;
	uint64_t serial;  /* of the certificate by which the peer is known */
	uint64_t session; /* its number; 0: not known yet */
	uint8_t secret[SECRET_SIZE];
	char own_name[64], peer[64];
};

/* The name that the peer has to prove on each channel; "": the session is in
 * plain text. */
const char *identity_proved(const struct identity *who);

struct hello hello_of(enum hello_kind kind, const char *text);
int hello_send(struct channel *c, const struct hello *h, struct error *e);
/* @first: its first byte, which has been read. */
int hello_receive(struct channel *c, uint8_t first, struct hello *ret,
		  struct error *e);
/* On the dialling side: what the other one answers. */
int hello_await(struct channel *c, struct hello *ret, struct error *e);

/* On the dialling side: makes @c secure where that is asked for, and opens the
 * session, or joins it when it has a number.  -PATH_REFUSED_THERE with the
 * peer's own words. */
int hello_greet(struct identity *who, struct channel **c, struct error *e);

/* On the accepting side: may who sent it, and has @proved his name (or "" in
 * plain text), join? */
bool hello_joins(const struct identity *who, const char *proved,
		 const struct hello *h);
/* @known: bytes of the secret that the other side has already. */
int hello_accept(const struct identity *who, struct channel *c, size_t known,
		 struct error *e);
/* With a session's number only this connection is refused.  Takes @c over. */
void hello_refuse(uint64_t session, struct channel *c, const struct error *why);
