/* SPDX-License-Identifier: MIT */
#include "qemu/split.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "wire/reader.h"

enum {
	FILE_MAGIC = 0x5145564d, /* "QEVM" */
	FILE_VERSION = 3,
	RAM_VERSION = 4,

	/* Section types */
	T_START = 1,
	T_PART = 2,
	T_END = 3,
	T_FULL = 4,
	T_SUBSECTION = 5,
	T_CONFIGURATION = 7,
	T_COMMAND = 8,
	T_FOOTER = 0x7e,

	/* Flags of a RAM record */
	R_ZERO = 0x02,
	R_MEM_SIZE = 0x04,
	R_PAGE = 0x08,
	R_EOS = 0x10,
	R_CONTINUE = 0x20,
	R_XBZRLE = 0x40,
	R_MULTIFD_FLUSH = 0x200,
	R_FLAGS = 0xfff,

	/* Commands */
	C_OPEN_RETURN_PATH = 1,
	C_PING = 2,
	C_POSTCOPY_ADVISE = 3,
	C_PACKAGED = 7,
	C_COLO = 8,

	/* Chunks of a dirty-bitmap section */
	B_EOS = 0x01,
	B_ZEROES = 0x02,
	B_BITMAP_NAME = 0x04,
	B_NODE_NAME = 0x08,
	B_START = 0x10,
	B_COMPLETE = 0x20,
	B_BITS = 0x40,
	B_MORE = 0x80,

	CONFIG_NAME_MAX = 1024,
	XBZRLE_MAX = SPLIT_PAGE,
};

/* What a step of the parser says. */
enum step {
	STEP_FAILED = -1,
	STEP_MORE = 0, /* the record is not complete yet */
	STEP_DONE = 1,
	STEP_OPAQUE = 2, /* not known: leave it and all behind it alone */
};

struct block {
	char name[SPLIT_NAME_MAX + 1];
	uint64_t len;
	bool diverted;
	unsigned number;
};

struct target {
	char name[SPLIT_NAME_MAX + 1];
	uint64_t len;
	unsigned number;
};

struct splitter;
typedef enum step step_fn(struct splitter *s, struct reader *r,
			  struct error *e);

struct splitter {
	const struct split_ops *ops;
	void *context;
	struct split_stats stats;

	step_fn *state;
	step_fn *body;    /* of the section that has begun */
	bool ram_end;     /* it is RAM's END section */
	uint32_t section; /* its id */
	uint32_t ram_id, bitmap_id;
	bool have_ram, have_bitmap, begun, asked, diverting, answers;

	uint64_t list_left; /* bytes of the block list still to be named */
	uint64_t ram_bytes;
	uint64_t skip_left; /* bytes of a bitmap to copy */

	struct target target[SPLIT_BLOCKS_MAX];
	unsigned targets;
	struct block block[SPLIT_BLOCKS_MAX];
	unsigned blocks;

	struct block *in, *out; /* the two cursors */

	/* The last diverted page, to bring `out` to `in`; the bytes are in
	 * what is being fed, or kept here once that is gone. */
	uint64_t last_offset;
	const uint8_t *last_data; /* NULL for a zero page */
	uint8_t last_copy[SPLIT_PAGE];
};

static step_fn read_header, read_type, read_configuration, read_subsection,
	read_ram, read_block_list, read_bitmap, copy_bitmap, read_footer,
	pass_all;

int split_new(struct splitter **ret, const struct split_ops *ops, void *context,
	      struct error *e)
{
	struct splitter *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, ENOMEM, "no memory for the splitter");
	s->ops = ops;
	s->context = context;
	s->state = read_header;
	*ret = s;
	return 0;
}

void split_free(struct splitter *s)
{
	free(s);
}

int split_divert(struct splitter *s, const char *name, uint64_t len_bytes,
		 unsigned number, struct error *e)
{
	struct target *t = &s->target[s->targets];

	if (s->targets == SPLIT_BLOCKS_MAX)
		return error_set(e, E2BIG, "more than %d RAM blocks",
				 SPLIT_BLOCKS_MAX);
	if (strlen(name) > SPLIT_NAME_MAX)
		return error_set(e, EINVAL, "RAM block name too long: %s",
				 name);
	strcpy(t->name, name);
	t->len = len_bytes;
	t->number = number;
	s->targets++;
	return 0;
}

