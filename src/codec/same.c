/* SPDX-License-Identifier: MIT */
#include "codec/same.h"

#include <string.h>

#include "wire/frame.h"

bool page_is_filled(const void *page, uint64_t *ret_word)
{
	const uint8_t *p = page;
	const size_t word = sizeof(*ret_word);

	/* Nearly every page that is not filled shows it here. */
	if (memcmp(p, p + word, word) != 0)
		return false;
	/* Each word equals its neighbour: they are all the same. */
	if (memcmp(p, p + word, WIRE_PAGE - word) != 0)
		return false;
	memcpy(ret_word, p, word);
	return true;
}
