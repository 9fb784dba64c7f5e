/* SPDX-License-Identifier: MIT */

/*
 * Deltas: a page as what has changed in it.
 *
 *     0      2       4                 4 + 8 * words
 *     +------+-------+------ - - ------+------+------ - -
 *     | skip | words | the new words   | skip | next record
 *     | 2    | 2     | 8 * words       | 2    |
 *     +------+-------+------ - - ------+------+------ - -
 *
 * A page is 512 words of 8 bytes.  A delta is one or more records, to the end
 * of its bytes.  Each leaves `skip` words as they are and replaces the `words`
 * that follow, at least one; the next goes on behind them.  A record that
 * leaves the page is an error.  The two numbers are big endian; words are
 * bytes of the page.  They are the new content, not a difference to the old,
 * so a delta that is applied twice does no harm.
 *
 * Pure functions; any thread, any alignment.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"

struct error;

enum {
	DELTA_WORD = 8,
	DELTA_HEAD = 4,
	/* One record with all words: more of them carry less. */
	DELTA_MAX = DELTA_HEAD + WIRE_PAGE,
};

/*
 * What makes @fresh of @old: the bytes written to @out, or 0 when it takes more
 * than @cap.  Two equal pages give the shortest delta, which changes nothing.
 */
size_t delta_encode(const uint8_t *old, const uint8_t *fresh, uint8_t *out,
		    size_t cap);

/* -EBADMSG, with the page untouched, when anything in @delta is wrong. */
int delta_apply(uint8_t *page, const uint8_t *delta, size_t len,
		struct error *e);