const char *split_name(const struct splitter *s, unsigned number)
{
	for (unsigned i = 0; i < s->targets; i++)
		if (s->target[i].number == number)
			return s->target[i].name;
	return "";
}

const struct split_stats *split_stats(const struct splitter *s)
{
	return &s->stats;
}

bool split_can_ask(const struct splitter *s)
{
	return s->answers && !s->ram_end;
}

uint64_t split_ram_bytes(const struct splitter *s)
{
	return s->ram_bytes;
}

/* --- forwarding */

static enum step forward(struct splitter *s, const void *data, size_t len,
			 struct error *e)
{
	if (len == 0)
		return STEP_DONE;
	s->stats.stream_bytes += len;
	return s->ops->stream(s->context, data, len, e) < 0 ? STEP_FAILED
							    : STEP_DONE;
}

/* Forwards what the step has read, from @start to where @r stands now. */
static enum step forward_read(struct splitter *s, const uint8_t *start,
			      const struct reader *r, struct error *e)
{
	return forward(s, start, (size_t)(r->at - start), e);
}

static enum step go_opaque(struct splitter *s, const char *why)
{
	snprintf(s->stats.why_opaque, sizeof(s->stats.why_opaque), "%.79s",
		 why);
	return STEP_OPAQUE;
}

/* Something unknown inside a section that is not RAM: no record can be put in
 * there that would bring the destination's cursor to the source's. */
static enum step leave_section(struct splitter *s, const char *why,
			       struct error *e)
{
	if (s->in == s->out)
		return go_opaque(s, why);
	error_set(e, EBADMSG,
		  "migration stream: %s, after pages were taken out", why);
	return STEP_FAILED;
}

/* A page record under the second cursor. */
static enum step forward_record(struct splitter *s, uint64_t offset,
				unsigned kind, const void *body, size_t len,
				struct error *e)
{
	uint8_t buf[8 + 1 + SPLIT_NAME_MAX];
	struct writer w = writer_to(buf, sizeof(buf));
	size_t name = strlen(s->in->name);

	if (s->out == s->in) {
		write_u64(&w, offset | kind | R_CONTINUE);
	} else {
		write_u64(&w, offset | kind);
		write_u8(&w, (uint8_t)name);
		write_bytes(&w, s->in->name, name);
		s->out = s->in;
	}
	if (forward(s, buf, writer_used(&w), e) == STEP_FAILED)
		return STEP_FAILED;
	return forward(s, body, len, e);
}

/* --- the frame around the sections */

static void read_name(struct reader *r, char ret[SPLIT_NAME_MAX + 1])
{
	uint8_t len = read_u8(r);
	const void *name = reader_take(r, len);

	if (name)
		memcpy(ret, name, len);
	ret[name ? len : 0] = '\0';
}

static enum step read_header(struct splitter *s, struct reader *r,
			     struct error *e)
{
	const uint8_t *start = r->at;
	uint32_t magic = read_u32(r), version = read_u32(r);

	if (r->bad)
		return STEP_MORE;
	if (magic != FILE_MAGIC || version != FILE_VERSION)
		return go_opaque(s, "not the main migration stream");
	s->state = read_type;
	return forward_read(s, start, r, e);
}

static enum step read_configuration(struct splitter *s, struct reader *r,
				    struct error *e)
{
	const uint8_t *start = r->at;
	uint32_t len = read_u32(r);

	if (r->bad)
		return STEP_MORE;
	if (len > CONFIG_NAME_MAX)
		return go_opaque(s, "long machine name");
	reader_take(r, len);
	if (r->bad)
		return STEP_MORE;
	s->state = read_subsection;
	return forward_read(s, start, r, e);
}

/* Loops while a subsection mark follows; there is no other end. */
static enum step read_subsection(struct splitter *s, struct reader *r,
				 struct error *e)
{
	const uint8_t *start = r->at;
	char name[SPLIT_NAME_MAX + 1];
	uint32_t bits = 12;

