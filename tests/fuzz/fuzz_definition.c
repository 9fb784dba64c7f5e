/* SPDX-License-Identifier: MIT */

/* A definition that is read must be written and read again as the same, and
 * its command line made or refused. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "qemu/definition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct definition *d)
{
	const struct launch_options o = { "/qemu", "/run/x", true, 0 };
	struct definition again;
	struct words argv;
	struct error e;
	char *text = definition_text(d), *second;

	assert(text && definition_parse(&again, "again", text, &e) == 0);
	second = definition_text(&again);
	assert(second && !strcmp(text, second));
	assert(d->arguments.count == again.arguments.count);
	for (size_t i = 0; i < d->arguments.count; i++)
		assert(!strcmp(d->arguments.at[i], again.arguments.at[i]));
	if (definition_argv(d, &o, &argv, &e) == 0)
		words_done(&argv);
	free(text);
	free(second);
	definition_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);
	struct definition d;
	struct error e;

	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	if (definition_parse(&d, "fuzz", text, &e) == 0) {
		check(&d);
		definition_done(&d);
	}
	free(text);
	return 0;
}
