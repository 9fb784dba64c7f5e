/* SPDX-License-Identifier: MIT */
#include "nic/toeplitz.h"

#include <assert.h>
#include <string.h>

struct flow flow_reversed(const struct flow *f)
{
	struct flow back = *f;

	memcpy(back.from, f->to, sizeof(back.from));
	memcpy(back.to, f->from, sizeof(back.to));
	back.from_port = f->to_port;
	back.to_port = f->from_port;
	memcpy(back.from_mac, f->to_mac, sizeof(back.from_mac));
	memcpy(back.to_mac, f->from_mac, sizeof(back.to_mac));
	return back;
}

uint32_t toeplitz_hash(const uint8_t *key, const uint8_t *input, size_t len)
{
	uint32_t window = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 |
			  (uint32_t)key[2] << 8 | key[3];
	uint32_t hash = 0;

	for (size_t i = 0; i < len; i++) {
		for (int bit = 7; bit >= 0; bit--) {
			if (input[i] >> bit & 1)
				hash ^= window;
			window = window << 1 | (key[i + 4] >> bit & 1);
		}
	}
	return hash;
}

static size_t put(uint8_t *input, size_t at, const void *from, size_t len)
{
	memcpy(input + at, from, len);
	return at + len;
}

uint32_t toeplitz_flow(const uint8_t *key, const struct flow *f,
		       enum toeplitz_over over)
{
	const uint8_t ports[4] = {
		(uint8_t)(f->from_port >> 8),
		(uint8_t)f->from_port,
		(uint8_t)(f->to_port >> 8),
		(uint8_t)f->to_port,
	};
	size_t address = f->family == AF_INET ? 4 : 16;
	uint8_t input[TOEPLITZ_INPUT_MAX];
	size_t len = 0;

	len = put(input, len, f->from, address);
	len = put(input, len, f->to, address);
	if (over == TOEPLITZ_PORTS)
		len = put(input, len, ports, sizeof(ports));
	return toeplitz_hash(key, input, len);
}

bool rss_predictable(const struct nic_rss *rss)
{
	return rss->toeplitz && rss->table && rss->table_size > 0 && rss->key &&
	       rss->key_bytes >= TOEPLITZ_KEY_MIN;
}

unsigned rss_queue(const struct nic_rss *rss, const struct flow *f)
{
	assert(rss_predictable(rss));
	/* Tables are powers of two, and this then takes the lowest bits. */
	return rss->table[toeplitz_flow(rss->key, f, TOEPLITZ_PORTS) %
			  rss->table_size];
}