	if (reader_left(r) > 0 && *r->at != T_SUBSECTION) {
		s->state = read_type;
		return STEP_DONE;
	}
	read_u8(r);
	read_name(r, name);
	read_u32(r);
	if (r->bad)
		return STEP_MORE;
	if (!strcmp(name, "configuration/uuid"))
		reader_take(r, 16);
	else if (!strcmp(name, "configuration/target-page-bits"))
		bits = read_u32(r);
	else /* x-ignore-shared and mapped-ram change the format */
		return go_opaque(s, "unknown configuration");
	if (r->bad)
		return STEP_MORE;
	if (bits != 12)
		return go_opaque(s, "pages that are not of 4 KiB");
	return forward_read(s, start, r, e);
}

static enum step begins(struct splitter *s, struct error *e)
{
	if (s->ops->begins && s->ops->begins(s->context, e) < 0)
		return STEP_FAILED;
	return STEP_DONE;
}

static enum step begin_body(struct splitter *s, uint32_t id, const char *name,
			    unsigned type, struct error *e)
{
	if (type == T_END && s->ops->ending &&
	    s->ops->ending(s->context, e) < 0)
		return STEP_FAILED;
	if (type != T_START && !s->begun) {
		s->begun = true;
		if (begins(s, e) == STEP_FAILED)
			return STEP_FAILED;
	}
	s->section = id;
	s->ram_end = false;
	if (s->have_ram && id == s->ram_id) {
		s->body = read_ram;
		s->ram_end = type == T_END;
	} else if (s->have_bitmap && id == s->bitmap_id) {
		s->body = read_bitmap;
	} else {
		return go_opaque(s, name);
	}
	s->state = s->body;
	return STEP_DONE;
}

static enum step read_start(struct splitter *s, struct reader *r,
			    const uint8_t *start, struct error *e)
{
	char name[SPLIT_NAME_MAX + 1];
	uint32_t id, instance, version;
	enum step step;

	id = read_u32(r);
	read_name(r, name);
	instance = read_u32(r);
	version = read_u32(r);
	if (r->bad)
		return STEP_MORE;
	if (!strcmp(name, "ram") && instance == 0 && version == RAM_VERSION &&
	    !s->have_ram) {
		s->have_ram = true;
		s->ram_id = id;
	} else if (!strcmp(name, "dirty-bitmap") && !s->have_bitmap) {
		s->have_bitmap = true;
		s->bitmap_id = id;
	}
	step = begin_body(s, id, name, T_START, e);
	return step == STEP_DONE ? forward_read(s, start, r, e) : step;
}

static enum step read_part(struct splitter *s, struct reader *r,
			   const uint8_t *start, unsigned type, struct error *e)
{
	uint32_t id = read_u32(r);
	enum step step;

	if (r->bad)
		return STEP_MORE;
	step = begin_body(s, id, "section of an unknown device", type, e);
	return step == STEP_DONE ? forward_read(s, start, r, e) : step;
}

static enum step read_command(struct splitter *s, struct reader *r,
			      const uint8_t *start, struct error *e)
{
	uint16_t command = read_u16(r), len = read_u16(r);

	reader_take(r, len);
	if (r->bad)
		return STEP_MORE;
	if (command == C_POSTCOPY_ADVISE && len > 0)
		return go_opaque(s, "post-copy was advised");
	if (command == C_PACKAGED || command == C_COLO)
		return go_opaque(s, "a packaged or COLO stream");
	s->answers |= command == C_OPEN_RETURN_PATH;
	return forward_read(s, start, r, e);
}

static enum step read_type(struct splitter *s, struct reader *r,
			   struct error *e)
{
	const uint8_t *start = r->at;
	uint8_t type = read_u8(r);

	if (r->bad)
		return STEP_MORE;
	switch (type) {
	case T_CONFIGURATION:
		s->state = read_configuration;
		return forward_read(s, start, r, e);
	case T_START:
		return read_start(s, r, start, e);
	case T_PART:
	case T_END:
		return read_part(s, r, start, type, e);
	case T_COMMAND:
		return read_command(s, r, start, e);
	case T_FULL:
		return go_opaque(s, "an early device section");
	default:
		return go_opaque(s, "unknown section type");
	}
}

