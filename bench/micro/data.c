/* SPDX-License-Identifier: MIT */
#include "data.h"

#include <string.h>

#include "content.h"
#include "micro.h"
#include "wire/frame.h"

static const struct content *mixed(void)
{
	const struct content *c = content_kinds;

	while (strcmp(c->name, "mixed") != 0)
		c++;
	return c;
}

bool data_is_zero(unsigned page)
{
	return content_kind(mixed(), page) == PAGE_ZERO;
}

static struct page *page_of(uint8_t *data, unsigned page)
{
	return (struct page *)(void *)(data + (uint64_t)page * WIRE_PAGE);
}

uint8_t *data_new(enum data_kind kind, unsigned pages)
{
	uint8_t *data = micro_memory((uint64_t)pages * WIRE_PAGE);
	unsigned at = 0;

	content_init();
	for (unsigned i = 0; at < pages; i++) {
		if (!data_is_zero(i))
			content_write(page_of(data, at),
				      content_kind(mixed(), i), i, 1,
				      content_mix(i));
		else if (kind == DATA_TRAVELLING)
			continue;
		at++;
	}
	return data;
}

void data_touch(uint8_t *data, unsigned pages, uint64_t generation)
{
	for (unsigned i = 0; i < pages; i++)
		content_touch(page_of(data, i), generation,
			      content_mix(generation + i));
}
