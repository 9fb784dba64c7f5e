/* SPDX-License-Identifier: MIT */

/*
 * LZ4 blocks.  A block's end is the end of its input, so bytes behind it and a
 * block cut short are both errors of the library's checked decoder.
 */
#include <errno.h>
#include <lz4.h>
#include <stdlib.h>

#include "base/error.h"
#include "codec/codec.h"

static int lz4_open(void **ret, struct error *e)
{
	*ret = malloc((size_t)LZ4_sizeofState());
	if (!*ret)
		return error_set(e, ENOMEM, "no memory for its table");
	return 0;
}

static size_t lz4_press(void *context, int level, const uint8_t *in, size_t len,
			uint8_t *out, size_t cap)
{
	/* The library calls speed what goes the other way. */
	const int acceleration = 1;

	(void)level;
	return (size_t)LZ4_compress_fast_extState(context, (const char *)in,
						  (char *)out, (int)len,
						  (int)cap, acceleration);
}

static int lz4_expand(void *context, const uint8_t *in, size_t len,
		      uint8_t *out, size_t out_len, struct error *e)
{
	int got = LZ4_decompress_safe((const char *)in, (char *)out, (int)len,
				      (int)out_len);

	(void)context;
	if (got < 0)
		return error_set(e, EBADMSG,
				 "lz4 unit of %zu bytes is damaged, or more "
				 "than %zu bytes of pages",
				 len, out_len);
	if ((size_t)got != out_len)
		return error_set(e, EBADMSG,
				 "lz4 unit of %zu bytes holds %d bytes instead "
				 "of %zu",
				 len, got, out_len);
	return 0;
}

const struct codec codec_lz4 = {
	.name = "lz4",
	.lowest = 1,
	.highest = 1,
	.open = lz4_open,
	.close = free,
	.press = lz4_press,
	.expand = lz4_expand,
};
