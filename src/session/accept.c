/* SPDX-License-Identifier: MIT */
#include "session/accept.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "channel/secure.h"
#include "lanes/lanes.h"
#include "nic/networks.h"
#include "nic/watch.h"
#include "session/begin.h"
#include "session/hello.h"
#include "session/pair.h"
#include "session/session.h"
#include "trust/authority.h"
#include "trust/context.h"
#include "trust/list.h"
#include "trust/trust.h"

/* --- what a channel may be */

/* A channel over a pair of cards keeps to the card here as well, in both
 * directions. */
static int check_card(const struct acceptor *a, const struct inventory *inv,
		      struct channel *c, struct error *e)
{
	const struct nic *own =
		inventory_by_address(inv, c->local.family, c->local.bytes);
	const struct nic *in = inventory_by_index(inv, c->arrived);
	char ignored[NIC_REASON];
	bool is_card;

	if (!own || own->kind == NIC_LOOPBACK ||
	    (in && in->kind == NIC_LOOPBACK))
		return 0;
	/* An address of the host itself, say on a dummy, has no card of its
	 * own: packets come and go by any. */
	is_card = nic_usable(inv, own, ignored);
	/* By a card of a VRF a connection comes in by the VRF. */
	if (is_card && in && in != own && in->ifindex != own->master)
		return error_set(e, EXDEV,
				 "%s belongs to %s of host %s, but the "
				 "connection came in over %s",
				 c->from, own->name, a->own_name, in->name);
	if (networks_rank(a->networks, own->name, &c->local) == RANK_NONE)
		return error_set(e, EACCES,
				 "%s (%s) is on no network over which host %s "
				 "takes moves",
				 c->from, own->name, a->own_name);
	return is_card ? c->kind->keep_to(c, own->name, e) : 0;
}

static int check_way(const struct acceptor *a, struct channel *c,
		     struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = NULL;

	if (!a->watch || c->local.family == 0)
		return 0;
	inv = nic_watch_get(a->watch);
	return check_card(a, inv, c, e);
}

/* A session may always have one: it lives by that.  The table's lock is held.
 */
static int check_room(const struct acceptor *a, const struct table_entry *s,
		      struct error *e)
{
	const char *peer = s->who->peer;
	unsigned own = table_channels_of(s);

	if (own == CHANNELS_MAX)
		return error_set(e, EBUSY,
				 "the session with %s has %d channels", peer,
				 CHANNELS_MAX);
	if (own == 0 || table_channels(a->table, peer) < a->host_channels_max)
		return 0;
	return error_set(e, EBUSY,
			 "the sessions with %s have %u channels, and one host "
			 "may have no more",
			 peer, a->host_channels_max);
}

/* @known: bytes of the secret that the other side has already. */
static int add(const struct table_entry *s, struct channel *c, size_t known,
	       struct error *e)
{
	if (hello_accept(s->who, c, known, e) < 0) {
		channel_free(c);
		return error_code(e);
	}
	return lanes_add(s->lanes, c, LANE_NO_OWNER, e);
}

/* --- joining */

/* One more channel.  A peer that missed the session's end hears of it here;
 * one that is ahead of us in noticing dead channels dials again.  With the
 * session's number only this connection is refused. */
static int join_one(const struct acceptor *a, const struct table_entry *s,
		    struct channel *c, struct error *e)
{
	if (session_check(s->session, e) < 0) {
		hello_refuse(0, c, e);
		return error_code(e);
	}
	if (check_way(a, c, e) < 0 || check_room(a, s, e) < 0) {
		hello_refuse(s->who->session, c, e);
		return error_code(e);
	}
	return add(s, c, SECRET_JOINS, e);
}

/* The table's lock keeps session_free() from taking the session away. */
static int join(const struct acceptor *a, const struct hello *h,
		struct channel *c, struct error *e)
{
	WITH_LOCK(&a->table->lock);

	for (struct table_entry *s = a->table->first; s; s = s->next)
		if (hello_joins(s->who, c->identity, h))
			return join_one(a, s, c, e);
	error_set(e, ENOENT,
		  "knows nothing of this session (has its droverd been "
		  "restarted?)");
	hello_refuse(0, c, e);
	return error_code(e);
}

/* --- opening */

/* Nobody joins it before its number and secret are told. */
static int begin(struct session **ret, const struct acceptor *a,
		 const struct hello *h, const struct channel *c,
		 struct error *e)
{
	const struct session_options o = {
		.own_name = a->own_name,
		.peer = h->text,
		.trust = c->identity[0] ? a->trust : NULL,
		.cards = { .watch = a->watch,
			   .networks = a->networks,
			   .rdma = a->rdma },
		.outage_limit_us = a->outage_limit_us,
	};
	struct session *s;

	if (session_begin(&s, &o, c->serial, e) < 0)
		return error_code(e);
	if (table_add(a->table, session_entry(s), &a->sessions, e) == 0) {
		if (session_start(s, e) == 0) {
			*ret = s;
			return 0;
		}
		table_remove(session_entry(s));
	}
	session_discard(s);
	return error_code(e);
}

/* Who has proved nothing learns nothing of this host's settings: all hear the
 * same. */
static int refuse_stranger(const struct hello *h, struct channel *c,
			   const struct error *why)
{
	struct error told = *why;

	if (!c->identity[0])
		error_set(&told, EACCES,
			  "takes plain text only from the hosts of which its "
			  "drover.conf says so, at their addresses: its log "
			  "says what is wrong with %.64s",
			  h->text);
	hello_refuse(0, c, &told);
	return error_code(why);
}

