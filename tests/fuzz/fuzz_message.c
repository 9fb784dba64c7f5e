/* SPDX-License-Identifier: MIT */

/* A message of a peer: whatever is read is written so that it reads the same,
 * and what is refused has a reason and leaves nothing behind. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Parsed and written: the text, on the heap. */
static char *round_trip(const void *from, size_t len)
{
	struct message m;
	struct error e = { 0 };
	char *text = NULL;

	if (message_parse(&m, from, len, &e) < 0) {
		assert(e.code > 0 && e.text[0]);
	} else if (m.type != MESSAGE_UNKNOWN) {
		text = message_text(&m);
		assert(text);
	}
	message_done(&m);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *once = round_trip(data, len);

	if (once) {
		char *twice = round_trip(once, strlen(once));

		assert(twice && !strcmp(once, twice));
		free(twice);
	}
	free(once);
	return 0;
}
