/* SPDX-License-Identifier: MIT */

/*
 * Zstandard frames.  A sender knows a unit's size and finds repeats anywhere in
 * it, so its frames are single segments: no window is larger than the unit, and
 * the decoder, which writes straight to its output, needs none of its own.
 * Frames of any other form are refused before the library sees them; that
 * leaves out old formats, dictionaries and skippable frames too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/error.h"
#include "base/scope.h"
#include "codec/codec.h"

/* RFC 8878, 3.1.1.1.1: the descriptor behind the magic number.  Its two top
 * bits tell how wide the size is; of the rest only "single segment" is set. */
enum { DESCRIPTOR_AT = 4, DESCRIPTOR_FORM = 0x3f, SINGLE_SEGMENT = 0x20 };

static const uint8_t magic[DESCRIPTOR_AT] = { 0x28, 0xb5, 0x2f, 0xfd };

struct zstd {
	ZSTD_CCtx *press;
	ZSTD_DCtx *expand;
};

static void zstd_close(void *context)
{
	struct zstd *z = context;

	ZSTD_freeCCtx(z->press);
	ZSTD_freeDCtx(z->expand);
	free(z);
}

static int zstd_open(void **ret, struct error *e)
{
	AUTO_FREE struct zstd *z = calloc(1, sizeof(*z));

	if (!z)
		return error_set(e, ENOMEM, "no memory");
	z->press = ZSTD_createCCtx();
	z->expand = ZSTD_createDCtx();
	if (!z->press || !z->expand) {
		zstd_close(take_ptr(&z));
		return error_set(e, ENOMEM, "no memory for its contexts");
	}
	*ret = take_ptr(&z);
	return 0;
}

/* The library takes its tables at the first unit of a level (0.6 MB at level 1,
 * 3.7 MB at 6) and may give back what a lower one does not need.  Where it gets
 * none, the unit does not fit, and goes as it is. */
static size_t zstd_press(void *context, int level, const uint8_t *in,
			 size_t len, uint8_t *out, size_t cap)
{
	struct zstd *z = context;
	size_t used = ZSTD_compressCCtx(z->press, out, cap, in, len, level);

	return ZSTD_isError(used) ? 0 : used;
}

static int frame_check(const uint8_t *in, size_t len, size_t out_len,
		       struct error *e)
{
	unsigned long long claimed;
	size_t end;

	if (len <= DESCRIPTOR_AT || memcmp(in, magic, sizeof(magic)) != 0 ||
	    (in[DESCRIPTOR_AT] & DESCRIPTOR_FORM) != SINGLE_SEGMENT)
		return error_set(e, EBADMSG,
				 "zstd unit of %zu bytes: not a frame of one "
				 "segment",
				 len);
	claimed = ZSTD_getFrameContentSize(in, len);
	if (claimed == ZSTD_CONTENTSIZE_ERROR)
		return error_set(e, EBADMSG, "zstd unit of %zu bytes: no size",
				 len);
	if (claimed != out_len)
		return error_set(e, EBADMSG,
				 "zstd unit claims %llu bytes instead of %zu",
				 claimed, out_len);
	end = ZSTD_findFrameCompressedSize(in, len);
	if (ZSTD_isError(end))
		return error_set(e, EBADMSG, "zstd unit of %zu bytes: %s", len,
				 ZSTD_getErrorName(end));
	if (end != len)
		return error_set(e, EBADMSG,
				 "zstd unit with %zu bytes behind its end",
				 len - end);
	return 0;
}

static int zstd_expand(void *context, const uint8_t *in, size_t len,
		       uint8_t *out, size_t out_len, struct error *e)
{
	struct zstd *z = context;
	size_t got;

	if (frame_check(in, len, out_len, e) < 0)
		return error_code(e);
	got = ZSTD_decompressDCtx(z->expand, out, out_len, in, len);
	if (ZSTD_isError(got))
		return error_set(e, EBADMSG, "zstd unit of %zu bytes: %s", len,
				 ZSTD_getErrorName(got));
	if (got != out_len)
		return error_set(e, EBADMSG,
				 "zstd unit of %zu bytes holds %zu bytes "
				 "instead of %zu",
				 len, got, out_len);
	return 0;
}

const struct codec codec_zstd = {
	.name = "zstd",
	.lowest = 1,
	.highest = 6,
	.open = zstd_open,
	.close = zstd_close,
	.press = zstd_press,
	.expand = zstd_expand,
};