static int open_new(const struct acceptor *a, const struct hello *h,
		    struct channel *c, struct error *e)
{
	struct session *s;

	if (a->knows && a->knows(a->context, h->text, c->identity[0], e) < 0)
		return refuse_stranger(h, c, e);
	if (a->admit(a->context, h->text, c->identity[0], e) < 0 ||
	    begin(&s, a, h, c, e) < 0) {
		hello_refuse(0, c, e);
		return error_code(e);
	}
	if (add(session_entry(s), c, 0, e) < 0) {
		session_free(s);
		return error_code(e);
	}
	a->opened(a->context, s);
	return 0;
}

/* --- a fresh connection */

/* Who is at the other end of a connection, as far as that is proved. */
enum proof {
	PROOF_PLAIN, /* it speaks no TLS */
	PROOF_NONE,  /* it does, and has shown no certificate */
	PROOF_NAME,
};

/* TLS where the other side speaks it; @ret_first is the first byte that it says
 * then.  What it says before has been looked at only for that. */
static int open_connection(const struct acceptor *a, struct channel **c,
			   uint8_t *ret_first, enum proof *ret, struct error *e)
{
	const uint64_t deadline = clock_us() + HELLO_TIMEOUT_US;
	struct secure_options o = { .accepts = true,
				    .first = ret_first,
				    .first_len = 1 };
	int r;

	*ret = PROOF_PLAIN;
	if (channel_read_all(*c, ret_first, 1, deadline, e) < 0)
		return error_code(e);
	if (!secure_is_tls(*ret_first))
		return 0;
	if (!a->trust)
		return error_set(e, ENOENT, "host %s speaks no TLS",
				 a->own_name);
	if (trust_context(a->trust, &o.context, e) < 0)
		return error_code(e);
	o.any = a->pair && trust_takes_strangers(a->trust, clock_wall_s());
	r = channel_secure(c, &o, deadline, e);
	context_free(o.context);
	*ret = (*c)->identity[0] ? PROOF_NAME : PROOF_NONE;
	return r < 0 ? r : channel_read_all(*c, ret_first, 1, deadline, e);
}

/* Without a certificate a host asks for one, and for nothing else; with one, or
 * in plain text, it does not. */
static int check_proof(const struct channel *c, const struct hello *h,
		       enum proof proof, struct error *e)
{
	if ((h->kind == HELLO_PAIR) == (proof == PROOF_NONE))
		return 0;
	if (proof == PROOF_NONE)
		return error_set(e, EACCES,
				 "%s has shown no certificate, and wants more "
				 "than one",
				 c->to);
	return error_set(e, EACCES, "%s asks for a certificate %s", c->to,
			 proof == PROOF_NAME ? "and has one" : "in plain text");
}

/* A hello has the name that the connection has proved. */
static int check_name(const struct channel *c, const struct hello *h,
		      struct error *e)
{
	if (!c->identity[0] || !strcmp(c->identity, h->text))
		return 0;
	return error_set(e, EACCES,
			 "host %s, as its certificate says, calls itself %s: "
			 "correct 'name' in its drover.conf",
			 c->identity, h->text);
}

static int check_hello(const struct acceptor *a, const struct channel *c,
		       const struct hello *h, struct error *e)
{
	uint16_t version;

	if (hello_common_version(&version, h, e) < 0)
		return error_set(e, e->code,
				 "speaks wire versions "
				 "%d to %d, this host %u to %u: install the "
				 "same version of Drover on both",
				 WIRE_LOWEST, WIRE_VERSION, h->lowest,
				 h->version);
	if (c->identity[0] &&
	    trust_check(a->trust, c->identity, c->serial, e) < 0)
		return error_code(e);
	return check_name(c, h, e);
}

static void greeted(const struct acceptor *a)
{
	if (a->greeted)
		a->greeted(a->context);
}

/* What it asks for is a part of saying who it is.  Takes @c over. */
static int pair(const struct acceptor *a, struct channel *c, struct error *e)
{
	const struct pair_server s = { .own_name = a->own_name,
				       .admit = a->pair,
				       .greeted = a->greeted,
				       .context = a->context };
	int r = pair_serve(&s, c, e);

	greeted(a);
	channel_free(c);
	return r;
}

int session_accept(const struct acceptor *a, struct channel *c, struct error *e)
{
	enum proof proof;
	struct hello h;
	uint8_t first;
	int r = open_connection(a, &c, &first, &proof, e);

	if (r >= 0)
		r = hello_receive(c, first, &h, e);
	if (r < 0) {
		greeted(a);
		error_in(e, "%s", c->to);
		channel_free(c);
		return error_code(e);
	}
	r = check_proof(c, &h, proof, e);
	if (r >= 0)
		r = check_hello(a, c, &h, e);
	if (r >= 0 && h.kind == HELLO_PAIR)
		return pair(a, c, e);
	greeted(a);
	if (r < 0) {
		hello_refuse(0, c, e);
		return error_code(e);
	}
	if (h.kind == HELLO_JOIN)
		return join(a, &h, c, e);
	if (h.kind == HELLO_OPEN)
		return open_new(a, &h, c, e);
	error_set(e, EBADMSG, "%s: hello of kind %d", c->to, h.kind);
	hello_refuse(0, c, e);
	return error_code(e);
}
