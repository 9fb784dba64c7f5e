/* SPDX-License-Identifier: MIT */
#include "trust/pairing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/shape.h"
#include "base/text.h"
#include "trust/hex.h"
#include "trust/members.h"

enum { PEM_MAX = 8 * 1024 };

static const struct shape_field request_fields[] = {
	{ "secret", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE,
	  SHAPE_AT(struct pair_request, secret) },
	{ "name", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE,
	  SHAPE_AT(struct pair_request, name) },
	{ "addresses", SHAPE_WORDS, SHAPE_NEEDED,
	  SHAPE_AT(struct pair_request, addresses),
	  .most = MEMBER_ADDRESSES_MAX },
	{ "port", SHAPE_NUMBER, SHAPE_NEEDED,
	  SHAPE_AT(struct pair_request, port), .least = 1, .most = UINT16_MAX },
	{ "request", SHAPE_STRING, SHAPE_NEEDED,
	  SHAPE_AT(struct pair_request, request), .most = PEM_MAX },
};
const struct shape pair_request_shape =
	SHAPE(struct pair_request, request_fields);

static const struct shape_field answer_fields[] = {
	{ "error", SHAPE_TEXT, SHAPE_OMIT,
	  SHAPE_AT(struct pair_answer, error) },
	{ "certificate", SHAPE_STRING, SHAPE_OMIT,
	  SHAPE_AT(struct pair_answer, certificate), .most = PEM_MAX },
	{ "authority", SHAPE_STRING, SHAPE_OMIT,
	  SHAPE_AT(struct pair_answer, authority), .most = PEM_MAX },
	{ "members", SHAPE_STRING, SHAPE_OMIT,
	  SHAPE_AT(struct pair_answer, members), .most = MEMBERS_TEXT_MAX },
	{ "signature", SHAPE_TEXT, SHAPE_OMIT,
	  SHAPE_AT(struct pair_answer, signature) },
};
const struct shape pair_answer_shape = SHAPE(struct pair_answer, answer_fields);

void pair_request_done(struct pair_request *r)
{
	explicit_bzero(r->secret, sizeof(r->secret));
	shape_done(&pair_request_shape, r);
}

void pair_answer_done(struct pair_answer *a)
{
	shape_done(&pair_answer_shape, a);
}

char *pair_request_text(const struct pair_request *r)
{
	return shape_text(&pair_request_shape, r);
}

char *pair_answer_text(const struct pair_answer *a)
{
	return shape_text(&pair_answer_shape, a);
}

static int check_request(const struct pair_request *r, struct error *e)
{
	if (!hex_is(r->secret, TOKEN_SECRET))
		return error_set(e, EBADMSG, "'secret' must be %d hex digits",
				 2 * TOKEN_SECRET);
	if (text_check_name("host", r->name, e) < 0)
		return error_as(e, EBADMSG);
	return 0;
}

int pair_request_parse(struct pair_request *ret, const char *text, size_t len,
		       struct error *e)
{
	struct pair_request r = { 0 };

	if (shape_parse(&pair_request_shape, &r, text, len, SHAPE_MESSAGE, e) <
	    0)
		return error_code(e);
	if (check_request(&r, e) < 0) {
		pair_request_done(&r);
		return error_code(e);
	}
	*ret = r;
	return 0;
}

int pair_answer_parse(struct pair_answer *ret, const char *text, size_t len,
		      struct error *e)
{
	struct pair_answer a = { 0 };

	if (shape_parse(&pair_answer_shape, &a, text, len, SHAPE_MESSAGE, e) <
	    0)
		return error_code(e);
	if (!a.error[0] &&
	    !(a.certificate && a.authority && a.members && a.signature[0])) {
		pair_answer_done(&a);
		return error_set(e, EBADMSG,
				 "it has neither an error nor all that a host "
				 "needs to be let in");
	}
	*ret = a;
	return 0;
}

void pair_request_set_secret(struct pair_request *r,
			     const uint8_t secret[static TOKEN_SECRET])
{
	hex_of(r->secret, secret, TOKEN_SECRET);
}

void pair_request_secret(uint8_t ret[static TOKEN_SECRET],
			 const struct pair_request *r)
{
	hex_bytes(ret, r->secret, TOKEN_SECRET);
}
