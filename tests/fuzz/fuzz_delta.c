/* SPDX-License-Identifier: MIT */

/* A delta: applied as a whole or not at all, and what it made of the page can
 * be said by a delta of our own. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "codec/delta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { GUARD = 32, GUARD_BYTE = 0xa5 };

static void check_guards(const uint8_t *page)
{
	for (int i = 0; i < GUARD; i++) {
		assert(page[-1 - i] == GUARD_BYTE);
		assert(page[WIRE_PAGE + i] == GUARD_BYTE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t old[WIRE_PAGE];
	static uint8_t room[GUARD + WIRE_PAGE + GUARD], again[WIRE_PAGE];
	uint8_t *page = room + GUARD, delta[DELTA_MAX];
	struct error e = { 0 };
	size_t ours;
	int r;

	memset(room, GUARD_BYTE, sizeof(room));
	memset(page, 0, WIRE_PAGE);
	r = delta_apply(page, data, len, &e);
	check_guards(page);
	if (r < 0) {
		assert(r == -EBADMSG && e.text[0]);
		assert(!memcmp(page, old, WIRE_PAGE));
		return 0;
	}
	ours = delta_encode(old, page, delta, sizeof(delta));
	assert(ours > 0 && (ours <= len || ours == DELTA_HEAD + DELTA_WORD));
	memset(again, 0, WIRE_PAGE);
	assert(delta_apply(again, delta, ours, &e) == 0);
	assert(!memcmp(again, page, WIRE_PAGE));
	return 0;
}
