/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

/* --- writing */

void stream_free(struct stream *s)
{
	free(s->data);
	*s = (struct stream){ 0 };
}

void stream_bytes(struct stream *s, const void *data, size_t len)
{
	if (s->len + len > s->cap) {
		s->cap = (s->len + len) * 2;
		s->data = realloc(s->data, s->cap);
		if (!s->data)
			abort();
	}
	if (len > 0)
		memcpy(s->data + s->len, data, len);
	s->len += len;
}

void stream_u8(struct stream *s, uint8_t v)
{
	stream_bytes(s, &v, 1);
}

void stream_u16(struct stream *s, uint16_t v)
{
	stream_u8(s, (uint8_t)(v >> 8));
	stream_u8(s, (uint8_t)v);
}

void stream_u32(struct stream *s, uint32_t v)
{
	stream_u16(s, (uint16_t)(v >> 16));
	stream_u16(s, (uint16_t)v);
}

void stream_u64(struct stream *s, uint64_t v)
{
	stream_u32(s, (uint32_t)(v >> 32));
	stream_u32(s, (uint32_t)v);
}

void stream_name(struct stream *s, const char *name)
{
	stream_u8(s, (uint8_t)strlen(name));
	stream_bytes(s, name, strlen(name));
}

void stream_header(struct stream *s)
{
	stream_bytes(s, "QEVM\0\0\0\3", 8);
}

void stream_configuration(struct stream *s, const char *machine)
{
	stream_u8(s, 7);
	stream_u32(s, (uint32_t)strlen(machine));
	stream_bytes(s, machine, strlen(machine));
}

void stream_subsection(struct stream *s, const char *name, const void *body,
		       size_t len)
{
	stream_u8(s, 5);
	stream_name(s, name);
	stream_u32(s, 1);
	stream_bytes(s, body, len);
}

void stream_command(struct stream *s, uint16_t command, const void *body,
		    uint16_t len)
{
	stream_u8(s, 8);
	stream_u16(s, command);
	stream_u16(s, len);
	stream_bytes(s, body, len);
}

void stream_start(struct stream *s, uint32_t id, const char *name,
		  uint32_t version)
{
	stream_u8(s, 1);
	stream_u32(s, id);
	stream_name(s, name);
	stream_u32(s, 0);
	stream_u32(s, version);
}

void stream_part(struct stream *s, uint32_t id)
{
	stream_u8(s, 2);
	stream_u32(s, id);
}

void stream_end(struct stream *s, uint32_t id)
{
	stream_u8(s, 3);
	stream_u32(s, id);
}

void stream_footer(struct stream *s, uint32_t id)
{
	stream_u8(s, 0x7e);
	stream_u32(s, id);
}

void stream_blocks(struct stream *s, const struct stream_block *b, size_t n)
{
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += b[i].len;
	stream_u64(s, total | 0x04);
	for (size_t i = 0; i < n; i++) {
		stream_name(s, b[i].name);
		stream_u64(s, b[i].len);
	}
}

void stream_page(struct stream *s, const char *block, uint64_t offset,
		 enum stream_page_kind kind, const void *body, size_t len)
{
	bool same = !strcmp(s->named, block);

	stream_u64(s, offset | (unsigned)kind | (same ? 0x20 : 0));
	if (!same) {
		stream_name(s, block);
		strcpy(s->named, block);
	}
	if (kind == PAGE_XBZRLE) {
		stream_u8(s, 1);
		stream_u16(s, (uint16_t)len);
	}
	stream_bytes(s, body, len);
}

void stream_eos(struct stream *s)
{
	stream_u64(s, 0x10);
}

/* --- reading: each step takes one whole item, or nothing */

enum { MORE = 0, DONE = 1, WRONG = -1 };

struct cursor {
	const uint8_t *at;
	size_t left;
	bool empty;
};

static const uint8_t *take(struct cursor *c, size_t n)
{
	const uint8_t *here = c->at;

	if (c->empty || n > c->left) {
		c->empty = true;
		return NULL;
	}
	c->at += n;
	c->left -= n;
	return here;
}

