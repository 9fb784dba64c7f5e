/* SPDX-License-Identifier: MIT */
#include "control/trust.h"

#include "base/error.h"
#include "base/scope.h"
#include "control/api.h"
#include "host/authority.h"
#include "host/pairing.h"

static const struct shape_field view_fields[] = {
	{ "name", SHAPE_TEXT, 0, SHAPE_AT(struct trust_view, name) },
	{ "joined", SHAPE_BOOL, 0, SHAPE_AT(struct trust_view, joined) },
	{ "until", SHAPE_SIGNED, SHAPE_NULL,
	  SHAPE_AT(struct trust_view, until_s),
	  SHAPE_HAS(struct trust_view, joined) },
	{ "authority", SHAPE_TEXT, SHAPE_NULL,
	  SHAPE_AT(struct trust_view, authority),
	  SHAPE_HAS(struct trust_view, joined) },
	{ "authority_sha256", SHAPE_TEXT, SHAPE_NULL,
	  SHAPE_AT(struct trust_view, authority_sha256),
	  SHAPE_HAS(struct trust_view, joined) },
	{ "authority_until", SHAPE_SIGNED, SHAPE_NULL,
	  SHAPE_AT(struct trust_view, authority_until_s),
	  SHAPE_HAS(struct trust_view, joined) },
	{ "authority_host", SHAPE_TEXT, SHAPE_NULL,
	  SHAPE_AT(struct trust_view, authority_host) },
	{ "has_authority_key", SHAPE_BOOL, 0,
	  SHAPE_AT(struct trust_view, has_authority_key) },
	{ "invitations", SHAPE_NUMBER, 0,
	  SHAPE_AT(struct trust_view, invitations) },
	{ "list_version", SHAPE_NUMBER, 0,
	  SHAPE_AT(struct trust_view, list_version) },
};
const struct shape trust_view_shape = SHAPE(struct trust_view, view_fields);

static const struct shape_field invitation_fields[] = {
	{ "token", SHAPE_TEXT, 0, SHAPE_AT(struct invitation_view, token) },
	{ "until", SHAPE_SIGNED, 0, SHAPE_AT(struct invitation_view, until_s) },
	{ "addresses", SHAPE_WORDS, 0,
	  SHAPE_AT(struct invitation_view, addresses) },
	{ "port", SHAPE_NUMBER, 0, SHAPE_AT(struct invitation_view, port) },
};
const struct shape invitation_view_shape =
	SHAPE(struct invitation_view, invitation_fields);

static const struct shape_field inviting_fields[] = {
	{ "host", SHAPE_TEXT, SHAPE_PRINTABLE,
	  SHAPE_AT(struct inviting, host) },
};
const struct shape inviting_shape = SHAPE(struct inviting, inviting_fields);

static const struct shape_field joining_fields[] = {
	{ "host", SHAPE_STRING, SHAPE_NEEDED, SHAPE_AT(struct joining, host),
	  .most = 255 },
	{ "token", SHAPE_STRING, SHAPE_NEEDED, SHAPE_AT(struct joining, token),
	  .most = 255 },
	{ "port", SHAPE_NUMBER, 0, SHAPE_AT(struct joining, port), .least = 1,
	  .most = UINT16_MAX },
};
const struct shape joining_shape = SHAPE(struct joining, joining_fields);

static const struct shape_field member_fields[] = {
	{ "name", SHAPE_TEXT, 0, SHAPE_AT(struct member_view, name) },
	{ "addresses", SHAPE_WORDS, 0,
	  SHAPE_AT(struct member_view, addresses) },
	{ "port", SHAPE_NUMBER, 0, SHAPE_AT(struct member_view, port) },
	{ "until", SHAPE_SIGNED, 0, SHAPE_AT(struct member_view, until_s) },
	{ "removed", SHAPE_SIGNED, SHAPE_NULL,
	  SHAPE_AT(struct member_view, removed_s),
	  SHAPE_HAS(struct member_view, removed) },
	{ "has_authority_key", SHAPE_BOOL, 0,
	  SHAPE_AT(struct member_view, has_authority_key) },
	{ "peer", SHAPE_BOOL, 0, SHAPE_AT(struct member_view, peer) },
};
const struct shape member_view_shape = SHAPE(struct member_view, member_fields);

static const struct shape_field all_fields[] = {
	{ NULL, SHAPE_LIST, 0, SHAPE_AT(struct member_views, at),
	  SHAPE_COUNT(struct member_views, count), .of = &member_view_shape },
};
const struct shape member_views_shape = { sizeof(struct member_views),
					  all_fields, 1, SHAPE_BARE };

/* @r is what the service returned with @v. */
static int shown(char **ret, const struct trust_view *v, int r, struct error *e)
{
	return r < 0 ? r : api_text(ret, &trust_view_shape, v, e);
}

int trust_show(struct host *h, const struct api_call *c, char **ret,
	       struct error *e)
{
	struct trust_view v;

	(void)c;
	return shown(ret, &v, host_trust_show(h, &v, e), e);
}

int trust_make(struct host *h, const struct api_call *c, char **ret,
	       struct error *e)
{
	struct trust_view v;

	(void)c;
	return shown(ret, &v, host_trust_init(h, &v, e), e);
}

int trust_ask_in(struct host *h, const struct api_call *c, char **ret,
		 struct error *e)
{
	SCOPED(invitation_view_done) struct invitation_view v = { 0 };
	const struct inviting *of = c->object;

	if (host_trust_invite(h, of->host, &v, e) < 0)
		return error_code(e);
	return api_text(ret, &invitation_view_shape, &v, e);
}

int trust_enter(struct host *h, const struct api_call *c, char **ret,
		struct error *e)
{
	struct trust_view v;

	return shown(ret, &v, host_trust_join(h, c->object, &v, e), e);
}

int trust_list_members(struct host *h, const struct api_call *c, char **ret,
		       struct error *e)
{
	SCOPED(member_views_done) struct member_views all = { 0 };

	(void)c;
	if (host_trust_members(h, &all, e) < 0)
		return error_code(e);
	return api_text(ret, &member_views_shape, &all, e);
}

int trust_drop_member(struct host *h, const struct api_call *c, char **ret,
		      struct error *e)
{
	SCOPED(member_view_done) struct member_view v = { 0 };

	if (host_trust_remove(h, c->name, &v, e) < 0)
		return error_code(e);
	return api_text(ret, &member_view_shape, &v, e);
}

int trust_make_anew(struct host *h, const struct api_call *c, char **ret,
		    struct error *e)
{
	struct trust_view v;

	(void)c;
	return shown(ret, &v, host_trust_renew(h, &v, e), e);
}

int trust_copy_key(struct host *h, const struct api_call *c, char **ret,
		   struct error *e)
{
	SCOPED(trust_authority_done) struct trust_authority a = { 0 };

	(void)c;
	if (host_trust_export(h, &a, e) < 0)
		return error_code(e);
	return api_text(ret, &trust_authority_shape, &a, e);
}

int trust_drop_key(struct host *h, const struct api_call *c, char **ret,
		   struct error *e)
{
	if (host_trust_release(h, e) < 0)
		return error_code(e);
	return trust_show(h, c, ret, e);
}

int trust_take_key(struct host *h, const struct api_call *c, char **ret,
		   struct error *e)
{
	if (host_trust_import(h, c->object, e) < 0)
		return error_code(e);
	return trust_show(h, c, ret, e);
}
