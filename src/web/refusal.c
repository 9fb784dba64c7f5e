/* SPDX-License-Identifier: MIT */
#include "web/refusal.h"

#include <stdio.h>

#include "base/error.h"
#include "base/shape.h"

struct refusal {
	char error[sizeof(((struct error *)NULL)->text)];
	char kind[24];
};

static const struct shape_field fields[] = {
	{ "error", SHAPE_TEXT, 0, SHAPE_AT(struct refusal, error) },
	{ "kind", SHAPE_TEXT, 0, SHAPE_AT(struct refusal, kind) },
};

static const struct shape shape = SHAPE(struct refusal, fields);

char *web_refusal(const char *error, const char *kind)
{
	struct refusal r;

	snprintf(r.error, sizeof(r.error), "%s", error);
	snprintf(r.kind, sizeof(r.kind), "%s", kind);
	return shape_text(&shape, &r);
}
