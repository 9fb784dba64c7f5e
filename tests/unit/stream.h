/* SPDX-License-Identifier: MIT */

/*
 * QEMU's migration stream for tests: a writer that can also write what no QEMU
 * would, and a reader that shares nothing with the splitter.  Both know blocks
 * by their names only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STREAM_PAGE = 4096, STREAM_BLOCKS = 8 };

enum stream_page_kind {
	PAGE_ZERO = 0x02,
	PAGE_DATA = 0x08,
	PAGE_XBZRLE = 0x40,
};

/* --- writing; grows as needed */

struct stream {
	uint8_t *data;
	size_t len, cap;
	char named[256]; /* the block that the last page record named */
};

struct stream_block {
	const char *name;
	uint64_t len;
};

void stream_free(struct stream *s);
void stream_bytes(struct stream *s, const void *data, size_t len);
void stream_u8(struct stream *s, uint8_t v);
void stream_u16(struct stream *s, uint16_t v);
void stream_u32(struct stream *s, uint32_t v);
void stream_u64(struct stream *s, uint64_t v);
void stream_name(struct stream *s, const char *name);

void stream_header(struct stream *s);
void stream_configuration(struct stream *s, const char *machine);
void stream_subsection(struct stream *s, const char *name, const void *body,
		       size_t len);
void stream_command(struct stream *s, uint16_t command, const void *body,
		    uint16_t len);
void stream_start(struct stream *s, uint32_t id, const char *name,
		  uint32_t version);
void stream_part(struct stream *s, uint32_t id);
void stream_end(struct stream *s, uint32_t id);
void stream_footer(struct stream *s, uint32_t id);
void stream_blocks(struct stream *s, const struct stream_block *b, size_t n);
/* Says CONTINUE when the block is the one of the record before. */
void stream_page(struct stream *s, const char *block, uint64_t offset,
		 enum stream_page_kind kind, const void *body, size_t len);
void stream_eos(struct stream *s);

/* --- reading; fed with more bytes until the RAM END section's footer */

struct stream_reader_ops {
	void (*page)(void *context, const char *block, uint64_t offset,
		     enum stream_page_kind kind, const uint8_t *body,
		     size_t len);
	/* A section has ended. */
	void (*footer)(void *context, uint32_t id);
};

struct stream_reader {
	const struct stream_reader_ops *ops;
	void *context;

	struct stream in;
	size_t used;
	enum {
		READ_HEADER,
		READ_TYPE,
		READ_CONFIGURATION,
		READ_RAM,
		READ_BLOCKS,
		READ_BITMAP,
		READ_FOOTER,
		READ_REST,
	} state;
	uint32_t section, ram_id, bitmap_id;
	uint64_t list_left;
	bool ending, footers;
	char block[256];
};

void stream_reader_init(struct stream_reader *r,
			const struct stream_reader_ops *ops, void *context);
/* 0, or -1 when it is no migration stream. */
int stream_reader_feed(struct stream_reader *r, const void *data, size_t len);
void stream_reader_done(struct stream_reader *r);
/* What follows RAM's end. */
const uint8_t *stream_reader_rest(const struct stream_reader *r, size_t *len);
