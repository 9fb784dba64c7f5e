/* SPDX-License-Identifier: MIT */
#include "pages/track.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"

enum { PAGE = 4096 };

#define STAYS ((uint64_t)1 << 63)

void track_init(struct track *t)
{
	memset(t, 0, sizeof(*t));
}

void track_done(struct track *t)
{
	for (unsigned i = 0; i < TRACK_BLOCKS_MAX; i++)
		if (t->block[i].page)
			munmap(t->block[i].page,
			       t->block[i].pages * sizeof(uint64_t));
}

int track_add_block(struct track *t, unsigned block, uint64_t len_bytes,
		    struct error *e)
{
	uint64_t pages = (len_bytes + PAGE - 1) / PAGE;
	void *p;

	if (block >= TRACK_BLOCKS_MAX || t->block[block].page || pages == 0)
		return error_set(e, EINVAL, "RAM block number %u", block);
	/* Memory appears as pages are carried. */
	p = mmap(NULL, pages * sizeof(uint64_t), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return error_sys(e, "memory to track %" PRIu64 " pages", pages);
	t->block[block].page = p;
	t->block[block].pages = pages;
	return 0;
}

static uint64_t *entry(const struct track *t, unsigned block, uint64_t page)
{
	assert(block < TRACK_BLOCKS_MAX && page < t->block[block].pages);
	return &t->block[block].page[page];
}

uint64_t track_frame(const struct track *t, unsigned block, uint64_t page)
{
	return *entry(t, block, page) & ~STAYS;
}

void track_carried(struct track *t, unsigned block, uint64_t first,
		   uint64_t count, uint64_t frame)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t *p = entry(t, block, first + i);

		*p = (*p & STAYS) | frame;
	}
}

bool track_stays(const struct track *t, unsigned block, uint64_t page)
{
	return *entry(t, block, page) & STAYS;
}

void track_set_stays(struct track *t, unsigned block, uint64_t page)
{
	*entry(t, block, page) |= STAYS;
}
