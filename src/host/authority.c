/* SPDX-License-Identifier: MIT */
#include "host/authority.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/membership.h"
#include "host/parts.h"
#include "trust/list.h"

enum { ASK_US = 15000000 };

void member_view_done(struct member_view *v)
{
	words_done(&v->addresses);
}

void member_views_done(struct member_views *v)
{
	for (size_t i = 0; i < v->count; i++)
		member_view_done(&v->at[i]);
	free(v->at);
	*v = (struct member_views){ 0 };
}

/* --- the list */

/* Takes @m's addresses over. */
static void fill_in(struct member_view *ret, const struct settings *s,
		    struct member *m, const char *authority)
{
	*ret = (struct member_view){
		.addresses = m->addresses,
		.port = m->port,
		.until_s = m->until_s,
		.removed_s = m->removed_s,
		.removed = m->removed_s != 0,
		.has_authority_key = !strcmp(m->name, authority),
		.peer = settings_peer(s, m->name) != NULL,
	};
	memcpy(ret->name, m->name, sizeof(ret->name));
	m->addresses = (struct words){ 0 };
}

int host_trust_members(struct host *h, struct member_views *ret,
		       struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	SCOPED(members_done) struct members m = { 0 };
	struct member_views v = { 0 };

	if (trust_members(h->trust, &m, e) < 0)
		return error_code(e);
	v.at = calloc(m.count + 1, sizeof(*v.at));
	if (!v.at)
		return error_set(e, ENOMEM, "no memory for the list of hosts");
	for (; v.count < m.count; v.count++)
		fill_in(&v.at[v.count], now, &m.at[v.count], m.host);
	*ret = v;
	return 0;
}

static int show_one(struct host *h, const char *name, struct member_view *ret,
		    struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	SCOPED(members_done) struct members m = { 0 };

	if (trust_members(h->trust, &m, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < m.count; i++) {
		if (strcmp(m.at[i].name, name) != 0)
			continue;
		fill_in(ret, now, &m.at[i], m.host);
		return 0;
	}
	return error_set(e, ENOENT, "there is no host %s", name);
}

int host_trust_remove(struct host *h, const char *name, struct member_view *ret,
		      struct error *e)
{
	SCOPED(members_done) struct members before = { 0 };

	if (trust_members(h->trust, &before, e) < 0 ||
	    trust_remove(h->trust, name, clock_wall_s(), e) < 0 ||
	    membership_apply(h, &before, NULL, e) < 0)
		return error_code(e);
	membership_tell(h);
	return show_one(h, name, ret, e);
}

/* --- the key */

int host_trust_export(struct host *h, struct trust_authority *ret,
		      struct error *e)
{
	if (trust_export(h->trust, ret, e) < 0)
		return error_code(e);
	log_warning("trust: the CA's key was exported");
	return 0;
}

int host_trust_release(struct host *h, struct error *e)
{
	if (trust_release(h->trust, e) < 0)
		return error_code(e);
	log_info("trust: the CA's key is no longer on this host");
	return 0;
}

/* What others know, before a new list is signed; who is not heard soon says it
 * later. */
static void ask_all(struct host *h)
{
	AUTO_SETTINGS struct settings *s = live_now(&h->live);
	const uint64_t until_us = clock_us() + ASK_US;
	struct error why;

	for (size_t i = 0; i < s->peers.count && clock_us() < until_us; i++) {
		const struct peer *p = s->peers.at[i];

		if (p->tls && membership_exchange(h, p->name, &why) < 0)
			log_info("trust: host %s does not say which list of "
				 "hosts it has: %s",
				 p->name, why.text);
	}
}

int host_trust_import(struct host *h, const struct trust_authority *a,
		      struct error *e)
{
	SCOPED(members_done) struct members before = { 0 };

	ask_all(h);
	if (trust_members(h->trust, &before, e) < 0 ||
	    trust_import(h->trust, a, clock_wall_s(), e) < 0)
		return error_code(e);
	log_info("trust: this host has the CA's key now");
	membership_tell(h);
	return membership_apply(h, &before, NULL, e);
}
