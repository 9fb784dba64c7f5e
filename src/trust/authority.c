/* SPDX-License-Identifier: MIT */
#include "trust/authority.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/scope.h"
#include "base/shape.h"
#include "trust/list.h"
#include "trust/vault.h"

enum {
	PEM_MAX = 16 * 1024,
	/* The CA's host may have signed more since a copy was made:
	 * certificates, and lists. */
	IMPORT_SKIPS = 1000000,
};

static const char key_name[] = "authority.key";

/* What the CA's host remembers. */
struct authority {
	uint64_t serial; /* of the last certificate */
	struct invitations invitations;
};

static const struct shape_field invitation_fields[] = {
	{ "secret_sha256", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE,
	  SHAPE_AT(struct invitation, secret_hash) },
	{ "until", SHAPE_SIGNED, SHAPE_NEEDED,
	  SHAPE_AT(struct invitation, until_s) },
	{ "for", SHAPE_TEXT, SHAPE_OMIT, SHAPE_AT(struct invitation, name) },
	{ "used_by", SHAPE_TEXT, SHAPE_OMIT,
	  SHAPE_AT(struct invitation, used_by) },
	{ "used", SHAPE_SIGNED, 0, SHAPE_AT(struct invitation, used_s) },
};
static const struct shape invitation_shape =
	SHAPE(struct invitation, invitation_fields);

static const struct shape_field authority_fields[] = {
	{ "serial", SHAPE_NUMBER, SHAPE_NEEDED,
	  SHAPE_AT(struct authority, serial) },
	{ "invitations", SHAPE_LIST, SHAPE_INSIDE,
	  SHAPE_AT(struct authority, invitations.at),
	  SHAPE_COUNT(struct authority, invitations.count),
	  .most = INVITATIONS_MAX, .of = &invitation_shape },
	{ "wrong_tokens", SHAPE_NUMBER, 0,
	  SHAPE_AT(struct authority, invitations.wrong) },
};
static const struct shape authority_shape =
	SHAPE(struct authority, authority_fields);

static const struct shape_field bundle_fields[] = {
	{ "key", SHAPE_STRING, SHAPE_NEEDED,
	  SHAPE_AT(struct trust_authority, key), .most = PEM_MAX },
	{ "certificate", SHAPE_STRING, SHAPE_NEEDED,
	  SHAPE_AT(struct trust_authority, certificate), .most = PEM_MAX },
	{ "serial", SHAPE_NUMBER, SHAPE_NEEDED,
	  SHAPE_AT(struct trust_authority, serial) },
	{ "members", SHAPE_OBJECT, SHAPE_NEEDED,
	  SHAPE_AT(struct trust_authority, list), .of = &signed_list_shape },
};
const struct shape trust_authority_shape =
	SHAPE(struct trust_authority, bundle_fields);

void trust_authority_done(struct trust_authority *a)
{
	if (a->key)
		explicit_bzero(a->key, strlen(a->key));
	shape_done(&trust_authority_shape, a);
}

void admitted_done(struct admitted *a)
{
	free(a->certificate);
	free(a->authority);
	signed_list_done(&a->list);
	*a = (struct admitted){ 0 };
}

/* --- its files */

static int load_authority(const struct trust *s, struct authority *ret,
			  struct error *e)
{
	AUTO_FREE char *text = NULL;

	*ret = (struct authority){ 0 };
	if (vault_load(s, "authority.json", &text, e) < 0)
		return error_code(e);
	if (shape_parse(&authority_shape, ret, text, strlen(text),
			SHAPE_MESSAGE, e) < 0)
		return error_in(e, "%s/authority.json", s->folder);
	return 0;
}

static int save_authority(const struct trust *s, const struct authority *a,
			  struct error *e)
{
	AUTO_FREE char *text = shape_file_text(&authority_shape, a);

	if (!text)
		return error_set(e, ENOMEM, "no memory for the CA's notes");
	return vault_save(s, "authority.json", text, VAULT_PRIVATE, e);
}