static enum step read_footer(struct splitter *s, struct reader *r,
			     struct error *e)
{
	const uint8_t *start = r->at;
	uint8_t type = read_u8(r);
	uint32_t id = read_u32(r);

	if (r->bad)
		return STEP_MORE;
	/* Machine types before 2.4 have no footers: seen at the end of the
	 * first section, before the first page. */
	if (type != T_FOOTER || id != s->section)
		return leave_section(s, "a section without its footer", e);
	s->state = s->ram_end ? pass_all : read_type;
	s->stats.ram_done = s->ram_end;
	return forward_read(s, start, r, e);
}

/* --- RAM */

static const struct target *target_of(const struct splitter *s,
				      const char *name)
{
	for (unsigned i = 0; i < s->targets; i++)
		if (!strcmp(s->target[i].name, name))
			return &s->target[i];
	return NULL;
}

static struct block *block_of(struct splitter *s, const char *name)
{
	for (unsigned i = 0; i < s->blocks; i++)
		if (!strcmp(s->block[i].name, name))
			return &s->block[i];
	return NULL;
}

static enum step fail(struct error *e, const char *what, uint64_t value)
{
	error_set(e, EBADMSG, "migration stream: %s (%#" PRIx64 ")", what,
		  value);
	return STEP_FAILED;
}

static enum step read_block_list(struct splitter *s, struct reader *r,
				 struct error *e)
{
	const uint8_t *start = r->at;
	struct block *b = &s->block[s->blocks];
	const struct target *t;

	if (s->blocks == SPLIT_BLOCKS_MAX)
		return fail(e, "too many RAM blocks", s->blocks);
	read_name(r, b->name);
	b->len = read_u64(r);
	if (r->bad)
		return STEP_MORE;
	if (b->name[0] == '\0' || block_of(s, b->name))
		return fail(e, "RAM block named twice or not at all", b->len);
	if (b->len == 0 || b->len > s->list_left)
		return fail(e, "RAM block longer than all of RAM", b->len);
	t = target_of(s, b->name);
	if (t && t->len >= b->len) {
		b->diverted = true;
		b->number = t->number;
	}
	s->list_left -= b->len;
	s->blocks++;
	if (s->list_left == 0)
		s->state = read_ram;
	return forward_read(s, start, r, e);
}

/* Brings the destination's cursor to the source's, inside a RAM section. */
static enum step repeat_last_page(struct splitter *s, struct error *e)
{
	static const uint8_t zero;

	if (!s->in || s->in == s->out || !s->in->diverted)
		return STEP_DONE;
	return s->last_data
		       ? forward_record(s, s->last_offset, R_PAGE, s->last_data,
					SPLIT_PAGE, e)
		       : forward_record(s, s->last_offset, R_ZERO, &zero, 1, e);
}

/* Something in the middle of a RAM section that is not known: all records up
 * to here are whole, so the stream can be handed on from exactly here. */
static enum step leave_ram(struct splitter *s, const char *why, struct error *e)
{
	if (repeat_last_page(s, e) == STEP_FAILED)
		return STEP_FAILED;
	return go_opaque(s, why);
}

static void diverted(struct splitter *s, uint64_t offset, const uint8_t *data)
{
	if (data)
		s->stats.pages++;
	else
		s->stats.zero_pages++;
	s->last_offset = offset;
	s->last_data = data;
}

static enum step keep(struct splitter *s, uint64_t offset, unsigned kind,
		      const uint8_t *body, size_t len, struct error *e)
{
	s->stats.kept_pages++;
	return forward_record(s, offset, kind, body, len, e);
}

/* Between two records of a RAM section: its end, a PING, and another one's
 * beginning, once the answer is there. */
static enum step ask(struct splitter *s, struct error *e)
{
	uint8_t buf[8 + 5 + 5 + 4 + 5];
	struct writer w = writer_to(buf, sizeof(buf));
	size_t before;

