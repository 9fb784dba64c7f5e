/* SPDX-License-Identifier: MIT */
#include "tune/advice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

const char *const tune_purpose_names[TUNE_PURPOSES] = {
	[TUNE_FOR_MIXED] = "mixed",
	[TUNE_FOR_MIGRATION] = "migration",
	[TUNE_FOR_MACHINES] = "machines",
	[TUNE_FOR_STORAGE] = "storage",
};

#define AT(member) SHAPE_AT(struct tune_finding, member)

static const struct shape_field finding_fields[] = {
	{ "card", SHAPE_TEXT, 0, AT(card) },
	{ "feature", SHAPE_CODE, 0, AT(feature), .code = &shape_constant },
	{ "now", SHAPE_TEXT, 0, AT(now) },
	{ "better", SHAPE_TEXT, 0, AT(better) },
	{ "why", SHAPE_CODE, 0, AT(why), .code = &shape_constant },
	{ "gain", SHAPE_TEXT, SHAPE_NULL, AT(gain) },
	{ "commands", SHAPE_WORDS, 0, AT(commands) },
	{ "source", SHAPE_CODE, 0, AT(source), .code = &shape_constant },
};

static const struct shape finding_shape =
	SHAPE(struct tune_finding, finding_fields);

#undef AT
#define AT(member) SHAPE_AT(struct tune_advice, member)

static const struct shape_field advice_fields[] = {
	{ "for", SHAPE_NAME, 0, AT(purpose), .names = tune_purpose_names,
	  .most = TUNE_PURPOSES },
	{ "seconds", SHAPE_REAL, SHAPE_NULL, AT(seconds) },
	{ "findings", SHAPE_LIST, 0, AT(at),
	  SHAPE_COUNT(struct tune_advice, count), .of = &finding_shape },
	{ "unknown", SHAPE_WORDS, 0, AT(unknown) },
};

#undef AT

const struct shape tune_advice_shape = SHAPE(struct tune_advice, advice_fields);

int tune_purpose_parse(enum tune_purpose *ret, const char *name,
		       struct error *e)
{
	*ret = TUNE_FOR_MIXED;
	if (!name)
		return 0;
	for (int i = 0; i < TUNE_PURPOSES; i++)
		if (!strcmp(tune_purpose_names[i], name)) {
			*ret = (enum tune_purpose)i;
			return 0;
		}
	return error_set(e, EINVAL,
			 "advice is for migration, machines, storage or mixed, "
			 "not for '%.40s'",
			 name);
}
