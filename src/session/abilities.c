/* SPDX-License-Identifier: MIT */
#include "session/abilities.h"

#include <stdint.h>
#include <string.h>

static const char *const names[ABILITIES] = {
	[CAN_HOLDS] = "holds",
	[CAN_BLOCKS] = "blocks",
	[CAN_CARRIES] = "carries",
	[CAN_STREAMS] = "streams",
};

json_t *abilities_json(void)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < ABILITIES; i++)
		json_array_append_new(all, json_string(names[i]));
	return all;
}

unsigned abilities_read(const json_t *list)
{
	unsigned bits = 0;
	json_t *one;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)list, i, one) {
		const char *text = json_string_value(one);

		for (unsigned a = 0; text && a < ABILITIES; a++)
			if (!strcmp(text, names[a]))
				bits |= 1U << a;
	}
	return bits;
}