	write_u64(&w, R_EOS);
	write_u8(&w, T_FOOTER);
	write_u32(&w, s->ram_id);
	write_u8(&w, T_COMMAND);
	write_u16(&w, C_PING);
	write_u16(&w, sizeof(uint32_t));
	write_u32(&w, split_ping(s->in->number));
	before = writer_used(&w);
	write_u8(&w, T_PART);
	write_u32(&w, s->ram_id);
	if (forward(s, buf, before, e) == STEP_FAILED ||
	    s->ops->asked(s->context, s->in->number, e) < 0)
		return STEP_FAILED;
	return forward(s, buf + before, writer_used(&w) - before, e);
}

/* A record of a block whose pages are diverted. */
static enum step divert(struct splitter *s, uint64_t offset, unsigned kind,
			const uint8_t *body, size_t len, struct error *e)
{
	const uint8_t *data = kind == R_PAGE ? body : NULL;
	int what = SPLIT_STAYS;
	enum step step;

	if (kind == R_PAGE || (kind == R_ZERO && *body == 0))
		what = s->ops->page(s->context, s->in->number, offset, data, e);
	if (what < 0)
		return STEP_FAILED;
	if (what == SPLIT_TAKEN) {
		diverted(s, offset, data);
		return STEP_DONE;
	}
	if (what == SPLIT_STAYS)
		s->ops->stays(s->context, s->in->number, offset);
	step = keep(s, offset, kind, body, len, e);
	return step == STEP_DONE && what == SPLIT_ASKS ? ask(s, e) : step;
}

/* The body of a page record: its length by its kind. */
static const uint8_t *read_body(struct reader *r, unsigned kind,
				size_t *ret_len, struct error *e)
{
	const uint8_t *start = r->at;
	uint16_t len;

	switch (kind) {
	case R_ZERO:
		read_u8(r);
		break;
	case R_PAGE:
		reader_take(r, SPLIT_PAGE);
		break;
	default: /* XBZRLE */
		read_u8(r);
		len = read_u16(r);
		if (!r->bad && len > XBZRLE_MAX) {
			fail(e, "XBZRLE record too long", len);
			return NULL;
		}
		reader_take(r, len);
	}
	*ret_len = (size_t)(r->at - start);
	return start;
}

static enum step read_page(struct splitter *s, struct reader *r,
			   uint64_t offset, unsigned flags, struct error *e)
{
	unsigned kind = flags & ~(unsigned)R_CONTINUE;
	struct block *was = s->in;
	char name[SPLIT_NAME_MAX + 1];
	const uint8_t *body;
	size_t len;

	if (!(flags & R_CONTINUE)) {
		read_name(r, name);
		if (r->bad)
			return STEP_MORE;
		s->in = block_of(s, name);
	}
	if (!s->in || offset >= s->in->len)
		return fail(e, "page outside of every RAM block", offset);
	body = read_body(r, kind, &len, e);
	if (!body)
		return STEP_FAILED;
	if (r->bad) {
		s->in = was;
		return STEP_MORE;
	}
	return s->diverting && s->in->diverted
		       ? divert(s, offset, kind, body, len, e)
		       : keep(s, offset, kind, body, len, e);
}

static bool is_page(unsigned flags)
{
	unsigned kind = flags & ~(unsigned)R_CONTINUE;

	return kind == R_ZERO || kind == R_PAGE || kind == R_XBZRLE;
}

static enum step read_ram(struct splitter *s, struct reader *r, struct error *e)
{
	const uint8_t *start = r->at;
	uint64_t head = read_u64(r), offset = head & ~(uint64_t)R_FLAGS;
	unsigned flags = head & R_FLAGS;

	if (r->bad)
		return STEP_MORE;
	if (is_page(flags)) {
		if (!s->asked) {
			s->asked = true;
			if (begins(s, e) == STEP_FAILED)
				return STEP_FAILED;
			s->diverting = s->ops->may_divert(s->context);
		}
		return read_page(s, r, offset, flags, e);
	}
	if (flags == R_EOS) {
		s->state = read_footer;
		return forward_read(s, start, r, e);
	}
	if (flags == R_MULTIFD_FLUSH)
		return forward_read(s, start, r, e);
	if (flags != R_MEM_SIZE || s->ram_bytes != 0)
		return leave_ram(s, "an unknown kind of page", e);
	s->ram_bytes = s->list_left = offset;
	if (s->list_left > 0)
		s->state = read_block_list;
	return forward_read(s, start, r, e);
}

