/* SPDX-License-Identifier: MIT */

/* Records behind a handshake, from a peer that has the keys and means harm, or
 * from somebody on the way: what is read is what the peer sent, in its order,
 * up to the first record that is none, and nothing after it. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/error.h"
#include "certified.h"
#include "channel/secure.h"
#include "tls_peer.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { KEY_UPDATE = 24, RECORDS_MOST = 4096 };

static struct {
	SSL_CTX *tested, *peer;
	unsigned long handshakes, records, hostile;
} world;

__attribute__((constructor)) static void make(void)
{
	struct certifier c = { 0 };
	int64_t from = time(NULL) - 10;

	certifier_init(&c);
	world.tested = certified_host(&c, &c.authority, "alpha", from, 30);
	world.peer = certified_host(&c, &c.authority, "beta", from, 30);
	peer_context(world.peer);
	certifier_done(&c);
}

__attribute__((destructor)) static void end(void)
{
	fprintf(stderr,
		"%lu records, %lu of them hostile, behind %lu "
		"handshakes\n",
		world.records, world.hostile, world.handshakes);
	SSL_CTX_free(world.tested);
	SSL_CTX_free(world.peer);
}

struct talk {
	struct channel *c;
	struct tls_peer peer;
	uint64_t sent, got; /* bytes that are to arrive, and did */
	/* The connection must break now; it may, by what a peer says that
	 * follows no rule. */
	bool broken, doubtful;
	bool ended; /* the tested end has read an error or the end */
};

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(at * 2654435761U >> 13);
}

/* --- what the tested end reads */

static void read_all(struct talk *t)
{
	static uint8_t buf[20000];
	struct error e = { 0 };
	ssize_t n;

	while ((n = t->c->kind->read(t->c, buf, sizeof(buf), 0, &e)) > 0) {
		assert(!t->ended);
		for (ssize_t i = 0; i < n; i++)
			assert(buf[i] == byte_at(t->got + (uint64_t)i));
		t->got += (uint64_t)n;
	}
	assert(ERR_peek_error() == 0);
	assert(t->got <= t->sent);
	if (n != -EAGAIN)
		t->ended = true;
	if (n < 0 && n != -EAGAIN)
		assert(e.code == -n && e.text[0]);
	assert(t->broken ? t->ended || n == -EAGAIN
			 : t->doubtful || (n == -EAGAIN && t->got == t->sent));
}

/* What it says meanwhile arrives, whatever it has been told. */
static void answer(struct talk *t, uint8_t len)
{
	uint8_t said[256], heard[256];
	struct iovec iov = { said, len };
	struct error e = { 0 };
	int n = 0, more;

	memset(said, len, sizeof(said));
	if (t->c->kind->write(t->c, &iov, 1, &e) < 0) {
		assert((t->broken || t->doubtful) && e.text[0]);
		return;
	}
	while ((more = peer_read(&t->peer, heard + n,
				 sizeof(heard) - (size_t)n)) > 0)
		n += more;
	if (t->broken || t->doubtful)
		return; /* the alert came first */
	assert(more == 0 && n == len && !memcmp(said, heard, len));
}

/* --- what the peer sends */

static void send_data(struct talk *t, struct peer_record *r, struct reader *in)
{
	r->len = read_u16(in) % (16384 + 1);
	r->padding = read_u8(in);
	/* The content's type is one byte more. */
	if (r->len + r->padding > 16384)
		r->padding = 16384 - r->len;
	for (size_t i = 0; i < r->len; i++)
		r->body[i] = byte_at(t->sent + i);
	peer_send(&t->peer, r);
	if (!t->broken)
		t->sent += r->len;
}

/* Of any kind, with any content. */
static void send_any(struct talk *t, struct peer_record *r, struct reader *in)
{
	size_t len = read_u8(in);
	const void *body = reader_take(in, len);

	r->type = read_u8(in);
	/* With 0 the body's end says what it is. */
	if (!body || r->type == PEER_DATA || r->type == 0)
		return;
	r->len = len;
	memcpy(r->body, body, len);
	peer_send(&t->peer, r);
	t->doubtful = true;
}

/* One that begins like a message that may come, or must not. */
static void send_message(struct talk *t, struct peer_record *r,
			 struct reader *in)
{
	size_t len = read_u16(in) % 16000;
	uint8_t kind = read_u8(in);

