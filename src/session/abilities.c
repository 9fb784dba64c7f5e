/* SPDX-License-Identifier: MIT */
#include "session/abilities.h"

#include <stdint.h>
#include <string.h>

static const char *const names[ABILITIES] = {
	[CAN_HOLDS] = "holds",     [CAN_BLOCKS] = "blocks",
	[CAN_CARRIES] = "carries", [CAN_STREAMS] = "streams",
	[CAN_PROVE] = "prove",     [CAN_RDMA] = "rdma",
	[CAN_QUEUE] = "queue",     [CAN_FACTS] = "facts",
	[CAN_RETURN] = "return",   [CAN_BUSY] = "busy",
	[CAN_COPY] = "copy",
};

struct words abilities_words(void)
{
	/* Nobody writes to it. */
	return (struct words){ (char **)(uintptr_t)names, ABILITIES };
}

unsigned abilities_read(const struct words *w)
{
	unsigned bits = 0;

	for (size_t i = 0; i < w->count; i++)
		for (unsigned a = 0; a < ABILITIES; a++)
			if (!strcmp(w->at[i], names[a]))
				bits |= 1U << a;
	return bits;
}
