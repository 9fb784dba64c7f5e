/* SPDX-License-Identifier: MIT */
#include "qemu/return_path.h"

enum {
	RP_REQ_PAGES_ID = 3,
	RP_RESUME_ACK = 6,
	RP_SWITCHOVER_ACK = 7,
};

static size_t take_head(struct return_path *p, const uint8_t *data, size_t len)
{
	size_t n = 0;

	while (n < len && p->head_len < sizeof(p->head))
		p->head[p->head_len++] = data[n++];
	if (p->head_len < sizeof(p->head))
		return n;
	p->type = (uint16_t)(p->head[0] << 8 | p->head[1]);
	p->payload_left = (uint16_t)(p->head[2] << 8 | p->head[3]);
	p->head_len = 0;
	p->at_head = true;
	p->opaque = p->type >= RP_REQ_PAGES_ID && p->type <= RP_RESUME_ACK;
	return n;
}

size_t return_path_next(struct return_path *p, const uint8_t *data, size_t len)
{
	size_t n;

	p->at_head = false;
	if (p->opaque)
		return len;
	if (p->payload_left == 0)
		return take_head(p, data, len);
	n = len < p->payload_left ? len : p->payload_left;
	p->payload_left = (uint16_t)(p->payload_left - n);
	return n;
}

bool return_path_is_switchover_ack(const struct return_path *p)
{
	return p->at_head && p->type == RP_SWITCHOVER_ACK;
}
