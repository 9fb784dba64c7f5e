/* SPDX-License-Identifier: MIT */
#include "host/own_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/parts.h"
#include "host/registry.h"
#include "qemu/definition.h"

/* "pc" meant "pc-i440fx-7.2" where it ran. */
static bool take_type(struct definition *own, const char *machine)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strspn(machine, letters);
	const char *comma = strchr(own->machine, ',');
	char *fresh;

	if (n == 0 || (machine[n] && machine[n] != ',') ||
	    asprintf(&fresh, "%.*s%s", (int)n, machine, comma ? comma : "") < 0)
		return false;
	free(own->machine);
	own->machine = fresh;
	return true;
}

bool own_words(struct host *h, const struct definition *d)
{
	SCOPED(definition_done) struct definition own = { 0 };
	AUTO_FREE char *text = NULL;
	struct error ignored;

	if (!d->uuid)
		return false;
	text = registry_own_definition(h->registry, d->uuid);
	if (!text)
		text = store_own_definition(h->settings->state_directory,
					    d->uuid);
	return text &&
	       definition_parse(&own, "definition", text, &ignored) == 0 &&
	       take_type(&own, d->machine) && definition_starts_as(&own, d);
}