/* -ENOENT with what that means. */
static int load_key(const struct trust *s, struct signed_key *ret,
		    struct error *e)
{
	struct signed_key k = { 0 };
	const char *holder = s->members.host;
	int r;

	/* A copy that was forgotten is not to sign beside the one in use. */
	if (holder[0] && strcmp(holder, s->own_name) != 0)
		return error_set(e, ENOENT,
				 "the CA's key is not on host %s: host %s has "
				 "it",
				 s->own_name, holder);
	r = vault_load(s, key_name, &k.key, e);
	if (r == 0)
		r = vault_load(s, "authority.pem", &k.certificate, e);
	if (r == 0) {
		*ret = k;
		return 0;
	}
	signed_key_done(&k);
	if (r != -ENOENT)
		return r;
	return error_set(e, ENOENT,
			 "the CA's key is not on host %s: make a CA with "
			 "'drover trust init', or ask the host that has one",
			 s->own_name);
}

/* To sign something with it.  Without the list nobody knows which names are
 * given, and who was removed. */
static int load_signer(const struct trust *s, struct signed_key *ret,
		       struct error *e)
{
	if (s->members.version == 0 && vault_has(s, key_name))
		return error_set(e, EACCES,
				 "host %s has the CA's key, and lost the list "
				 "of its hosts: it asks its peers for that; "
				 "where none has it, run 'drover trust import' "
				 "here with a copy of the key",
				 s->own_name);
	return load_key(s, ret, e);
}

/* --- what the CA does */

/* Higher than all that were given: the list may know of more than the notes. */
static uint64_t next_serial(const struct trust *s, struct authority *a)
{
	const uint64_t listed = members_serial(&s->members);

	a->serial = (a->serial > listed ? a->serial : listed) + 1;
	return a->serial;
}

/* The next certificate: its number is on disk before it is. */
static int sign(const struct trust *s, struct authority *a,
		const struct signed_key *ca, struct signing *what, char **ret,
		struct error *e)
{
	what->authority = ca;
	what->serial = next_serial(s, a);
	what->from_s -= CERTIFICATE_EARLY_S;
	what->days = CERTIFICATE_DAYS;
	if (save_authority(s, a, e) < 0)
		return error_code(e);
	return certificate_sign(ret, what, e);
}

static int64_t end_of(const struct signing *w)
{
	return w->from_s + (int64_t)w->days * CERTIFICATE_DAY_S;
}

static int make_host(struct trust *s, struct authority *a,
		     const struct signed_key *ca, const struct member *self,
		     int64_t now_s, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key asked = { 0 };
	AUTO_FREE char *certificate = NULL;
	struct signing what = { .name = s->own_name, .from_s = now_s };
	struct member own = *self;

	if (request_new(&asked, s->own_name, e) < 0)
		return error_code(e);
	what.request = asked.certificate;
	if (sign(s, a, ca, &what, &certificate, e) < 0)
		return error_code(e);
	snprintf(own.name, sizeof(own.name), "%s", s->own_name);
	own.serial = what.serial;
	own.until_s = end_of(&what);
	if (list_publish_with(s, ca, &own, now_s, e) < 0 ||
	    vault_save(s, "host.key", asked.key, VAULT_PRIVATE, e) < 0)
		return error_code(e);
	/* Last: it says that this host is somebody. */
	return vault_save(s, "host.pem", certificate, VAULT_PUBLIC, e);
}

int trust_init(struct trust *s, const struct member *self, int64_t now_s,
	       struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	struct authority a = { .serial = 1 };
	char name[64];

	WITH_LOCK(&s->lock);

	snprintf(name, sizeof(name), "%s%.50s", AUTHORITY_NAME, s->own_name);
	if (vault_check_nobody(s, e) < 0 ||
	    authority_new(&ca, name, now_s, e) < 0 ||
	    vault_save(s, key_name, ca.key, VAULT_PRIVATE, e) < 0 ||
	    vault_save(s, "authority.pem", ca.certificate, VAULT_PUBLIC, e) < 0)
		return error_code(e);
	list_forget(s);
	return make_host(s, &a, &ca, self, now_s, e);
}

