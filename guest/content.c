/* SPDX-License-Identifier: MIT */
/*
 * Speed counts here, because the guest should be filled before anyone waits
 * for it, under emulation too: the generators are a multiplication and an
 * addition per word, and the sums are taken while the words are written.
 */
#include "content.h"

#include <stddef.h>

/* Knuth's MMIX generator (The Art of Computer Programming, 3.3.4). */
#define LCG_FACTOR 6364136223846793005ull
#define LCG_TERM 1442695040888963407ull

#define VOCABULARY 64u
#define VOCABULARY_BITS 6
#define TOKEN_BYTES 8u
#define LINE_WORDS 4u
/* "# " and six of 64 printable characters. */
#define NUMBER_BASE 0x2020202020202023ull

const struct content content_kinds[] = {
	{ "zero", { PAGE_ZERO, PAGE_ZERO, PAGE_ZERO, PAGE_ZERO }, 4 },
	{ "text", { PAGE_TEXT, PAGE_TEXT, PAGE_TEXT, PAGE_TEXT }, 0 },
	{ "mixed", { PAGE_ZERO, PAGE_TEXT, PAGE_TEXT, PAGE_RANDOM }, 1 },
	{ "random", { PAGE_RANDOM, PAGE_RANDOM, PAGE_RANDOM, PAGE_RANDOM }, 0 },
	{ "file", { PAGE_FILE, PAGE_FILE, PAGE_FILE, PAGE_FILE }, 0 },
	{ NULL, { PAGE_ZERO }, 0 },
};

/* Eight letters each. */
static const char tokens[VOCABULARY * TOKEN_BYTES + 1] =
	"harvest river   between winter  granary meadow  through counted "
	"against morning shepherdlantern follows autumn  village crossing"
	"measuredwooden  bridges carried towards northernquietly settled "
	"orchard ledger  evening another weather hundred stable  willows "
	"journey gathers stoneworthe old cattle  market  several numbers "
	"distant thunder written candles railway letters printed account "
	"balance februarythursdayreceiptparcels ordered shippedinvoice#  "
	"customercountry address unknown returnedpayment overduereminder";

static uint64_t vocabulary[VOCABULARY];

static const uint64_t *file;
static uint64_t file_pages;

/* A body being written. */
struct pen {
	uint64_t *at;
	struct sums sums;
};

static inline void pen_put(struct pen *p, uint64_t word)
{
	*p->at++ = word;
	p->sums.plain += word;
	p->sums.running += p->sums.plain;
}

static inline uint64_t lcg(uint64_t state)
{
	return state * LCG_FACTOR + LCG_TERM;
}

void content_set_file(const uint64_t *from, uint64_t bytes)
{
	file = from;
	file_pages = bytes / PAGE_BYTES;
}

void content_init(void)
{
	for (unsigned i = 0; i < VOCABULARY; i++)
		for (unsigned j = 0; j < TOKEN_BYTES; j++)
			vocabulary[i] |=
				(uint64_t)(uint8_t)tokens[i * TOKEN_BYTES + j]
				<< (8 * j);
}

bool content_lacks_file(const struct content *c)
{
	return c->pattern[0] == PAGE_FILE && file_pages == 0;
}

enum page_kind content_kind(const struct content *c, uint64_t page)
{
	return c->pattern[page / CONTENT_RUN % CONTENT_PATTERN];
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t content_mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ value >> 27) * 0x94d049bb133111ebull;
	return value ^ value >> 31;
}

static struct sums random_write(uint64_t *body, uint64_t key)
{
	struct pen pen = { .at = body };
	uint64_t x = key;

	while (pen.at < body + BODY_WORDS) {
		pen_put(&pen, x = lcg(x));
		pen_put(&pen, x = lcg(x));
		pen_put(&pen, x = lcg(x));
		pen_put(&pen, x = lcg(x));
	}
	return pen.sums;
}

static inline uint64_t token(uint64_t random, unsigned which)
{
	/* From the top down: the generator's low bits are poor. */
	unsigned shift = 64 - VOCABULARY_BITS * (which + 1);

	return vocabulary[random >> shift & (VOCABULARY - 1)];
}

/* Lines of three tokens and a number. */
static struct sums text_write(uint64_t *body, uint64_t key)
{
	struct pen pen = { .at = body };
	uint64_t x = key;

	while (pen.at < body + BODY_WORDS) {
		x = lcg(x);
		pen_put(&pen, token(x, 0));
		pen_put(&pen, token(x, 1));
		pen_put(&pen, token(x, 2));
		pen_put(&pen, (x & 0x3f3f3f3f3f3f0000ull) + NUMBER_BASE);
	}
	return pen.sums;
}

static struct sums file_write(uint64_t *body, uint64_t key)
{
	struct pen pen = { .at = body };
	const uint64_t *in = file + key % file_pages * PAGE_WORDS + HEAD_WORDS;

	while (pen.at < body + BODY_WORDS)
		pen_put(&pen, *in++);
	return pen.sums;
}

_Static_assert(BODY_WORDS % LINE_WORDS == 0, "both writers end exactly");

void content_write(struct page *p, enum page_kind kind, uint64_t number,
		   uint64_t generation, uint64_t key)
{
	p->number = number;
	p->generation = generation;
	if (kind == PAGE_FILE)
		p->sums = file_write(p->body, generation ? key : number);
	else
		p->sums = kind == PAGE_TEXT ? text_write(p->body, key)
					    : random_write(p->body, key);
}

void content_touch(struct page *p, uint64_t generation, uint64_t key)
{
	unsigned at = (unsigned)(key % BODY_WORDS);
	uint64_t difference = key | 1;

	p->body[at] += difference;
	p->generation = generation;
	p->sums.plain += difference;
	/* This word is part of every running sum from its own on. */
	p->sums.running += difference * (BODY_WORDS - at);
}

struct sums content_sums(const struct page *p)
{
	const uint64_t *end = p->body + BODY_WORDS;
	struct sums s = { 0 };

	for (const uint64_t *w = p->body; w < end; w += 4) {
		s.running += s.plain += w[0];
		s.running += s.plain += w[1];
		s.running += s.plain += w[2];
		s.running += s.plain += w[3];
	}
	return s;
}

bool content_is_zero(const struct page *p)
{
	const uint64_t *words = &p->number;
	uint64_t any = 0;

	for (unsigned i = 0; i < PAGE_WORDS; i += 4)
		any |= words[i] | words[i + 1] | words[i + 2] | words[i + 3];
	return any == 0;
}
