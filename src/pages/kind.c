/* SPDX-License-Identifier: MIT */
#include "pages/kind.h"

#include <errno.h>
#include <inttypes.h>

#include "base/error.h"
#include "base/text.h"

int block_failed(const struct block *b, const char *verb, uint64_t offset,
		 uint64_t len, struct error *e)
{
	char size[32];
	int code = errno;

	text_bytes(size, sizeof(size), len);
	errno = code;
	return error_sys(e, "%s %s of %s at 0x%" PRIx64, verb, size,
			 b->public.name, offset);
}
