/* SPDX-License-Identifier: MIT */
#include "host/pairing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"
#include "host/membership.h"
#include "host/parts.h"
#include "host/renew.h"
#include "nic/address.h"
#include "session/pair.h"
#include "trust/authority.h"
#include "trust/context.h"
#include "trust/list.h"
#include "trust/pairing.h"
#include "trust/trust.h"

enum { DIAL_US = 5000000, USUAL_PORT = 6600 };

/* --- how it stands */

int host_trust_show(struct host *h, struct trust_view *ret, struct error *e)
{
	SCOPED(members_done) struct members m = { 0 };
	struct trust_view v = { 0 };
	struct trust_facts f;

	if (trust_look(h->trust, clock_wall_s(), &f, e) < 0 ||
	    trust_members(h->trust, &m, e) < 0)
		return error_code(e);
	snprintf(v.name, sizeof(v.name), "%s", h->settings->name);
	if (f.joined) {
		v.joined = true;
		v.has_authority_key = f.is_authority;
		v.until_s = f.host.until_s;
		v.authority_until_s = f.authority.until_s;
		v.invitations = f.invitations;
		v.list_version = m.version;
		memcpy(v.authority, f.authority.name, sizeof(v.authority));
		memcpy(v.authority_sha256, f.authority.hash,
		       sizeof(v.authority_sha256));
		memcpy(v.authority_host, m.host, sizeof(v.authority_host));
	}
	*ret = v;
	return 0;
}

int host_trust_init(struct host *h, struct trust_view *ret, struct error *e)
{
	SCOPED(member_done) struct member self = { 0 };

	if (membership_self(h, &self, e) < 0 ||
	    trust_init(h->trust, &self, clock_wall_s(), e) < 0)
		return error_code(e);
	log_info("trust: host %s has a CA and a certificate of it",
		 h->settings->name);
	return host_trust_show(h, ret, e);
}

int host_trust_renew(struct host *h, struct trust_view *ret, struct error *e)
{
	struct trust_facts f;

	if (trust_look(h->trust, clock_wall_s(), &f, e) < 0)
		return error_code(e);
	if (!f.joined)
		return error_set(e, ENOENT,
				 "host %s has no certificate: run 'drover "
				 "trust init' or 'join'",
				 h->settings->name);
	if (renew_certificate(h, e) < 0)
		return error_code(e);
	return host_trust_show(h, ret, e);
}

/* --- invitations */

void invitation_view_done(struct invitation_view *v)
{
	explicit_bzero(v->token, sizeof(v->token));
	words_done(&v->addresses);
}

int host_trust_invite(struct host *h, const char *name,
		      struct invitation_view *ret, struct error *e)
{
	SCOPED(member_done) struct member self = { 0 };
	struct invitation_view v = { .until_s = clock_wall_s() + INVITATION_S };

	if (name[0] && text_check_name("host", name, e) < 0)
		return error_code(e);
	if (membership_self(h, &self, e) < 0 ||
	    trust_invite(h->trust, name, clock_wall_s(), v.token, e) < 0)
		return error_code(e);
	v.port = self.port;
	v.addresses = self.addresses;
	self.addresses = (struct words){ 0 };
	log_info("trust: an invitation%s%s is open for 15 minutes",
		 name[0] ? " for host " : "", name);
	*ret = v;
	return 0;
}

/* --- a host that joins, as the CA's host sees it */

/* Where it says that it is, which has to be a place; else where it comes from.
 * @with: the address that it has just used is known to work. */
static int read_addresses(struct member *ret, struct partner *with,
			  const struct channel *c, const struct words *said,
			  struct error *e)
{
	char from[NIC_ADDRESS_TEXT];

	if (membership_addresses(&ret->addresses, said, e) < 0)
		return error_code(e);
	nic_address_host(from, &c->remote);
	if (words_have(&ret->addresses, from))
		memcpy(with->reached_at, from, sizeof(from));
	return said->count == 0 ? words_add(&ret->addresses, from, e) : 0;
}

static int admit(struct host *h, struct partner *with, const struct channel *c,
		 const struct pair_request *rq, struct admitted *ret,
		 struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	SCOPED(member_done) struct member who = { .port = rq->port };
	struct admission of = { .request = rq->request,
				.is_peer = settings_peer(now, rq->name) };
	int r;

	snprintf(who.name, sizeof(who.name), "%s", rq->name);
	if (read_addresses(&who, with, c, &rq->addresses, e) < 0)
		return error_code(e);
	of.who = who;
	pair_request_secret(of.secret, rq);
	r = trust_admit(h->trust, &of, clock_wall_s(), ret, e);
	explicit_bzero(of.secret, sizeof(of.secret));
	return r;
}

