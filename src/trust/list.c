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

static const char in_force[] = "members.json", kept[] = "members-kept.json";

/* Both are taken over; they are the same in two forms, but for what is kept. */
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

/* What it says is said by the list in force. */
static void drop_kept(struct trust *s)
{
	struct error ignored;

	signed_list_done(&s->kept);
	/* One that stays there says nothing new. */
	vault_remove(s, kept, &ignored);
}

void list_forget(struct trust *s)
{
	struct members none = { 0 };
	struct signed_list nothing = { 0 };

	drop_kept(s);
	replace_list(s, &none, &nothing);
}

static int save_list(struct trust *s, const char *name,
		     const struct signed_list *l, struct error *e)
{
	AUTO_FREE char *text = shape_file_text(&signed_list_shape, l);

	if (!text)
		return error_set(e, ENOMEM, "no memory for the list of hosts");
	return vault_save(s, name, text, VAULT_PRIVATE, e);
}

int list_read(const struct trust *s, struct members *ret,
	      const struct signed_list *l, struct error *e)
{
	AUTO_FREE char *authority = NULL;

	if (vault_load(s, "authority.pem", &authority, e) < 0)
		return error_code(e);
	if (signature_check(l->signature, authority, l->text, e) < 0)
		return error_in(e, "the list of hosts");
	return members_parse(ret, l->text, e);
}

/* 1: it is there.  Nothing is left of it otherwise. */
static int load_list(const struct trust *s, const char *name,
		     struct members *ret, struct signed_list *ret_list,
		     struct error *e)
{
	SCOPED(signed_list_done) struct signed_list l = { 0 };
	AUTO_FREE char *text = NULL;
	int r = vault_load(s, name, &text, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (shape_parse(&signed_list_shape, &l, text, strlen(text),
			SHAPE_MESSAGE, e) < 0 ||
	    list_read(s, ret, &l, e) < 0)
		return error_in(e,
				"%s/%s: move it away, and it is fetched anew",
				s->folder, name);
	*ret_list = l;
	l = (struct signed_list){ 0 };
	return 1;
}

/* What was kept beside @m, which then says that too. */
static int load_kept(struct trust *s, struct members *m, struct error *e)
{
	SCOPED(members_done) struct members more = { 0 };
	int r = load_list(s, kept, &more, &s->kept, e);

	if (r <= 0)
		return r;
	r = members_merge(m, &more, e);
	if (r == 0)
		drop_kept(s);
	return r;
}

int trust_load_list(struct trust *s, struct error *e)
{
	SCOPED(members_done) struct members m = { 0 };
	struct signed_list l = { 0 };
	int r;

	WITH_LOCK(&s->lock);

	r = load_list(s, in_force, &m, &l, e);
	if (r <= 0)
		return r;
	r = load_kept(s, &m, e);
	replace_list(s, &m, &l);
	return r < 0 ? r : 0;
}

/* @m, which is newer than what is in force, says what that says too; the list
 * of before is kept where it did not. */
static int keep_what_is_lost(struct trust *s, struct members *m,
			     struct error *e)
{
	int lost = members_merge(m, &s->members, e);

	/* Of two that were kept the older one says more. */
	if (lost <= 0 || s->kept.text)
		return lost;
	if (save_list(s, kept, &s->list, e) < 0 ||
	    signed_list_copy(&s->kept, &s->list, e) < 0)
		return error_code(e);
	return 1;
}

int trust_take_list(struct trust *s, const struct signed_list *l,
		    struct error *e)
{
	SCOPED(signed_list_done) struct signed_list fresh = { 0 };
	SCOPED(members_done) struct members m = { 0 };
	int lost;

	WITH_LOCK(&s->lock);

	if (list_read(s, &m, l, e) < 0)
		return error_code(e);
	if (m.version <= s->members.version)
		return 0;
	lost = keep_what_is_lost(s, &m, e);
	if (lost < 0 || signed_list_copy(&fresh, l, e) < 0 ||
	    save_list(s, in_force, l, e) < 0)
		return error_code(e);
	if (lost == 0)
		drop_kept(s);
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
	    save_list(s, in_force, &l, e) < 0)
		return error_code(e);
	drop_kept(s);
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

int trust_list(struct trust *s, const char *to, struct signed_list *ret,
	       struct error *e)
{
	WITH_LOCK(&s->lock);

	/* The CA's host has the other one: it has made it. */
	return signed_list_copy(ret,
				s->kept.text && !strcmp(s->members.host, to)
					? &s->kept
					: &s->list,
				e);
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