int trust_invite(struct trust *s, const char *name, int64_t now_s,
		 char ret_token[TOKEN_CAP], struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	AUTO_FREE char *host = NULL;
	struct certificate_facts facts;
	struct authority a;
	struct token t;

	WITH_LOCK(&s->lock);

	if (load_signer(s, &ca, e) < 0 || load_authority(s, &a, e) < 0 ||
	    vault_load(s, "host.pem", &host, e) < 0 ||
	    certificate_read(&facts, host, e) < 0 ||
	    token_new(&t, facts.hash, e) < 0 ||
	    invitation_add(&a.invitations, &t, name, now_s, e) < 0 ||
	    save_authority(s, &a, e) < 0)
		return error_code(e);
	token_text(ret_token, &t);
	return 0;
}

bool trust_takes_strangers(struct trust *s, int64_t now_s)
{
	struct authority a;
	struct error ignored;

	WITH_LOCK(&s->lock);

	return load_authority(s, &a, &ignored) == 0 &&
	       invitations_take(&a.invitations, now_s);
}

/* Whoever has a token must not become another host by it: one of the list, or
 * one that the administrator knows and has not invited. */
static int check_name_is_free(const struct trust *s, const struct admission *of,
			      bool invited, struct error *e)
{
	const char *name = of->who.name;
	const struct member *there = members_find(&s->members, name);

	if (there && !there->removed_s)
		return error_set(e, EACCES,
				 "there is a host %s already: if it is to join "
				 "anew, run 'drover trust remove %s' on host "
				 "%s first",
				 name, name, s->own_name);
	if (invited || !of->is_peer)
		return 0;
	return error_set(e, EACCES,
			 "host %s has a [peer %s] already: if that host is to "
			 "join, run 'drover trust invite --for %s' there, else "
			 "remove the section",
			 s->own_name, name, name);
}

/* The invitation is used up in @a; what was wrong is on disk.  1: it names the
 * host. */
static int use_token(struct trust *s, struct authority *a,
		     const struct admission *of, int64_t now_s, struct error *e)
{
	const unsigned wrong = a->invitations.wrong;
	const int r = invitation_use(&a->invitations, of->secret, of->who.name,
				     now_s, e);
	struct error why;

	if (r < 0 && a->invitations.wrong != wrong &&
	    save_authority(s, a, &why) < 0)
		*e = why;
	return r < 0 ? error_code(e) : r;
}

static int admit(struct trust *s, const struct admission *of, int64_t now_s,
		 struct admitted *ret, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	struct signing what = { .request = of->request,
				.name = of->who.name,
				.from_s = now_s };
	struct member who = of->who;
	struct authority a;
	int invited;

	if (load_signer(s, &ca, e) < 0 || load_authority(s, &a, e) < 0)
		return error_code(e);
	invited = use_token(s, &a, of, now_s, e);
	if (invited < 0 || check_name_is_free(s, of, invited, e) < 0 ||
	    sign(s, &a, &ca, &what, &ret->certificate, e) < 0)
		return error_code(e);
	who.serial = what.serial;
	who.until_s = end_of(&what);
	who.removed_s = 0;
	if (list_publish_with(s, &ca, &who, now_s, e) < 0 ||
	    signed_list_copy(&ret->list, &s->list, e) < 0)
		return error_code(e);
	ret->authority = take_ptr(&ca.certificate);
	return 0;
}

int trust_admit(struct trust *s, const struct admission *of, int64_t now_s,
		struct admitted *ret, struct error *e)
{
	WITH_LOCK(&s->lock);

