/* SPDX-License-Identifier: MIT */
#include "host/membership.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/live.h"
#include "host/parts.h"
#include "host/terms.h"
#include "move/peer.h"
#include "nic/address.h"
#include "nic/networks.h"
#include "nic/watch.h"
#include "session/session.h"
#include "trust/authority.h"
#include "trust/list.h"

/* --- this host */

static int add_address(struct words *ret, const struct nic_address *a,
		       struct error *e)
{
	char text[NIC_ADDRESS_TEXT];

	nic_address_host(text, a);
	if (words_have(ret, text) || ret->count == MEMBER_ADDRESSES_MAX)
		return 0;
	return words_add(ret, text, e);
}

/* Those of the cards that moves may use. */
static int add_all(struct words *ret, struct host *h, int family,
		   struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(h->nics);
	char ignored[NIC_REASON];

	for (size_t i = 0; i < inv->count; i++) {
		const struct nic *n = &inv->at[i];

		for (size_t k = 0; k < n->addresses_count; k++) {
			const struct nic_address *a = &n->addresses[k];

			if (a->family != family || !nic_address_is_host(a) ||
			    !nic_usable(inv, n, ignored) ||
			    networks_rank(&now->networks, n->name, a) ==
				    RANK_NONE)
				continue;
			if (add_address(ret, a, e) < 0)
				return error_code(e);
		}
	}
	return 0;
}

int membership_self(struct host *h, struct member *ret, struct error *e)
{
	const struct words *listen = &h->settings->listen;
	struct member self = { .port = h->settings->port };
	struct nic_address a;
	int r = 0;

	snprintf(self.name, sizeof(self.name), "%s", h->settings->name);
	for (size_t i = 0; r == 0 && i < listen->count; i++) {
		if (nic_address_parse(&a, listen->at[i]) < 0)
			continue;
		r = nic_address_is_host(&a)
			    ? add_address(&self.addresses, &a, e)
			    : add_all(&self.addresses, h, a.family, e);
	}
	if (r < 0) {
		member_done(&self);
		return r;
	}
	*ret = self;
	return 0;
}

/* --- the others */

int membership_addresses(struct words *ret, const struct words *said,
			 struct error *e)
{
	char text[NIC_ADDRESS_TEXT];
	struct nic_address a;

