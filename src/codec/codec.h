/* SPDX-License-Identifier: MIT */

/*
 * Codecs: the pages of a batch, pressed as one unit, and back.
 *
 * A unit is at most BATCH_MAX_PAGES pages.  It is pressed and expanded in one
 * call, by whichever thread has a struct codec_state: the contexts of every
 * codec and the scratch, made once, used by one thread at a time.  Nothing here
 * locks or waits.  What a unit looks like on the wire:
 *
 * | number | codec | a unit |
 * |---|---|---|
 * | 0 | none | the pages |
 * | 1 | lz4  | one LZ4 block (lz4_Block_format.md), no frame |
 * | 2 | zstd | one frame (RFC 8878, 3.1.1): single segment, with content size,
 * | |   |      | without checksum and dictionary |
 *
 * A pressed unit is shorter than its pages; the frame's own sum covers it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "wire/frame.h"

struct error;

enum { CODEC_UNIT_MAX = BATCH_MAX_PAGES * WIRE_PAGE };

/* Numbers on the wire: they never change. */
enum codec_id {
	CODEC_NONE = CODEC_RAW,
	CODEC_LZ4 = 1,
	CODEC_ZSTD = 2,
	CODECS,
};

struct codec {
	const char *name;    /* as in the settings */
	int lowest, highest; /* levels; a higher one is smaller and slower */

	/* One thread's context; @ret is NULL where none is needed. */
	int (*open)(void **ret, struct error *e);
	void (*close)(void *context);

	/* Bytes written to @out, 0 when @cap is too small. */
	size_t (*press)(void *context, int level, const uint8_t *in, size_t len,
			uint8_t *out, size_t cap);
	int (*expand)(void *context, const uint8_t *in, size_t len,
		      uint8_t *out, size_t out_len, struct error *e);
};

extern const struct codec codec_none, codec_lz4, codec_zstd;

/* NULL for a number that no codec has; it may come from the wire. */
const struct codec *codec_get(unsigned id);

/* -1 when no codec has this name, otherwise its number. */
int codec_find(const char *name);

struct codec_state;

int codec_state_new(struct codec_state **ret, struct error *e);
void codec_state_free(struct codec_state *s);

struct codec_choice {
	enum codec_id id;
	int level; /* one of the codec's */
};

/*
 * Presses the @n pieces, at most CODEC_UNIT_MAX bytes together, as one unit
 * into at most @cap bytes.  Returns the unit's length, which is less than the
 * pieces have (CODEC_NONE: the same).  0: not to be had, @out holds rubbish.
 */
size_t codec_press(struct codec_state *s, struct codec_choice how,
		   const struct iovec *in, int n, uint8_t *out, size_t cap);

/* As it came: any of it may be wrong. */
struct codec_unit {
	unsigned id;
	const uint8_t *data;
	size_t len;
};

/*
 * Expands one unit to exactly @out_len bytes, at most CODEC_UNIT_MAX.
 * Anything else is -EBADMSG: an unknown codec, a unit cut short, with bytes
 * behind its end, or of another size.  Nothing is written outside of @out;
 * after an error it holds rubbish.
 */
int codec_expand(struct codec_state *s, struct codec_unit unit, uint8_t *out,
		 size_t out_len, struct error *e);

/*
 * Whether pressing these pieces would be in vain, judged by 1024 of their
 * bytes.  May be wrong either way: what it lets through costs time, what it
 * holds back costs bytes on the link.
 */
bool codec_is_incompressible(const struct iovec *in, int n);