	*ret = (struct admitted){ 0 };
	if (admit(s, of, now_s, ret, e) == 0)
		return 0;
	admitted_done(ret);
	return error_code(e);
}

/* --- what changes later */

static int renew(struct trust *s, const struct signed_key *ca,
		 struct signing *what, char **ret, struct error *e)
{
	const struct member *there = members_find(&s->members, what->name);
	const int64_t now_s = what->from_s;
	struct authority a;
	struct member more;

	if (load_authority(s, &a, e) < 0)
		return error_code(e);
	if (!there || there->removed_s)
		return error_set(e, EACCES,
				 "host %s is no member of this CA: have it "
				 "join",
				 what->name);
	if (sign(s, &a, ca, what, ret, e) < 0)
		return error_code(e);
	more = *there;
	more.until_s = end_of(what);
	return list_publish_with(s, ca, &more, now_s, e);
}

int trust_renew(struct trust *s, const char *name, const char *request,
		int64_t now_s, char **ret_certificate, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	AUTO_FREE char *made = NULL;
	struct signing what = { .request = request,
				.name = name,
				.from_s = now_s };

	WITH_LOCK(&s->lock);

	if (load_signer(s, &ca, e) < 0 || renew(s, &ca, &what, &made, e) < 0)
		return error_code(e);
	*ret_certificate = take_ptr(&made);
	return 0;
}

int trust_note_place(struct trust *s, const struct member *at, int64_t now_s,
		     struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	const struct member *there;
	struct member moved;

	WITH_LOCK(&s->lock);

	there = members_find(&s->members, at->name);
	if (!there || there->removed_s || member_same_place(there, at))
		return 0;
	if (load_signer(s, &ca, e) < 0)
		return error_code(e);
	moved = *there;
	moved.addresses = at->addresses;
	moved.port = at->port;
	return list_publish_with(s, &ca, &moved, now_s, e) < 0 ? error_code(e)
							       : 1;
}

int trust_remove(struct trust *s, const char *name, int64_t now_s,
		 struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	SCOPED(members_done) struct members next = { 0 };
	struct authority a;

	WITH_LOCK(&s->lock);

	if (!strcmp(name, s->own_name))
		return error_set(e, EPERM,
				 "host %s has the CA's key and cannot remove "
				 "itself: move the key with 'drover trust "
				 "export' first",
				 name);
	/* A removal has a number of its own, so that it is later than all
	 * certificates of before, and earlier than those to come. */
	if (load_signer(s, &ca, e) < 0 || load_authority(s, &a, e) < 0 ||
	    list_edit(s, &next, e) < 0 ||
	    members_remove(&next, name, next_serial(s, &a), now_s, e) < 0 ||
	    save_authority(s, &a, e) < 0)
		return error_code(e);
	return list_publish(s, &ca, &next, now_s, e);
}

/* Is there anything to learn, and may it be signed here? */
static bool may_merge(const struct trust *s, const struct signed_list *l)
{
	return !strcmp(s->members.host, s->own_name) &&
	       (s->kept.text || strcmp(l->text, s->list.text) != 0) &&
	       vault_has(s, key_name);
}

/* Two hosts have imported the key at once: all follow the one that goes on. */
static bool is_rival(const struct trust *s, const struct members *other)
{
	return other->version == s->members.version &&
	       strcmp(other->host, s->own_name) < 0;
}

int trust_merge_list(struct trust *s, const struct signed_list *l,
		     int64_t now_s, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	SCOPED(members_done) struct members next = { 0 }, other = { 0 };
	int changed;

	WITH_LOCK(&s->lock);

	if (!may_merge(s, l))
		return 0;
	if (load_signer(s, &ca, e) < 0 || list_read(s, &other, l, e) < 0 ||
	    list_edit(s, &next, e) < 0)
		return error_code(e);
	changed = members_merge(&next, &other, e);
	if (changed < 0 || (!changed && !s->kept.text && !is_rival(s, &other)))
		return changed;
	return list_publish(s, &ca, &next, now_s, e) < 0 ? error_code(e) : 1;
}

