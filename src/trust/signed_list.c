/* SPDX-License-Identifier: MIT */
#include "trust/signed_list.h"

#include <stdlib.h>

#include "base/shape.h"
#include "trust/members.h"

static const struct shape_field list_fields[] = {
	{ "list", SHAPE_STRING, SHAPE_NEEDED,
	  SHAPE_AT(struct signed_list, text), .most = MEMBERS_TEXT_MAX },
	{ "signature", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE,
	  SHAPE_AT(struct signed_list, signature) },
};
const struct shape signed_list_shape = SHAPE(struct signed_list, list_fields);

void signed_list_done(struct signed_list *l)
{
	free(l->text);
	*l = (struct signed_list){ 0 };
}

int signed_list_copy(struct signed_list *ret, const struct signed_list *l,
		     struct error *e)
{
	return shape_copy(&signed_list_shape, ret, l, e);
}