static uint64_t number(struct cursor *c, size_t bytes)
{
	const uint8_t *p = take(c, bytes);
	uint64_t v = 0;

	for (size_t i = 0; p && i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

static void name(struct cursor *c, char ret[256])
{
	size_t len = number(c, 1);
	const uint8_t *p = take(c, len);

	if (p)
		memcpy(ret, p, len);
	ret[p ? len : 0] = '\0';
}

static int read_section(struct stream_reader *r, struct cursor *c,
			unsigned type)
{
	uint32_t id = (uint32_t)number(c, 4);
	char device[256];

	if (type == 1) {
		name(c, device);
		number(c, 8);
		if (c->empty)
			return MORE;
		if (!strcmp(device, "ram"))
			r->ram_id = id;
		else if (!strcmp(device, "dirty-bitmap"))
			r->bitmap_id = id;
		else
			return WRONG;
	}
	if (c->empty)
		return MORE;
	if (id != r->ram_id && id != r->bitmap_id)
		return WRONG;
	r->section = id;
	r->state = id == r->ram_id ? READ_RAM : READ_BITMAP;
	r->ending = type == 3 && id == r->ram_id;
	return DONE;
}

static int read_type(struct stream_reader *r, struct cursor *c)
{
	unsigned type = (unsigned)number(c, 1);
	char text[256];

	if (c->empty)
		return MORE;
	if (type >= 1 && type <= 3)
		return read_section(r, c, type);
	switch (type) {
	case 5:
		name(c, text);
		number(c, 4);
		take(c, !strcmp(text, "configuration/uuid") ? 16 : 4);
		break;
	case 7:
		take(c, number(c, 4));
		break;
	case 8:
		number(c, 2);
		take(c, number(c, 2));
		break;
	default:
		return WRONG;
	}
	return c->empty ? MORE : DONE;
}

static int read_ram_page(struct stream_reader *r, struct cursor *c,
			 uint64_t head)
{
	unsigned kind = head & 0xfff & ~0x20u;
	char block[256];
	const uint8_t *body;
	size_t len;

	strcpy(block, r->block);
	if (!(head & 0x20))
		name(c, block);
	len = STREAM_PAGE;
	if (kind == PAGE_ZERO)
		len = 1;
	if (kind == PAGE_XBZRLE) {
		number(c, 1);
		len = number(c, 2);
	}
	body = take(c, len);
	if (c->empty)
		return MORE;
	if (block[0] == '\0')
		return WRONG;
	strcpy(r->block, block);
	r->ops->page(r->context, r->block, head & ~(uint64_t)0xfff,
		     (enum stream_page_kind)kind, body, len);
	return DONE;
}

static int read_ram(struct stream_reader *r, struct cursor *c)
{
	uint64_t head = number(c, 8);

	if (c->empty)
		return MORE;
	switch (head & 0xfff & ~0x20u) {
	case 0x04:
		r->list_left = head & ~(uint64_t)0xfff;
		r->state = READ_BLOCKS;
		return DONE;
	case 0x10:
		r->state = READ_FOOTER;
		return DONE;
	case PAGE_ZERO:
	case PAGE_DATA:
	case PAGE_XBZRLE:
		return read_ram_page(r, c, head);
	default:
		return WRONG;
	}
}

static int read_blocks(struct stream_reader *r, struct cursor *c)
{
	char block[256];
	uint64_t len;

	name(c, block);
	len = number(c, 8);
	if (c->empty)
		return MORE;
	if (len > r->list_left)
		return WRONG;
	r->list_left -= len;
	if (r->list_left == 0)
		r->state = READ_RAM;
	return DONE;
}

static int read_bitmap(struct stream_reader *r, struct cursor *c)
{
	unsigned flags = (unsigned)number(c, 1);
	char text[256];

	if (flags & 0x08)
		name(c, text);
	if (flags & 0x04)
		name(c, text);
	if (flags & 0x10)
		take(c, 5);
	if (flags & 0x40) {
		take(c, 12);
		if (!(flags & 0x02))
			take(c, number(c, 8));
	}
	if (c->empty)
		return MORE;
	if (flags & 0x01)
		r->state = READ_FOOTER;
	return DONE;
}

static int read_footer(struct stream_reader *r, struct cursor *c)
{
	bool is = number(c, 1) == 0x7e && number(c, 4) == r->section;

	if (c->empty)
		return MORE;
	if (!is)
		return WRONG;
	r->state = r->ending ? READ_REST : READ_TYPE;
	r->ops->footer(r->context, r->section);
	return DONE;
}

static int step(struct stream_reader *r, struct cursor *c)
{
	switch (r->state) {
	case READ_HEADER:
		if (c->left < 8)
			return MORE;
		r->state = READ_TYPE;
		return memcmp(take(c, 8), "QEVM\0\0\0\3", 8) ? WRONG : DONE;
	case READ_TYPE:
	case READ_CONFIGURATION:
		return read_type(r, c);
	case READ_RAM:
		return read_ram(r, c);
	case READ_BLOCKS:
		return read_blocks(r, c);
	case READ_BITMAP:
		return read_bitmap(r, c);
	case READ_FOOTER:
		return read_footer(r, c);
	case READ_REST:
		break;
	}
	return MORE;
}

void stream_reader_init(struct stream_reader *r,
			const struct stream_reader_ops *ops, void *context)
{
	*r = (struct stream_reader){ .ops = ops,
				     .context = context,
				     .ram_id = UINT32_MAX,
				     .bitmap_id = UINT32_MAX };
}

int stream_reader_feed(struct stream_reader *r, const void *data, size_t len)
{
	int got;

	stream_bytes(&r->in, data, len);
	do {
		struct cursor c = { r->in.data + r->used, r->in.len - r->used,
				    false };

		got = step(r, &c);
		if (got == DONE)
			r->used = r->in.len - c.left;
	} while (got == DONE);
	/* Forget what was read, now and then. */
	if (r->used > 1 << 20 && r->state != READ_REST) {
		memmove(r->in.data, r->in.data + r->used, r->in.len - r->used);
		r->in.len -= r->used;
		r->used = 0;
	}
	return got == WRONG ? -1 : 0;
}

void stream_reader_done(struct stream_reader *r)
{
	stream_free(&r->in);
}

const uint8_t *stream_reader_rest(const struct stream_reader *r, size_t *len)
{
	*len = r->in.len - r->used;
	return r->in.data + r->used;
}