/* --- the CA moves */

int trust_export(struct trust *s, struct trust_authority *ret, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	struct authority a;

	WITH_LOCK(&s->lock);

	*ret = (struct trust_authority){ 0 };
	if (load_signer(s, &ca, e) < 0 || load_authority(s, &a, e) < 0 ||
	    signed_list_copy(&ret->list, &s->list, e) < 0)
		return error_code(e);
	ret->key = take_ptr(&ca.key);
	ret->certificate = take_ptr(&ca.certificate);
	ret->serial = a.serial;
	return 0;
}

int trust_release(struct trust *s, struct error *e)
{
	WITH_LOCK(&s->lock);

	if (vault_remove(s, key_name, e) < 0 ||
	    vault_remove(s, "authority.json", e) < 0)
		return error_code(e);
	return folder_sync(s->folder, e);
}

/* That it is this host's own CA, and that the key is the CA's. */
static int check_import(const struct trust *s, const struct trust_authority *a,
			struct error *e)
{
	AUTO_FREE char *own = NULL;
	char signature[SIGNATURE_CAP];
	int r = vault_load(s, "authority.pem", &own, e);

	if (r == -ENOENT)
		return error_set(e, ENOENT,
				 "host %s has no certificate: have it join "
				 "first, the CA moves to a member",
				 s->own_name);
	if (r < 0)
		return r;
	if (strcmp(own, a->certificate) != 0)
		return error_set(e, EACCES,
				 "this is another CA than the one of host %s",
				 s->own_name);
	if (signature_make(signature, a->key, a->list.text, e) < 0)
		return error_code(e);
	if (signature_check(signature, own, a->list.text, e) < 0 ||
	    signature_check(a->list.signature, own, a->list.text, e) < 0)
		return error_set(e, EACCES,
				 "the key is not the CA's, or its list was "
				 "changed");
	return 0;
}

/* What this host's list and the one that came say together.  Its version is
 * higher than any that the CA's host may have signed meanwhile. */
static int merge_lists(const struct trust *s, const struct trust_authority *a,
		       struct members *ret, struct error *e)
{
	SCOPED(members_done) struct members theirs = { 0 };
	const struct members *newer = &s->members, *older = &theirs;

	if (members_parse(&theirs, a->list.text, e) < 0)
		return error_code(e);
	if (theirs.version > s->members.version) {
		newer = &theirs;
		older = &s->members;
	}
	if (shape_copy(&members_shape, ret, newer, e) < 0)
		return error_code(e);
	ret->version += IMPORT_SKIPS;
	return members_merge(ret, older, e) < 0 ? error_code(e) : 0;
}

int trust_import(struct trust *s, const struct trust_authority *a,
		 int64_t now_s, struct error *e)
{
	struct authority notes = { .serial = a->serial };
	const struct signed_key ca = { .key = a->key,
				       .certificate = a->certificate };
	SCOPED(members_done) struct members next = { 0 };

	WITH_LOCK(&s->lock);

	if (check_import(s, a, e) < 0 || merge_lists(s, a, &next, e) < 0)
		return error_code(e);
	if (notes.serial < members_serial(&next))
		notes.serial = members_serial(&next);
	notes.serial += IMPORT_SKIPS;
	if (save_authority(s, &notes, e) < 0 ||
	    vault_save(s, key_name, a->key, VAULT_PRIVATE, e) < 0)
		return error_code(e);
	return list_publish(s, &ca, &next, now_s, e);
}

bool authority_look(const struct trust *s, int64_t now_s,
		    unsigned *ret_invitations)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	struct authority a;
	struct error ignored;

	if (load_key(s, &ca, &ignored) < 0 ||
	    load_authority(s, &a, &ignored) < 0)
		return false;
	*ret_invitations = (unsigned)invitations_open(&a.invitations, now_s);
	return true;
}