/* --- dirty bitmaps */

static enum step read_bitmap(struct splitter *s, struct reader *r,
			     struct error *e)
{
	const uint8_t *start = r->at;
	uint8_t flags = read_u8(r);
	char name[SPLIT_NAME_MAX + 1];

	if (flags & B_MORE)
		return leave_section(s, "an unknown kind of bitmap", e);
	if (flags & B_NODE_NAME)
		read_name(r, name);
	if (flags & B_BITMAP_NAME)
		read_name(r, name);
	if (flags & B_START)
		reader_take(r, 5);
	s->skip_left = 0;
	if (flags & B_BITS) {
		reader_take(r, 12);
		if (!(flags & B_ZEROES))
			s->skip_left = read_u64(r);
	}
	if (r->bad)
		return STEP_MORE;
	if (s->skip_left > 0)
		s->state = copy_bitmap;
	else if (flags & B_EOS)
		s->state = read_footer;
	return forward_read(s, start, r, e);
}

static enum step copy_bitmap(struct splitter *s, struct reader *r,
			     struct error *e)
{
	const uint8_t *start = r->at;
	size_t n = reader_left(r);

	if (n > s->skip_left)
		n = s->skip_left;
	if (n == 0)
		return STEP_MORE;
	reader_take(r, n);
	s->skip_left -= n;
	if (s->skip_left == 0)
		s->state = read_bitmap;
	return forward_read(s, start, r, e);
}

static enum step pass_all(struct splitter *s, struct reader *r, struct error *e)
{
	const uint8_t *start = r->at;

	if (reader_left(r) == 0)
		return STEP_MORE;
	reader_take(r, reader_left(r));
	return forward_read(s, start, r, e);
}

/* --- feeding */

/* What is being fed goes away; the last page may still be needed. */
static void keep_last_page(struct splitter *s)
{
	if (!s->last_data || s->last_data == s->last_copy)
		return;
	memcpy(s->last_copy, s->last_data, SPLIT_PAGE);
	s->last_data = s->last_copy;
}

/* Between sections the destination's cursor is mended by a section of our
 * own; inside a RAM section leave_ram() has done it already. */
static enum step mend_cursor(struct splitter *s, struct error *e)
{
	uint8_t head[5] = { T_PART }, tail[13] = { 0 };
	struct writer h = writer_to(head + 1, 4), t = writer_to(tail, 13);

	if (!s->in || s->in == s->out || !s->in->diverted)
		return STEP_DONE;
	write_u32(&h, s->ram_id);
	write_u64(&t, R_EOS);
	write_u8(&t, T_FOOTER);
	write_u32(&t, s->ram_id);
	if (forward(s, head, sizeof(head), e) == STEP_FAILED ||
	    repeat_last_page(s, e) == STEP_FAILED)
		return STEP_FAILED;
	return forward(s, tail, sizeof(tail), e);
}

static enum step turn_opaque(struct splitter *s, struct error *e)
{
	s->stats.opaque = true;
	if (s->state == read_type && mend_cursor(s, e) == STEP_FAILED)
		return STEP_FAILED;
	s->state = pass_all;
	return STEP_DONE;
}

ssize_t split_feed(struct splitter *s, const uint8_t *data, size_t len,
		   struct error *e)
{
	struct reader r = reader_of(data, len);
	enum step step;

	do {
		const struct reader before = r;

		step = s->state(s, &r, e);
		if (step == STEP_OPAQUE || step == STEP_MORE)
			r = before;
		if (step == STEP_OPAQUE)
			step = turn_opaque(s, e);
	} while (step == STEP_DONE);
	keep_last_page(s);
	return step == STEP_FAILED ? error_code(e) : r.at - data;
}
