/* SPDX-License-Identifier: MIT */

/* TLS handshakes whose flights were changed, in plain text or beneath their
 * encryption: whoever is let in is who his certificate says and has said what
 * was heard; all others are refused with a sentence. */
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

enum { DAY_S = 86400, MUTATION = 5, RECORDS = 8 };

enum proof { GOOD, OF_ANOTHER, EXPIRED, NOT_YET, NONE, PROOFS };

static struct {
	SSL_CTX *tested, *peer[PROOFS];
	unsigned long handshakes, let_in;
} world;

__attribute__((constructor)) static void make(void)
{
	struct certifier c = { 0 };
	int64_t now = time(NULL);

	certifier_init(&c);
	world.tested = certified_host(&c, &c.authority, "alpha", now - 10, 30);
	world.peer[GOOD] =
		certified_host(&c, &c.authority, "beta", now - 10, 30);
	world.peer[OF_ANOTHER] =
		certified_host(&c, &c.other, "beta", now - 10, 30);
	world.peer[EXPIRED] =
		certified_host(&c, &c.authority, "beta", now - 9 * DAY_S, 8);
	world.peer[NOT_YET] =
		certified_host(&c, &c.authority, "beta", now + DAY_S, 8);
	world.peer[NONE] = SSL_CTX_new(TLS_method());
	for (int i = 0; i < PROOFS; i++)
		peer_context(world.peer[i]);
	certifier_done(&c);
}

__attribute__((destructor)) static void end(void)
{
	fprintf(stderr, "%lu handshakes, of which %lu were let in\n",
		world.handshakes, world.let_in);
	SSL_CTX_free(world.tested);
	for (int i = 0; i < PROOFS; i++)
		SSL_CTX_free(world.peer[i]);
}

/* What is done to the flights. */
struct plan {
	const uint8_t *mutations;
	size_t count;
	unsigned record; /* the next one's number */
	bool to_client;  /* to whom an empty HelloRequest is nothing */
	bool altered;    /* something that both sides sum up */
};

static void replace(struct peer_record *r, size_t at, size_t n, uint8_t value)
{
	if (n > sizeof(r->body) - r->len)
		n = sizeof(r->body) - r->len;
	memmove(r->body + at + n, r->body + at, r->len - at);
	memset(r->body + at, value, n);
	r->len += n;
}

static bool mutate(struct peer_record *r, struct reader m)
{
	uint8_t how = read_u8(&m);
	size_t at = read_u16(&m), inside = r->len ? at % r->len : 0;
	uint8_t value = read_u8(&m);

	switch (how % 10) {
	case 0:
		r->body[inside] ^= value;
		break;
	case 1:
		r->len = inside;
		break;
	case 2:
		replace(r, inside, value, value);
		break;
	case 3:
		return false;
	case 4:
		r->type = value;
		break;
	case 5:
		r->version = (uint16_t)at;
		break;
	case 6:
		r->padding = at % 300;
		break;
	case 7: /* a message's length */
		if (r->len > 3)
			r->body[1 + value % 3] = (uint8_t)at;
		break;
	case 8:
		replace(r, inside, at % 8192, value);
		break;
	case 9:
		r->sealed = r->sealed && value % 2;
		break;
	}
	return true;
}

/* OpenSSL's clients skip an empty HelloRequest in a handshake, and leave it out
 * of the sum (RFC 5246, 7.4.1.1). */
static bool has_only_hello_requests_more(const struct peer_record *r,
					 const struct peer_record *before)
{
	static const uint8_t hello_request[4];
	size_t i = 0, j = 0;

	while (j < r->len) {
		if (i < before->len && r->body[j] == before->body[i]) {
			i++;
			j++;
		} else if (r->len - j >= sizeof(hello_request) &&
			   !memcmp(r->body + j, hello_request,
				   sizeof(hello_request))) {
			j += sizeof(hello_request);
		} else {
			return false;
		}
	}
	return i == before->len;
}

static bool is_altered(const struct plan *p, const struct peer_record *r,
		       const struct peer_record *before)
{
	if (r->type != before->type || r->sealed != before->sealed)
		return true;
	if (p->to_client && has_only_hello_requests_more(r, before))
		return false;
	return r->len != before->len ||
	       memcmp(r->body, before->body, r->len) != 0;
}

static bool change(void *context, struct peer_record *r)
{
	static struct peer_record before;
	struct plan *p = context;
	unsigned number = p->record++ % RECORDS;
	bool stays = true;

	before = *r;
	for (size_t i = 0; i < p->count && stays; i++) {
		struct reader m =
			reader_of(p->mutations + i * MUTATION, MUTATION);

		if (read_u8(&m) % RECORDS == number)
			stays = mutate(r, m);
	}
	if (before.type == PEER_HANDSHAKE &&
	    (!stays || is_altered(p, r, &before)))
		p->altered = true;
	return stays;
}

/* A record there and one back. */
static void talk(struct channel *c, struct tls_peer *p)
{
	static struct peer_record r;
	struct iovec iov = { (void *)(uintptr_t) "there", 5 };
	char buf[16];
	struct error e;

	p->established = true;
	assert(c->kind->write(c, &iov, 1, &e) == 0);
	assert(peer_read(p, buf, sizeof(buf)) == 5);
	r = (struct peer_record){ .type = PEER_DATA,
				  .sealed = true,
				  .version = 0x0303,
				  .len = 4,
				  .body = "back" };
	peer_send(p, &r);
	assert(c->kind->read(c, buf, sizeof(buf), 0, &e) == 4);
	assert(!memcmp(buf, "back", 4));
}

static void check_refusal(const struct plan *p, enum proof proof,
			  const struct error *e)
{
	static const char *const words[PROOFS] = {
		[OF_ANOTHER] = "is not of a CA",
		[EXPIRED] = "expired at",
		[NOT_YET] = "is not valid before",
		[NONE] = "no certificate"
	};

	assert(e->code > 0 && e->text[0]);
	/* Nothing was done to it, so it has a reason of its own. */
	if (p->count == 0) {
		assert(words[proof] && e->code == EACCES);
		assert(strstr(e->text, words[proof]));
	}
}

static void shake_hands(struct plan *plan, uint8_t kind, uint8_t chunk)
{
	enum proof proof = kind / 4 % PROOFS;
	struct secure_options o = { .context = world.tested,
				    .accepts = kind % 2 };
	struct error e = { 0 };
	struct channel *c;
	struct tls_peer p;
	int r;

	o.any = o.accepts && kind / 2 % 2;
	if (proof == NONE && !o.accepts)
		proof = GOOD; /* who accepts has a certificate */
	peer_init(&p, world.peer[proof], !o.accepts);
	plan->to_client = !o.accepts;
	p.change = change;
	p.context = plan;
	p.chunk = chunk;
	c = &p.base;
	world.handshakes++;
	r = channel_secure(&c, &o, USEC_NEVER, &e);
	assert(ERR_peek_error() == 0);
	if (r < 0) {
		check_refusal(plan, proof, &e);
	} else {
		assert(!plan->altered);
		assert(proof == GOOD || (proof == NONE && o.any));
		assert(!strcmp(c->identity, proof == GOOD ? "beta" : ""));
		talk(c, &p);
		world.let_in++;
		channel_free(c);
	}
	peer_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct plan plan = { 0 };

	if (len < 2)
		return 0;
	plan.mutations = data + 2;
	plan.count = (len - 2) / MUTATION;
	shake_hands(&plan, data[0], data[1]);
	return 0;
}