	for (size_t i = 0; i < said->count; i++) {
		if (nic_address_parse(&a, said->at[i]) < 0 ||
		    !nic_address_is_host(&a))
			return error_set(e, EBADMSG,
					 "'%.60s' is not an address of a host",
					 said->at[i]);
		nic_address_host(text, &a);
		if (words_add(ret, text, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* Where it was reached comes first. */
static int put_peer(struct host *h, const struct member *m,
		    const char *reached_at, struct error *e)
{
	SCOPED(words_done) struct words addresses = { 0 };

	if (reached_at[0] && words_add(&addresses, reached_at, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < m->addresses.count; i++)
		if (strcmp(m->addresses.at[i], reached_at) != 0 &&
		    words_add(&addresses, m->addresses.at[i], e) < 0)
			return error_code(e);
	return live_put_peer(&h->live, m->name, &addresses, m->port, e);
}

/* A peer that has a section is left alone, unless it is one of ours and the
 * host is elsewhere now. */
static bool is_news(struct host *h, const struct members *before,
		    const struct member *m)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	const struct member *old = members_find(before, m->name);

	if (m->addresses.count == 0)
		return false;
	if (!settings_peer(now, m->name))
		return true;
	return live_has_peer_file(&h->live, m->name) && old &&
	       !member_same_place(old, m);
}

/* A host that has just joined is from now on what an administrator has written
 * for one of its name, here. */
static void say_whose(struct host *h, const struct member *old,
		      const struct member *m)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);

	if ((!old || old->removed_s) && settings_peer(now, m->name) &&
	    !live_has_peer_file(&h->live, m->name))
		log_warning("trust: host %s is one of this CA now, and has the "
			    "[peer %s] that was here already: see what that "
			    "allows",
			    m->name, m->name);
}

static int apply_one(struct host *h, const struct members *before,
		     const struct member *m, struct error *e)
{
	const struct member *old = members_find(before, m->name);

	if (!m->removed_s) {
		say_whose(h, old, m);
		return is_news(h, before, m) ? put_peer(h, m, "", e) : 0;
	}
	if (old && old->removed_s)
		return 0;
	log_info("trust: host %s was removed", m->name);
	return live_drop_peer(&h->live, m->name, e);
}

static int apply_partner(struct host *h, const struct members *now,
			 const struct partner *with, struct error *e)
{
	const struct member *m = members_find(now, with->name);

	if (!m)
		return error_set(e, EBADMSG,
				 "the list of hosts does not have host %s",
				 with->name);
	return put_peer(h, m, with->reached_at, e);
}

int membership_apply(struct host *h, const struct members *before,
		     const struct partner *with, struct error *e)
{
	SCOPED(members_done) struct members now = { 0 };
	struct error why;

	if (trust_members(h->trust, &now, e) < 0 ||
	    (with && apply_partner(h, &now, with, e) < 0))
		return error_code(e);
	for (size_t i = 0; i < now.count; i++) {
		const struct member *m = &now.at[i];

		if (!strcmp(m->name, h->settings->name) ||
		    (with && !strcmp(m->name, with->name)))
			continue;
		if (apply_one(h, before, m, &why) < 0)
			log_warning("trust: peer %s: %s", m->name, why.text);
	}
	return 0;
}

/* --- the list, from host to host */

void membership_tell(struct host *h)
{
	eventfd_write(h->news_fd, 1);
}

enum { ANSWER_US = 5000000 };

static int fill_in(struct host *h, const char *to, struct message *ret,
		   struct error *e)
{
	SCOPED(signed_list_done) struct signed_list l = { 0 };
	struct member self = { 0 };

	if (trust_list(h->trust, to, &l, e) < 0 ||
	    membership_self(h, &self, e) < 0)
		return error_code(e);
	*ret = (struct message){ .type = MESSAGE_MEMBERS,
				 .members = { .addresses = self.addresses,
					      .port = self.port } };
	if (!l.text)
		return 0;
	ret->members.signature = strdup(l.signature);
	if (!ret->members.signature)
		return error_set(e, ENOMEM, "no memory for the list of hosts");
	ret->members.list = take_ptr(&l.text);
	return 0;
}

/* Does the CA's host learn something from a list of before?  What it cannot
 * take must not keep others from its own. */
static bool learn(struct host *h, const struct signed_list *l)
{
	struct error why;
	int r = trust_merge_list(h->trust, l, clock_wall_s(), &why);

	if (r < 0)
		log_warning("trust: what another list of this CA says besides "
			    "is not in this one: %s",
			    why.text);
	if (r <= 0)
		return false;
	log_info("trust: the list of hosts has what another one of this CA "
		 "said besides");
	membership_tell(h);
	return true;
}

static int take(struct host *h, const struct message_members *m,
		struct error *e)
{
	SCOPED(members_done) struct members before = { 0 };
	struct signed_list l = { .text = m->list };
	bool merged;
	int news;

	if (!m->list || !m->signature)
		return 0;
	snprintf(l.signature, sizeof(l.signature), "%s", m->signature);
	if (trust_members(h->trust, &before, e) < 0)
		return error_code(e);
	news = trust_take_list(h->trust, &l, e);
	if (news < 0)
		return news;
	merged = learn(h, &l);
	return news || merged ? membership_apply(h, &before, NULL, e) : 0;
}

int membership_exchange(struct host *h, const char *peer, struct error *e)
{
	AUTO_MESSAGE struct message ours = { 0 }, theirs = { 0 };
	AUTO_TERMS struct terms t = terms_of(h);
	struct move_peer there;

	if (peer_of(&t, peer, &there, e) < 0 ||
	    fill_in(h, peer, &ours, e) < 0 ||
	    peer_ask(&t.host, &there, &ours, ANSWER_US, &theirs, e) < 0)
		return error_code(e);
	if (theirs.type != MESSAGE_MEMBERS)
		return error_set(e, EACCES, "host %s says: %.180s", peer,
				 theirs.type == MESSAGE_FAILED
					 ? theirs.failed.error
					 : "nonsense");
	return take(h, &theirs.members, e);
}

/* Where a member is now.  Only the CA's host may say so to others. */
static int note_place(struct host *h, const char *name,
		      const struct message_members *m, struct error *e)
{
	SCOPED(members_done) struct members before = { 0 };
	SCOPED(member_done) struct member at = { .port = m->port };
	int r;

	snprintf(at.name, sizeof(at.name), "%s", name);
	if (trust_members(h->trust, &before, e) < 0)
		return error_code(e);
	if (strcmp(before.host, h->settings->name) != 0 ||
	    m->addresses.count == 0 || at.port == 0)
		return 0;
	if (membership_addresses(&at.addresses, &m->addresses, e) < 0)
		return error_code(e);
	r = trust_note_place(h->trust, &at, clock_wall_s(), e);
	if (r <= 0)
		return r;
	log_info("trust: host %s is at other addresses", name);
	membership_tell(h);
	return membership_apply(h, &before, NULL, e);
}

int membership_answer(struct host *h, struct session *s,
		      const struct message *request, struct message *ret,
		      struct error *e)
{
	const char *who = session_proved(s);

	if (!who[0])
		return error_set(e, EACCES,
				 "the list of hosts does not travel in plain "
				 "text");
	if (take(h, &request->members, e) < 0 ||
	    note_place(h, who, &request->members, e) < 0 ||
	    fill_in(h, who, ret, e) < 0)
		return error_code(e);
	return 0;
}
