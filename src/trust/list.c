/* SPDX-License-Identifier: MIT */
#include "trust/list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/shape.h"
#include "trust/vault.h"

/* Both are taken over; they are the same in two forms. */
static void replace_list(struct trust *s, struct members *m,
			 struct signed_list *l)
{
	members_done(&s->members);
	signed_list_done(&s->list);
	s->members = *m;
	s->list = *l;
	*m = (struct members){ 0 };
	*l = (struct signed_list){ 0 };
	atomic_fetch_add(&s->generation, 1);
}

void list_forget(struct trust *s)
{
	struct members none = { 0 };
	struct signed_list nothing = { 0 };

	replace_list(s, &none, &nothing);
}

static int save_list(struct trust *s, const struct signed_list *l,
		     struct error *e)
{
	AUTO_FREE char *text = shape_file_text(&signed_list_shape, l);

	if (!text)
		return error_set(e, ENOMEM, "no memory for the list of hosts");
	return vault_save(s, "members.json", text, VAULT_PRIVATE, e);
}

/* What is in it, once the CA is known to have said so. */
static int read_list(const struct trust *s, struct members *ret,
		     const struct signed_list *l, struct error *e)
{
	AUTO_FREE char *authority = NULL;

	if (vault_load(s, "authority.pem", &authority, e) < 0)
		return error_code(e);
	if (signature_check(l->signature, authority, l->text, e) < 0)
		return error_in(e, "the list of hosts");
	return members_parse(ret, l->text, e);
}

int trust_load_list(struct trust *s, struct error *e)
{
	SCOPED(signed_list_done) struct signed_list l = { 0 };
	AUTO_FREE char *text = NULL;
	struct members m;
	int r;

	WITH_LOCK(&s->lock);

	r = vault_load(s, "members.json", &text, e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (shape_parse(&signed_list_shape, &l, text, strlen(text),
			SHAPE_MESSAGE, e) < 0 ||
	    read_list(s, &m, &l, e) < 0)
		return error_in(e,
				"%s/members.json: move it away, and it is "
				"fetched anew",
				s->folder);
	replace_list(s, &m, &l);
	return 0;
}

int trust_take_list(struct trust *s, const struct signed_list *l,
		    struct error *e)
{
	SCOPED(signed_list_done) struct signed_list fresh = { 0 };
	struct members m;

	WITH_LOCK(&s->lock);

	if (read_list(s, &m, l, e) < 0)
		return error_code(e);
	if (m.version <= s->members.version) {
		members_done(&m);
		return 0;
	}
	if (signed_list_copy(&fresh, l, e) < 0 || save_list(s, l, e) < 0) {
		members_done(&m);
		return error_code(e);
	}
	replace_list(s, &m, &fresh);
	return 1;
}

int list_edit(const struct trust *s, struct members *ret, struct error *e)
{
	return shape_copy(&members_shape, ret, &s->members, e);
}

int list_publish(struct trust *s, const struct signed_key *ca,
		 struct members *next, int64_t now_s, struct error *e)
{
	SCOPED(signed_list_done) struct signed_list l = { 0 };

	members_forget_old(next, now_s);
	if (next->version < s->members.version)
		next->version = s->members.version;
	next->version++;
	next->made_s = now_s;
	snprintf(next->host, sizeof(next->host), "%s", s->own_name);
	if (members_text(&l.text, next, e) < 0 ||
	    signature_make(l.signature, ca->key, l.text, e) < 0 ||
	    save_list(s, &l, e) < 0)
		return error_code(e);
	replace_list(s, next, &l);
	return 0;
}

int list_publish_with(struct trust *s, const struct signed_key *ca,
		      const struct member *one, int64_t now_s, struct error *e)
{
	SCOPED(members_done) struct members next = { 0 };

	if (list_edit(s, &next, e) < 0 || members_put(&next, one, e) < 0)
		return error_code(e);
	return list_publish(s, ca, &next, now_s, e);
}

int trust_members(struct trust *s, struct members *ret, struct error *e)
{
	WITH_LOCK(&s->lock);

	return list_edit(s, ret, e);
}

int trust_list(struct trust *s, struct signed_list *ret, struct error *e)
{
	WITH_LOCK(&s->lock);

	return signed_list_copy(ret, &s->list, e);
}

int trust_check(struct trust *s, const char *name, uint64_t serial,
		struct error *e)
{
	WITH_LOCK(&s->lock);

	return members_check(&s->members, name, serial, e);
}

unsigned trust_generation(const struct trust *s)
{
	return atomic_load(&s->generation);
}
