/* SPDX-License-Identifier: MIT */
#include "wire/rdma.h"

#include <errno.h>

#include "base/error.h"
#include "base/shape.h"
#include "base/text.h"
#include "wire/reader.h"

static const char magic[] = { 'D', 'R', 'V', 'R' };

static const char *const states[RDMA_STATES] = {
	[RDMA_ASKED] = "asked",         [RDMA_ENDED] = "ended",
	[RDMA_OFFERED] = "offered",     [RDMA_OPEN] = "open",
	[RDMA_DESTROYED] = "destroyed",
};

static void show_secret(char *buf, size_t cap, const void *at)
{
	text_hex(buf, cap, at, RDMA_SECRET);
}

static int parse_secret(void *at, const char *text, struct error *e)
{
	if (text_parse_hex(at, RDMA_SECRET, text) != RDMA_SECRET)
		return error_set(e, EINVAL, "%d hex digits", 2 * RDMA_SECRET);
	return 0;
}

static const struct shape_code secret_code = { show_secret, parse_secret };

#define AT(member) SHAPE_AT(struct rdma_pair_words, member)

static const struct shape_field pair_fields[] = {
	{ "number", SHAPE_NUMBER, SHAPE_NEEDED, AT(number), .least = 1,
	  .most = UINT32_MAX },
	{ "state", SHAPE_NAME, SHAPE_NEEDED, AT(state), .names = states,
	  .most = RDMA_STATES },
	{ "address", SHAPE_TEXT, SHAPE_OMIT, AT(address) },
	{ "secret", SHAPE_CODE, 0, AT(secret), .code = &secret_code },
	{ "port", SHAPE_NUMBER, SHAPE_OMIT, AT(port), .most = UINT16_MAX },
	{ "at", SHAPE_NUMBER, SHAPE_OMIT, AT(at) },
	{ "key", SHAPE_NUMBER, SHAPE_OMIT, AT(key), .most = UINT32_MAX },
	{ "buffers", SHAPE_NUMBER, SHAPE_OMIT, AT(buffers),
	  .most = RDMA_BUFFERS_MAX },
	{ "buffer_bytes", SHAPE_NUMBER, SHAPE_OMIT, AT(buffer_bytes),
	  .most = UINT32_MAX },
	{ "why", SHAPE_TEXT, SHAPE_OMIT, AT(why) },
};

static const struct shape pair_shape =
	SHAPE(struct rdma_pair_words, pair_fields);

static const struct shape_field words_fields[] = {
	{ "queue_pairs", SHAPE_LIST, SHAPE_NEEDED | SHAPE_INSIDE,
	  SHAPE_AT(struct rdma_words, pairs),
	  SHAPE_COUNT(struct rdma_words, pairs_count), .most = RDMA_PAIRS_MAX,
	  .of = &pair_shape },
};

const struct shape rdma_words_shape = SHAPE(struct rdma_words, words_fields);

char *rdma_words_text(const struct rdma_words *w)
{
	return shape_text(&rdma_words_shape, w);
}

int rdma_words_parse(struct rdma_words *ret, const void *text, size_t len,
		     struct error *e)
{
	*ret = (struct rdma_words){ 0 };
	return shape_parse(&rdma_words_shape, ret, text, len, SHAPE_MESSAGE,
			   e) < 0
		       ? error_in(e, "the peer's queue pairs")
		       : 0;
}

void rdma_greeting_write(const struct rdma_greeting *g,
			 uint8_t buf[RDMA_GREETING])
{
	struct writer w = writer_to(buf, RDMA_GREETING);

	write_bytes(&w, magic, sizeof(magic));
	write_u64(&w, g->session);
	write_u32(&w, g->number);
	write_bytes(&w, g->secret.bytes, RDMA_SECRET);
}

int rdma_greeting_check(const struct rdma_greeting *g, const void *data,
			size_t len)
{
	const uint8_t *came = data;
	uint8_t mine[RDMA_GREETING];
	uint8_t differ = 0;

	/* What follows is padding of the connection manager's. */
	if (!data || len < RDMA_GREETING)
		return -EACCES;
	rdma_greeting_write(g, mine);
	for (size_t i = 0; i < RDMA_GREETING; i++)
		differ |= (uint8_t)(mine[i] ^ came[i]);
	return differ ? -EACCES : 0;
}
