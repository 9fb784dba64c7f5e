/* SPDX-License-Identifier: MIT */
#include "relay/pongs.h"

#include <string.h>

#include "qemu/split.h"

enum { VALUE_SIZE = 4, RP_PONG = 2 };

unsigned pongs_block(uint32_t value)
{
	return (value & ~(uint32_t)SPLIT_PING_MASK) >> 8;
}

static bool is_ours(uint32_t value)
{
	return (value & SPLIT_PING_MASK) == SPLIT_PING &&
	       pongs_block(value) < SPLIT_BLOCKS_MAX;
}

static uint32_t value_of(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	       (uint32_t)b[2] << 8 | b[3];
}

/* Of one whose header has been read. */
static bool is_pong(const struct return_path *p)
{
	return p->type == RP_PONG && !p->opaque;
}

/* What was held back is known: a frame's header, or a PONG. */
static void let_go(struct pongs *g, struct pongs_piece *ret)
{
	ret->data = g->held;
	ret->len = g->held_len;
	if (g->held_len == PONG_SIZE) {
		ret->value = value_of(g->held + PONG_SIZE - VALUE_SIZE);
		ret->ours = is_ours(ret->value);
	}
	if (ret->ours)
		ret->len = 0;
	g->held_len = 0;
}

size_t pongs_take(struct pongs *g, const uint8_t *data, size_t len,
		  struct pongs_piece *ret)
{
	bool in_head = g->path.payload_left == 0 && !g->path.opaque;
	size_t n = return_path_next(&g->path, data, len);

	*ret = (struct pongs_piece){ .data = data, .len = n };
	if (!in_head && g->held_len == 0)
		return n;
	memcpy(g->held + g->held_len, data, n);
	g->held_len += (unsigned)n;
	ret->len = 0;
	if (in_head && !g->path.at_head)
		return n; /* half a header */
	if (is_pong(&g->path) &&
	    g->held_len + g->path.payload_left == PONG_SIZE &&
	    g->path.payload_left > 0)
		return n;
	let_go(g, ret);
	ret->switchover_ack = return_path_is_switchover_ack(&g->path);
	return n;
}

void pongs_answer(struct pongs *g, uint8_t *data, size_t len,
		  uint8_t (*answer)(void *context, unsigned block),
		  void *context)
{
	for (size_t done = 0, n; done < len; done += n) {
		bool in_head = g->path.payload_left == 0;

		n = return_path_next(&g->path, data + done, len - done);
		if (in_head || g->path.opaque) {
			g->value_len = 0;
			continue;
		}
		if (!is_pong(&g->path))
			continue;
		for (size_t i = 0; i < n; i++)
			g->value = g->value << 8 | data[done + i];
		g->value_len += (unsigned)n;
		if (g->value_len == VALUE_SIZE && g->path.payload_left == 0 &&
		    is_ours(g->value))
			data[done + n - 1] =
				answer(context, pongs_block(g->value));
	}
}
