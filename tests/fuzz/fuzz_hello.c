/* SPDX-License-Identifier: MIT */

/* The first bytes of a connection.  A hello that is read is written back: the
 * same bytes, or, where its text was not printable, one that is read again. */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "wire/hello.h"
#include "wire/reader.h"
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const void *data, size_t len)
{
	uint8_t again[HELLO_MAX];
	struct hello h = { 0 }, same;
	struct error e = { 0 };
	uint16_t version;
	size_t whole = 0;

	if (len >= HELLO_HEAD_SIZE && hello_length(&whole, data, &e) == 0)
		assert(whole >= HELLO_HEAD_SIZE && whole <= HELLO_MAX);
	if (hello_read(&h, data, len, &e) < 0) {
		assert(e.code != 0 && e.text[0]);
		return;
	}
	assert(whole == len);
	assert(h.kind >= HELLO_OPEN && h.kind <= HELLO_PAIR);
	assert(strlen(h.text) <= HELLO_TEXT_MAX);
	if (hello_common_version(&version, &h, &e) == 0)
		assert(version >= WIRE_LOWEST && version <= WIRE_VERSION);
	assert(hello_write(&h, again) == len);
	assert(hello_read(&same, again, len, &e) == 0);
	assert(!strcmp(same.text, h.text) && same.session == h.session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t summed[HELLO_MAX];
	struct writer w;

	check(data, len);
	/* No fuzzer finds a checksum: here is one that fits. */
	if (len < HELLO_HEAD_SIZE + HELLO_SUM_SIZE || len > HELLO_MAX)
		return 0;
	memcpy(summed, data, len);
	w = writer_to(summed + len - HELLO_SUM_SIZE, HELLO_SUM_SIZE);
	write_u64(&w, XXH3_64bits(summed, len - HELLO_SUM_SIZE));
	check(summed, len);
	return 0;
}
