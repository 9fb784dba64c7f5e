/* SPDX-License-Identifier: MIT */
#include "session/hello.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "channel/channel.h"
#include "channel/secure.h"
#include "paths/calls.h"
#include "trust/context.h"
#include "trust/list.h"
#include "trust/trust.h"

const char *identity_proved(const struct identity *who)
{
	return who->trust ? who->peer : "";
}

struct hello hello_of(enum hello_kind kind, const char *text)
{
	struct hello h = { .version = WIRE_VERSION,
			   .lowest = WIRE_LOWEST,
			   .kind = kind };

	snprintf(h.text, sizeof(h.text), "%s", text);
	return h;
}

int hello_send(struct channel *c, const struct hello *h, struct error *e)
{
	uint8_t buf[HELLO_MAX];
	struct iovec iov = { buf, hello_write(h, buf) };

	return c->kind->write(c, &iov, 1, e);
}

int hello_receive(struct channel *c, uint8_t first, struct hello *ret,
		  struct error *e)
{
	uint64_t deadline = clock_us() + HELLO_TIMEOUT_US;
	uint8_t buf[HELLO_MAX] = { first };
	size_t len;

	if (channel_read_all(c, buf + 1, HELLO_HEAD_SIZE - 1, deadline, e) <
		    0 ||
	    hello_length(&len, buf, e) < 0 ||
	    channel_read_all(c, buf + HELLO_HEAD_SIZE, len - HELLO_HEAD_SIZE,
			     deadline, e) < 0)
		return error_code(e);
	return hello_read(ret, buf, len, e);
}

/* --- dialling */

int hello_await(struct channel *c, struct hello *ret, struct error *e)
{
	uint8_t first;

	if (channel_read_all(c, &first, 1, clock_us() + HELLO_TIMEOUT_US, e) <
	    0)
		return error_code(e);
	return hello_receive(c, first, ret, e);
}

/* The other end has to be the peer, whatever its address. */
static int secure(struct identity *who, struct channel **c, struct error *e)
{
	struct secure_options o = { 0 };
	int r;

	if (!who->trust)
		return 0;
	if (trust_context(who->trust, &o.context, e) < 0)
		return error_code(e);
	r = channel_secure(c, &o, clock_us() + HELLO_TIMEOUT_US, e);
	context_free(o.context);
	if (r < 0)
		return r;
	if (strcmp((*c)->identity, who->peer) != 0)
		return error_set(e, EACCES,
				 "%s is host %s, as its certificate says, and "
				 "not host %s: correct the addresses of [peer "
				 "%s]",
				 (*c)->to, (*c)->identity, who->peer,
				 who->peer);
	if (trust_check(who->trust, who->peer, (*c)->serial, e) < 0)
		return error_code(e);
	if (who->session == 0)
		who->serial = (*c)->serial;
	return 0;
}

static int ask(const struct identity *who, struct channel *c, struct hello *ret,
	       struct error *e)
{
	struct hello mine =
		hello_of(who->session ? HELLO_JOIN : HELLO_OPEN, who->own_name);

	mine.session = who->session;
	memcpy(mine.secret, who->secret, SECRET_JOINS);
	if (hello_send(c, &mine, e) < 0)
		return error_code(e);
	return hello_await(c, ret, e);
}

/* The peer of a session that goes on knows the secret's other part. */
static int check_join(const struct identity *who, const struct hello *theirs,
		      struct error *e)
{
	if (theirs->session == who->session &&
	    !memcmp(theirs->secret + SECRET_JOINS, who->secret + SECRET_JOINS,
		    SECRET_SIZE - SECRET_JOINS))
		return 0;
	return error_set(e, EBADMSG, "answers for another session than ours");
}

static int take_identity(struct identity *who, const struct hello *theirs,
			 struct error *e)
{
	if (theirs->session == 0)
		return error_set(e, EBADMSG, "accepts without a session");
	if (strcmp(theirs->text, who->peer) != 0)
		return error_set(e, PATH_REFUSED_THERE,
				 "calls itself %s: correct the name in [peer "
				 "%s] here, or 'name' in its drover.conf",
				 theirs->text, who->peer);
	who->session = theirs->session;
	memcpy(who->secret, theirs->secret, SECRET_SIZE);
	return 0;
}

int hello_greet(struct identity *who, struct channel **c, struct error *e)
{
	struct hello theirs = { 0 };
	uint16_t version;

	if (secure(who, c, e) < 0 || ask(who, *c, &theirs, e) < 0)
		return error_code(e);
	if (theirs.kind == HELLO_REFUSE)
		return error_set(e,
				 who->session && theirs.session == who->session
					 ? EACCES
					 : PATH_REFUSED_THERE,
				 "%s", theirs.text);
	if (theirs.kind != HELLO_ACCEPT)
		return error_set(e, EBADMSG, "answers with hello %d",
				 theirs.kind);
	if (hello_common_version(&version, &theirs, e) < 0)
		return error_code(e);
	return who->session ? check_join(who, &theirs, e)
			    : take_identity(who, &theirs, e);
}

/* --- accepting */

bool hello_joins(const struct identity *who, const char *proved,
		 const struct hello *h)
{
	uint8_t differ = strcmp(identity_proved(who), proved) != 0;

	for (size_t i = 0; i < SECRET_JOINS; i++)
		differ |= who->secret[i] ^ h->secret[i];
	return who->session == h->session && differ == 0;
}

int hello_accept(const struct identity *who, struct channel *c, size_t known,
		 struct error *e)
{
	struct hello h = hello_of(HELLO_ACCEPT, who->own_name);

	h.session = who->session;
	memcpy(h.secret + known, who->secret + known, SECRET_SIZE - known);
	return hello_send(c, &h, e);
}

void hello_refuse(uint64_t session, struct channel *c, const struct error *why)
{
	struct hello h = hello_of(HELLO_REFUSE, why->text);
	struct error ignored;

	h.session = session;
	hello_send(c, &h, &ignored);
	channel_free(c);
}