	r->type = PEER_HANDSHAKE;
	r->len = 4 + len;
	memset(r->body, read_u8(in), r->len);
	r->body[0] = kind;
	r->body[1] = 0;
	r->body[2] = (uint8_t)(len >> 8);
	r->body[3] = (uint8_t)len;
	peer_send(&t->peer, r);
	t->doubtful = true;
}

static void send_new_keys(struct talk *t, struct peer_record *r,
			  struct reader *in)
{
	const uint8_t message[] = { KEY_UPDATE, 0, 0, 1, read_u8(in) % 2 };

	r->type = PEER_HANDSHAKE;
	r->len = sizeof(message);
	memcpy(r->body, message, sizeof(message));
	peer_send(&t->peer, r);
	peer_new_keys(&t->peer);
}

static void send_plain(struct talk *t, struct peer_record *r, struct reader *in)
{
	r->type = read_u8(in);
	r->sealed = false;
	r->len = read_u8(in);
	memset(r->body, r->type, r->len);
	peer_send(&t->peer, r);
	t->broken = true;
}

static void send_too_long(struct talk *t, struct peer_record *r,
			  struct reader *in)
{
	r->len = 16385 + read_u8(in);
	memset(r->body, 0, r->len);
	peer_send(&t->peer, r);
	t->broken = true;
}

static void send_nothing_inside(struct talk *t, struct peer_record *r,
				struct reader *in)
{
	r->type = 0;
	r->padding = read_u16(in) % 16384;
	peer_send(&t->peer, r);
	t->broken = true;
}

/* On the way: one byte becomes another one. */
static void damage(struct talk *t, struct peer_record *r, struct reader *in)
{
	uint64_t sent = t->sent;
	size_t len, at;
	uint8_t *bytes, flip;

	send_data(t, r, in);
	t->sent = sent;
	bytes = peer_last(&t->peer, &len);
	at = read_u16(in) % len;
	flip = read_u8(in);
	bytes[at] ^= flip ? flip : 1;
	t->broken = true;
}

static void twice(struct talk *t, struct peer_record *r, struct reader *in)
{
	send_data(t, r, in);
	peer_again(&t->peer);
	t->broken = true;
}

/* One is missing: it is sealed, and does not come. */
static void missing(struct talk *t, struct peer_record *r, struct reader *in)
{
	uint64_t sent = t->sent;

	(void)r, (void)in;
	t->peer.data.number++;
	send_data(t, r, in);
	t->sent = sent;
	t->broken = true;
}

static const struct {
	void (*send)(struct talk *t, struct peer_record *r, struct reader *in);
	bool hostile;
} ways[] = {
	{ send_data, false }, { send_new_keys, false },
	{ send_any, true },   { send_message, true },
	{ send_plain, true }, { send_too_long, true },
	{ damage, true },     { send_nothing_inside, true },
	{ twice, true },      { missing, true },
};

static void one(struct talk *t, struct reader *in)
{
	static struct peer_record r;
	uint8_t how = read_u8(in);

	/* The low half says what comes, so that most are data. */
	how = how < 96 ? how % 2 : how % (sizeof(ways) / sizeof(ways[0]));
	r.type = PEER_DATA;
	r.sealed = true;
	r.version = 0x0303;
	r.len = r.padding = 0;
	ways[how].send(t, &r, in);
	world.records++;
	world.hostile += ways[how].hostile;
}

static void run(struct talk *t, struct reader *in)
{
	for (int i = 0; i < RECORDS_MOST && !in->bad; i++) {
		one(t, in);
		/* Several lie there at once, or one. */
		if (read_u8(in) % 4)
			continue;
		read_all(t);
		answer(t, read_u8(in));
		if (t->ended)
			break;
	}
	read_all(t);
	/* Nothing more comes out of one that is broken. */
	if (t->ended)
		read_all(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct reader in = reader_of(data, len);
	uint8_t kind = read_u8(&in);
	struct secure_options o = { .context = world.tested,
				    .accepts = kind % 2,
				    .key_update_bytes = kind % 4 ? 0 : 300 };
	struct talk t = { 0 };
	struct error e;

	peer_init(&t.peer, world.peer, !o.accepts);
	t.c = &t.peer.base;
	assert(channel_secure(&t.c, &o, USEC_NEVER, &e) == 0);
	assert(peer_has_keys(&t.peer));
	t.peer.established = true;
	t.peer.chunk = read_u8(&in) * 17;
	world.handshakes++;
	run(&t, &in);
	t.c->kind->finish(t.c);
	channel_free(t.c);
	peer_done(&t.peer);
	return 0;
}
