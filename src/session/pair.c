/* SPDX-License-Identifier: MIT */
#include "session/pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "channel/secure.h"
#include "session/hello.h"
#include "trust/pairing.h"
#include "wire/reader.h"

enum {
	LENGTH_SIZE = 4,
	ANSWER_US = 15000000, /* it is on disk there before it comes */
	LINGER_US = 1000000,
};

/* --- bodies: a length of 4 bytes, then JSON */

static int body_send(struct channel *c, char *text, struct error *e)
{
	uint8_t length[LENGTH_SIZE];
	struct writer w = writer_to(length, sizeof(length));
	struct iovec iov[] = { { length, sizeof(length) },
			       { text, strlen(text) } };

	write_u32(&w, (uint32_t)strlen(text));
	return c->kind->write(c, iov, 2, e);
}

/* On the heap, with a NUL behind it. */
static int body_receive(char **ret, size_t *ret_len, struct channel *c,
			size_t most, uint64_t deadline_us, struct error *e)
{
	uint8_t length[LENGTH_SIZE];
	struct reader r = reader_of(length, sizeof(length));
	AUTO_FREE char *text = NULL;
	size_t len;

	if (channel_read_all(c, length, sizeof(length), deadline_us, e) < 0)
		return error_code(e);
	len = read_u32(&r);
	if (len == 0 || len > most)
		return error_set(e, EBADMSG,
				 "says %zu bytes about a pairing, and may say "
				 "%zu",
				 len, most);
	text = malloc(len + 1);
	if (!text)
		return error_set(e, ENOMEM, "no memory for a pairing");
	if (channel_read_all(c, text, len, deadline_us, e) < 0)
		return error_code(e);
	text[len] = '\0';
	*ret = take_ptr(&text);
	*ret_len = len;
	return 0;
}

/* --- the host that joins */

static int say_hello(struct channel *c, const char *own_name, struct error *e)
{
	const struct hello mine = hello_of(HELLO_PAIR, own_name);
	struct error ignored;
	struct hello theirs;

	/* Where that fails, what was received before says why. */
	hello_send(c, &mine, &ignored);
	if (hello_await(c, &theirs, e) < 0)
		return error_code(e);
	if (theirs.kind == HELLO_REFUSE)
		return error_set(e, EACCES, "%.240s", theirs.text);
	if (theirs.kind != HELLO_ACCEPT)
		return error_set(e, EBADMSG, "answers with hello %d",
				 theirs.kind);
	return 0;
}

static int ask(struct channel *c, const struct pair_request *rq,
	       struct pair_answer *ret, struct error *e)
{
	AUTO_FREE char *question = pair_request_text(rq);
	AUTO_FREE char *text = NULL;
	size_t len;
	int r;

	if (!question)
		return error_set(e, ENOMEM, "no memory for a pairing");
	r = body_send(c, question, e);
	explicit_bzero(question, strlen(question));
	if (r < 0)
		return r;
	if (body_receive(&text, &len, c, PAIRING_ANSWER_MAX,
			 clock_us() + ANSWER_US, e) < 0)
		return error_code(e);
	return pair_answer_parse(ret, text, len, e);
}

int pair_ask(struct channel **c, SSL_CTX *context,
	     const struct pair_request *rq, struct pair_answer *ret,
	     struct error *e)
{
	const struct secure_options o = { .context = context };
	int r = channel_secure(c, &o, clock_us() + HELLO_TIMEOUT_US, e);

	if (r < 0)
		return r;
	/* Without an invitation the handshake ends here, at the other side. */
	r = say_hello(*c, rq->name, e);
	if (r == -ENOKEY)
		return error_set(e, EACCES,
				 "host %s has no invitation open: run 'drover "
				 "trust invite' there, and use its token",
				 (*c)->identity);
	if (r < 0 || ask(*c, rq, ret, e) < 0)
		return error_in(e, "host %s", (*c)->identity);
	if (!ret->error[0])
		return 0;
	error_set(e, EACCES, "host %s says: %s", (*c)->identity, ret->error);
	pair_answer_done(ret);
	return error_code(e);
}

/* --- the host that has the CA's key */

static int send_answer(struct channel *c, const struct pair_answer *a,
		       struct error *e)
{
	AUTO_FREE char *text = pair_answer_text(a);
	uint8_t nothing;

	if (!text)
		return error_set(e, ENOMEM, "no memory for a pairing");
	if (body_send(c, text, e) < 0)
		return error_code(e);
	explicit_bzero(text, strlen(text));
	/* It has to arrive before the connection ends. */
	c->kind->finish(c);
	c->kind->read(c, &nothing, 1, clock_us() + LINGER_US, e);
	return 0;
}

static int serve(const struct pair_server *s, struct channel *c,
		 const char *text, size_t len, struct error *e)
{
	SCOPED(pair_request_done) struct pair_request rq = { 0 };
	SCOPED(pair_answer_done) struct pair_answer a = { 0 };
	struct error ignored;

	if (pair_request_parse(&rq, text, len, e) < 0)
		error_in(e, "a request to be let in");
	else if (s->admit(s->context, c, &rq, &a, e) == 0)
		return send_answer(c, &a, e);
	snprintf(a.error, sizeof(a.error), "%s", e->text);
	send_answer(c, &a, &ignored);
	return error_code(e);
}

int pair_serve(const struct pair_server *s, struct channel *c, struct error *e)
{
	const struct hello h = hello_of(HELLO_ACCEPT, s->own_name);
	AUTO_FREE char *text = NULL;
	size_t len;
	int r;

	if (hello_send(c, &h, e) < 0 ||
	    body_receive(&text, &len, c, PAIRING_REQUEST_MAX,
			 clock_us() + HELLO_TIMEOUT_US, e) < 0)
		return error_in(e, "%s", c->to);
	if (s->greeted)
		s->greeted(s->context);
	r = serve(s, c, text, len, e);
	if (text)
		explicit_bzero(text, len);
	return r < 0 ? error_in(e, "%s", c->to) : 0;
}
