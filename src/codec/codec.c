/* SPDX-License-Identifier: MIT */
#include "codec/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"

static const struct codec *const codecs[CODECS] = {
	[CODEC_NONE] = &codec_none,
	[CODEC_LZ4] = &codec_lz4,
	[CODEC_ZSTD] = &codec_zstd,
};

struct codec_state {
	void *context[CODECS];
	/* Pieces put together: neither library looks for repeats across
	 * pieces without copying them first. */
	uint8_t gathered[CODEC_UNIT_MAX];
};

const struct codec *codec_get(unsigned id)
{
	return id < CODECS ? codecs[id] : NULL;
}

int codec_find(const char *name)
{
	for (int i = 0; i < CODECS; i++)
		if (!strcmp(codecs[i]->name, name))
			return i;
	return -1;
}

static void scope_state(struct codec_state *const *s)
{
	codec_state_free(*s);
}

int codec_state_new(struct codec_state **ret, struct error *e)
{
	SCOPED(scope_state)
	struct codec_state *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, ENOMEM, "no memory for codecs");
	for (int i = 0; i < CODECS; i++)
		if (codecs[i]->open(&s->context[i], e) < 0)
			return error_in(e, "codec %s", codecs[i]->name);
	*ret = take_ptr(&s);
	return 0;
}

void codec_state_free(struct codec_state *s)
{
	if (!s)
		return;
	for (int i = 0; i < CODECS; i++)
		if (s->context[i])
			codecs[i]->close(s->context[i]);
	free(s);
}

static size_t pieces_size(const struct iovec *in, int n)
{
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += in[i].iov_len;
	return len;
}

/* The pieces as one, copied only where they are several. */
static const uint8_t *gather(struct codec_state *s, const struct iovec *in,
			     int n)
{
	uint8_t *to = s->gathered;

	if (n == 1)
		return in[0].iov_base;
	for (int i = 0; i < n; i++) {
		if (in[i].iov_len > 0)
			memcpy(to, in[i].iov_base, in[i].iov_len);
		to += in[i].iov_len;
	}
	return s->gathered;
}

size_t codec_press(struct codec_state *s, struct codec_choice how,
		   const struct iovec *in, int n, uint8_t *out, size_t cap)
{
	const struct codec *c = codec_get(how.id);
	size_t len = pieces_size(in, n), most;

	assert(c && len <= CODEC_UNIT_MAX);
	assert(how.level >= c->lowest && how.level <= c->highest);
	if (len == 0)
		return 0;
	most = how.id == CODEC_NONE ? len : len - 1;
	return c->press(s->context[how.id], how.level, gather(s, in, n), len,
			out, cap < most ? cap : most);
}

int codec_expand(struct codec_state *s, struct codec_unit unit, uint8_t *out,
		 size_t out_len, struct error *e)
{
	const struct codec *c = codec_get(unit.id);
	bool alike = unit.id == CODEC_NONE;

	assert(out_len <= CODEC_UNIT_MAX);
	if (!c)
		return error_set(e, EBADMSG, "unknown codec %u", unit.id);
	if (unit.len == 0 || unit.len > out_len ||
	    (unit.len == out_len && !alike))
		return error_set(e, EBADMSG,
				 "%s unit of %zu bytes for %zu bytes of pages",
				 c->name, unit.len, out_len);
	return c->expand(s->context[unit.id], unit.data, unit.len, out, out_len,
			 e);
}
