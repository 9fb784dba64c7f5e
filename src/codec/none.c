/* SPDX-License-Identifier: MIT */

/* Pages as they are, so that nobody else has to know the exception. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "codec/codec.h"

static int none_open(void **ret, struct error *e)
{
	(void)e;
	*ret = NULL;
	return 0;
}

static void none_close(void *context)
{
	(void)context;
}

static size_t none_press(void *context, int level, const uint8_t *in,
			 size_t len, uint8_t *out, size_t cap)
{
	(void)context;
	(void)level;
	if (len > cap)
		return 0;
	memcpy(out, in, len);
	return len;
}

static int none_expand(void *context, const uint8_t *in, size_t len,
		       uint8_t *out, size_t out_len, struct error *e)
{
	(void)context;
	if (len != out_len)
		return error_set(e, EBADMSG,
				 "%zu bytes instead of %zu bytes of pages", len,
				 out_len);
	memcpy(out, in, len);
	return 0;
}

const struct codec codec_none = {
	.name = "none",
	.open = none_open,
	.close = none_close,
	.press = none_press,
	.expand = none_expand,
};