int pairing_admit(struct host *h, const struct channel *c,
		  const struct pair_request *rq, struct pair_answer *ret,
		  struct error *e)
{
	SCOPED(members_done) struct members before = { 0 };
	SCOPED(admitted_done) struct admitted a = { 0 };
	struct partner with = { .name = rq->name };

	if (trust_members(h->trust, &before, e) < 0 ||
	    admit(h, &with, c, rq, &a, e) < 0 ||
	    membership_apply(h, &before, &with, e) < 0)
		return error_code(e);
	log_info("trust: host %s (%s) has joined", rq->name, c->to);
	memcpy(ret->signature, a.list.signature, sizeof(ret->signature));
	ret->certificate = take_ptr(&a.certificate);
	ret->authority = take_ptr(&a.authority);
	ret->members = take_ptr(&a.list.text);
	return 0;
}

/* --- and as it sees itself */

static int ask(struct host *h, struct channel **c, const struct token *t,
	       const char *request, struct pair_answer *ret, struct error *e)
{
	SCOPED(pair_request_done) struct pair_request rq = { 0 };
	SCOPED(member_done) struct member self = { 0 };
	char hash[CERTIFICATE_HASH];
	SSL_CTX *context;
	int r;

	if (membership_self(h, &self, e) < 0)
		return error_code(e);
	snprintf(rq.name, sizeof(rq.name), "%s", h->settings->name);
	pair_request_set_secret(&rq, t->secret);
	rq.port = self.port;
	rq.addresses = self.addresses;
	self.addresses = (struct words){ 0 };
	rq.request = strdup(request);
	if (!rq.request)
		return error_set(e, ENOMEM, "no memory for a request");
	memcpy(hash, t->host, sizeof(hash));
	if (context_pinned(&context, hash, e) < 0)
		return error_code(e);
	r = pair_ask(c, context, &rq, ret, e);
	context_free(context);
	return r;
}

/* The host that the token names says which CA it is; the list is the word of
 * that CA. */
static int take(struct host *h, const struct signed_key *own,
		const struct pair_answer *a, struct error *e)
{
	struct signed_list list = { .text = a->members };

	memcpy(list.signature, a->signature, sizeof(list.signature));
	if (trust_join(h->trust, a->authority, own, e) < 0 ||
	    trust_take_list(h->trust, &list, e) < 0)
		return error_code(e);
	return 0;
}

static int join_over(struct host *h, struct channel **c, const struct token *t,
		     struct error *e)
{
	SCOPED(signed_key_done) struct signed_key asked = { 0 };
	SCOPED(pair_answer_done) struct pair_answer a = { 0 };
	const struct members none = { 0 };
	struct partner with = { 0 };

	if (request_new(&asked, h->settings->name, e) < 0 ||
	    ask(h, c, t, asked.certificate, &a, e) < 0)
		return error_code(e);
	free(asked.certificate); /* the request; now what came of it */
	asked.certificate = take_ptr(&a.certificate);
	if (take(h, &asked, &a, e) < 0)
		return error_in(e, "host %s", (*c)->identity);
	with.name = (*c)->identity;
	nic_address_host(with.reached_at, &(*c)->remote);
	return membership_apply(h, &none, &with, e);
}

static int join(struct host *h, const struct joining *j, const struct token *t,
		struct error *e)
{
	const struct channel_way way = {
		.host = j->host,
		.port = (uint16_t)(j->port ? j->port : USUAL_PORT)
	};
	struct channel *c;
	int r;

	if (channel_kinds[0]->dial(&c, &way, clock_us() + DIAL_US, -1, e) < 0)
		return error_as(e, EHOSTUNREACH);
	r = join_over(h, &c, t, e);
	if (r == 0)
		log_info("trust: this host has joined host %s (%s)",
			 c->identity, c->to);
	channel_free(c);
	return r;
}

int host_trust_join(struct host *h, const struct joining *j,
		    struct trust_view *ret, struct error *e)
{
	struct token t;
	int r;

	if (token_parse(&t, j->token, e) < 0 ||
	    trust_check_nobody(h->trust, e) < 0)
		return error_code(e);
	r = join(h, j, &t, e);
	explicit_bzero(&t, sizeof(t));
	if (r < 0) {
		log_warning("trust: joining %s: %s", j->host, e->text);
		return r;
	}
	return host_trust_show(h, ret, e);
}
