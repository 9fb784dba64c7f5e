/* SPDX-License-Identifier: MIT */

/* QEMU's return path: every byte is handed on, and the acknowledgement is
 * found at the same place whatever the pieces were. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "qemu/return_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint64_t acks(const uint8_t *data, size_t len, size_t piece)
{
	struct return_path p = { 0 };
	uint64_t sum = 0;

	for (size_t at = 0; at < len;) {
		size_t left = len - at < piece ? len - at : piece;

		while (left > 0) {
			uint8_t *exact = malloc(left);
			size_t n;

			assert(exact);
			memcpy(exact, data + at, left);
			n = return_path_next(&p, exact, left);
			free(exact);
			assert(n > 0 && n <= left);
			at += n;
			left -= n;
			if (return_path_is_switchover_ack(&p))
				sum = sum * 31 + at;
		}
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return 0;
	assert(acks(data + 1, len - 1, 1) ==
	       acks(data + 1, len - 1, data[0] + 1u));
	return 0;
}
