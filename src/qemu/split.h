/* SPDX-License-Identifier: MIT */

/*
 * The splitter: reads QEMU's migration stream (7.2 to 10.x, x86) and takes the
 * pages of some RAM blocks out of it.  What is left is again a valid stream.
 *
 * It is fed whatever bytes have arrived and calls back with pages and with
 * bytes to forward, in stream order.  It does no I/O and knows no threads.
 *
 * The format has no lengths around section bodies, so everything up to the end
 * of the last RAM section is parsed by its grammar.  Whatever is not known for
 * sure (a flag, a section, a command, a capability, post-copy) makes the rest
 * of the stream opaque: forwarded as it is, nothing diverted any more.  After
 * the footer of the RAM END section a pre-copy stream has no RAM pages, so
 * from there on it is opaque by plan.
 *
 * Page records name their block only when it differs from the one before
 * (flag CONTINUE).  Two cursors are kept: the block that the source named
 * last, and the one that the destination's QEMU was told last; records that
 * stay are written anew from the second.  When the stream turns opaque while
 * the two differ, one record that repeats the last diverted page brings the
 * destination's QEMU to the same block.
 *
 * A page may be left in the stream and QEMU be asked to say when it has it: the
 * RAM section is ended behind its record, a PING put there, and another section
 * begun for what follows.
 *
 * Sources: QEMU docs/devel/migration/main.rst; migration/ram.c (record flags),
 * migration/savevm.c (sections, commands), migration/block-dirty-bitmap.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct splitter;

enum {
	SPLIT_PAGE = 4096,
	SPLIT_BLOCKS_MAX = 512,
	SPLIT_NAME_MAX = 255,
	/* The longest thing that is parsed as a whole: with this many bytes
	 * split_feed() always gets on. */
	SPLIT_RECORD_MAX = 72 * 1024,
};

/* What becomes of a page. */
enum split_page {
	SPLIT_STAYS, /* in the stream, it and all later versions of it */
	SPLIT_TAKEN,
	SPLIT_PASSES, /* stays this time */
	SPLIT_ASKS,   /* the same, and QEMU is asked to say that it has it */
};

/* A PING of ours, and the PONG to it: QEMU's own are below 256.  The low byte
 * is free for an answer. */
enum { SPLIT_PING = 0x44000000, SPLIT_PING_MASK = 0x7f000000 };
static inline uint32_t split_ping(unsigned block)
{
	return SPLIT_PING | block << 8;
}

struct split_ops {
	/* Forward @len bytes, after all pages so far. */
	int (*stream)(void *context, const uint8_t *data, size_t len,
		      struct error *e);
	/* A page of the block that split_divert() gave the number @block;
	 * @data stays valid until split_feed() returns, NULL for a zero page.
	 * Returns an enum split_page, or negative. */
	int (*page)(void *context, unsigned block, uint64_t offset,
		    const uint8_t *data, struct error *e);
	/* A record for this page of a diverted block stays in the stream. */
	void (*stays)(void *context, unsigned block, uint64_t offset);
	/* Asked once, before the first page: may pages be diverted at all? */
	bool (*may_divert)(void *context);
	/* Before the header of the first section with pages, and again before
	 * the first page, for who wants to know whether the destination takes
	 * what came before; may be NULL. */
	int (*begins)(void *context, struct error *e);
	/* The guest has stopped: an END section has begun.  May come several
	 * times; may be NULL. */
	int (*ending)(void *context, struct error *e);
	/* QEMU was asked, with split_ping(), behind a page that SPLIT_ASKS; the
	 * stream goes on when this returns; may be NULL when none does. */
	int (*asked)(void *context, unsigned block, struct error *e);
};

struct split_stats {
	uint64_t pages, zero_pages; /* diverted */
	uint64_t kept_pages;        /* left in the stream */
	uint64_t stream_bytes;
	bool opaque;   /* gave up before the end of RAM */
	bool ram_done; /* the footer of RAM END was read */
	char why_opaque[80];
};

int split_new(struct splitter **ret, const struct split_ops *ops, void *context,
	      struct error *e);
void split_free(struct splitter *s);

/* Pages of the block @name, of at most @len_bytes, are to be diverted and
 * reported as block @number.  Before the first byte. */
int split_divert(struct splitter *s, const char *name, uint64_t len_bytes,
		 unsigned number, struct error *e);

/* Of the block that has this number; as long as the splitter is there. */
const char *split_name(const struct splitter *s, unsigned number);

/* Returns how many bytes were used; the caller feeds the rest again with more
 * behind it.  -EBADMSG when the stream contradicts itself. */
ssize_t split_feed(struct splitter *s, const uint8_t *data, size_t len,
		   struct error *e);

const struct split_stats *split_stats(const struct splitter *s);

/* May a page SPLIT_ASKS?  There is a return path to answer by, and the guest
 * has not stopped. */
bool split_can_ask(const struct splitter *s);

/* The sum of the RAM blocks' lengths; 0 before they have been read. */
uint64_t split_ram_bytes(const struct splitter *s);
