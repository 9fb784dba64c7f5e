/* SPDX-License-Identifier: MIT */
#include "codec/delta.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "wire/reader.h"

enum { WORDS = WIRE_PAGE / DELTA_WORD, STEP = 32 /* words compared at once */ };

_Static_assert(WORDS % STEP == 0, "steps end with the page");

static uint64_t word_at(const uint8_t *page, unsigned word)
{
	uint64_t v;

	memcpy(&v, page + (size_t)word * DELTA_WORD, sizeof(v));
	return v;
}

static bool differs(const uint8_t *old, const uint8_t *fresh, unsigned word)
{
	return word_at(old, word) != word_at(fresh, word);
}

/* The first word from @word on that differs, or WORDS. */
static unsigned next_change(const uint8_t *old, const uint8_t *fresh,
			    unsigned word)
{
	while (word < WORDS) {
		size_t at = (size_t)word * DELTA_WORD;

		if (word % STEP == 0 &&
		    !memcmp(old + at, fresh + at, (size_t)STEP * DELTA_WORD)) {
			word += STEP;
			continue;
		}
		if (differs(old, fresh, word))
			break;
		word++;
	}
	return word;
}

static unsigned change_end(const uint8_t *old, const uint8_t *fresh,
			   unsigned word)
{
	while (word < WORDS && differs(old, fresh, word))
		word++;
	return word;
}

static void record_write(struct writer *w, unsigned skip, unsigned words,
			 const uint8_t *from)
{
	write_u16(w, (uint16_t)skip);
	write_u16(w, (uint16_t)words);
	write_bytes(w, from, (size_t)words * DELTA_WORD);
}

size_t delta_encode(const uint8_t *old, const uint8_t *fresh, uint8_t *out,
		    size_t cap)
{
	struct writer w = writer_to(out, cap);
	unsigned done = 0;

	while (done < WORDS && !w.bad) {
		unsigned from = next_change(old, fresh, done);
		unsigned to = change_end(old, fresh, from);

		if (from == WORDS)
			break;
		/* One equal word between two changes costs more inside a
		 * record than a second head does: no need to join them. */
		record_write(&w, from - done, to - from,
			     fresh + (size_t)from * DELTA_WORD);
		done = to;
	}
	if (done == 0)
		record_write(&w, 0, 1, fresh);
	return w.bad ? 0 : writer_used(&w);
}

/* The place of the next record's words in @delta, NULL when it is wrong. */
static const uint8_t *record_read(struct reader *r, unsigned *at,
				  unsigned *ret_words)
{
	unsigned skip = read_u16(r), words = read_u16(r);

	if (r->bad || words == 0 || skip + words > WORDS - *at)
		return NULL;
	*at += skip;
	*ret_words = words;
	return reader_take(r, (size_t)words * DELTA_WORD);
}

static int delta_check(const uint8_t *delta, size_t len, struct error *e)
{
	struct reader r = reader_of(delta, len);
	unsigned at = 0, words = 0;

	if (len == 0)
		return error_set(e, EBADMSG, "delta of no bytes");
	while (reader_left(&r) > 0) {
		if (!record_read(&r, &at, &words))
			return error_set(e, EBADMSG,
					 "delta of %zu bytes: wrong record "
					 "behind word %u of the page",
					 len, at);
		at += words;
	}
	return 0;
}

int delta_apply(uint8_t *page, const uint8_t *delta, size_t len,
		struct error *e)
{
	struct reader r = reader_of(delta, len);
	unsigned at = 0, words = 0;

	/* All of it before the first byte is written: a page that is partly
	 * new is one that nobody ever had. */
	if (delta_check(delta, len, e) < 0)
		return error_code(e);
	while (reader_left(&r) > 0) {
		const uint8_t *from = record_read(&r, &at, &words);

		memcpy(page + (size_t)at * DELTA_WORD, from,
		       (size_t)words * DELTA_WORD);
		at += words;
	}
	return 0;
}
