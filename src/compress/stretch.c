/* SPDX-License-Identifier: MIT */
#include "compress/stretch.h"

#include "base/clock.h"

enum {
	STRETCH_PAGES = 1024,
	SIGNS_ENOUGH = 2,
	REMEMBERED_US = USEC_PER_SEC,
};

static uint64_t key_of(struct stretch s)
{
	return ((uint64_t)s.block << 48 ^ s.page / STRETCH_PAGES) + 1;
}

/* The multiplier is 2^64 by the golden section. */
static unsigned place_of(uint64_t key)
{
	return (unsigned)(key * 0x9e3779b97f4a7c15u >> 56) % STRETCHES;
}

bool stretch_skips(struct stretches *all, struct stretch s, uint64_t now_us)
{
	uint64_t key = key_of(s);
	unsigned at = place_of(key);

	if (all->place[at].key != key || all->place[at].skip == 0)
		return false;
	if (now_us > all->place[at].until_us) {
		all->place[at].key = 0;
		return false;
	}
	all->place[at].skip--;
	return true;
}

void stretch_found(struct stretches *all, struct stretch s,
		   enum stretch_finding what, uint64_t now_us)
{
	uint64_t key = key_of(s);
	unsigned at = place_of(key);
	uint8_t signs = 0;

	if (all->place[at].key == key)
		signs = all->place[at].signs;
	all->place[at].key = key;
	all->place[at].signs = signs < SIGNS_ENOUGH ? signs + 1 : signs;
	if (what == STRETCH_PRESSES)
		all->place[at].signs = 0;
	else if (what == STRETCH_IS_INCOMPRESSIBLE)
		all->place[at].signs = SIGNS_ENOUGH;
	all->place[at].skip = 0;
	if (all->place[at].signs < SIGNS_ENOUGH)
		return;
	all->place[at].skip = STRETCH_SKIP;
	all->place[at].until_us = now_us + REMEMBERED_US;
}
