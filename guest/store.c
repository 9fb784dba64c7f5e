/* SPDX-License-Identifier: MIT */
/*
 * A page that is whole but old must be noticed too, so the generation that
 * each page should have must be known, and without a table that would itself
 * be memory to go stale. So the hot set is dirtied in rounds, each round in
 * the same order: the page at position p of a round is p * stride modulo the
 * size of the hot set, with a stride that has no divisor in common with it
 * and is near the golden section, so that neighbours in time are far apart in
 * memory. The inverse of the stride leads from a page to its position, and
 * then
 *
 *	generation = round, one more if the position has been passed.
 *
 * Round and position follow from one number, the count of pages dirtied. In
 * memory it would be the most written word of all and could itself go stale,
 * and then every page would look wrong. So it is kept in the register CR2,
 * which nothing else uses here and which travels with the processor. A copy in
 * memory is compared with it, so that such a loss is reported as what it is.
 *
 * A page found corrupt is reported once and marked in a bitmap; new content
 * clears the mark.
 */
#include "store.h"

#include <stdbool.h>
#include <stddef.h>

#include "cmdline.h"
#include "console.h"

#define SPARE_BYTES (16ull << 20)
#define MAX_REPORTS 20

uint64_t store_dirtied(void)
{
	uint64_t count;

	__asm__ volatile("mov %%cr2, %0" : "=r"(count));
	return count;
}

static void dirtied_set(struct store *s, uint64_t count)
{
	__asm__ volatile("mov %0, %%cr2" : : "r"(count));
	s->dirtied = count;
}

uint64_t store_round(const struct store *s)
{
	return s->hot ? store_dirtied() / s->hot : 0;
}

static struct page *page_at(const struct store *s, uint64_t page)
{
	return (struct page *)memory_page(s->memory, page);
}

/* How many of the first `pages` are not zero. */
static uint64_t dirtyable_count(const struct content *c, uint64_t pages)
{
	uint64_t zero = c->zero_runs * CONTENT_RUN;
	uint64_t rest = pages % CONTENT_PERIOD;

	return pages / CONTENT_PERIOD * (CONTENT_PERIOD - zero) +
	       (rest > zero ? rest - zero : 0);
}

/* The page that is number `index` of those that are not zero. */
static uint64_t dirtyable_page(const struct content *c, uint64_t index)
{
	uint64_t zero = c->zero_runs * CONTENT_RUN;
	uint64_t used = CONTENT_PERIOD - zero;

	return index / used * CONTENT_PERIOD + zero + index % used;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Extended Euclid; `value` and `modulus` have no divisor in common. */
static uint64_t inverse(uint64_t value, uint64_t modulus)
{
	int64_t a = (int64_t)modulus, b = (int64_t)value;
	int64_t factor_a = 0, factor_b = 1;

	while (b) {
		int64_t quotient = a / b;
		int64_t rest = a % b;
		int64_t factor = factor_a - quotient * factor_b;

		a = b;
		b = rest;
		factor_a = factor_b;
		factor_b = factor;
	}
	return (uint64_t)(factor_a < 0 ? factor_a + (int64_t)modulus
				       : factor_a);
}

static void order_init(struct store *s)
{
	if (s->hot == 0)
		return;
	s->stride = s->hot * 618 / 1000 + 1;
	while (common_divisor(s->hot, s->stride) != 1)
		s->stride++;
	s->stride_inverse = inverse(s->stride % s->hot, s->hot) % s->hot;
}

const char *store_init(struct store *s, const struct memory *m,
		       const struct settings *settings)
{
	uint64_t hot = settings->hot_bytes / PAGE_BYTES;
	uint64_t dirtyable;

	*s = (struct store){
		.memory = m,
		.content = settings->content,
		.pages = settings->fill_bytes / PAGE_BYTES,
		.seed = settings->seed,
		.touch_few = settings->touch_few,
	};
	if (content_lacks_file(s->content))
		return "content=file needs a file of 4 KiB at least (-initrd)";
	if (s->pages > m->pages)
		return "fill= is more than the free memory";
	if (s->pages == 0 && m->pages > SPARE_BYTES / PAGE_BYTES)
		s->pages = m->pages - SPARE_BYTES / PAGE_BYTES;
	if (s->pages == 0)
		return "nothing to fill";
	dirtyable = dirtyable_count(s->content, s->pages);
	s->zero_pages = s->pages - dirtyable;
	s->hot = hot && hot < dirtyable ? hot : dirtyable;
	order_init(s);
	dirtied_set(s, 0);
	return NULL;
}

static uint64_t page_key(const struct store *s, uint64_t page,
			 uint64_t generation)
{
	return content_mix(content_mix(s->seed + generation) + page);
}

void store_fill(struct store *s)
{
	for (uint64_t page = 0; page < s->pages; page++) {
		enum page_kind kind = content_kind(s->content, page);
		struct page *p = page_at(s, page);

		if (kind != PAGE_ZERO)
			content_write(p, kind, page, 0, page_key(s, page, 0));
		else if (memory_page_may_be_used(s->memory, page) &&
			 !content_is_zero(p))
			*p = (struct page){ 0 };
	}
}

static uint64_t expected_generation(const struct store *s, uint64_t page)
{
	uint64_t index = dirtyable_count(s->content, page);
	uint64_t position;

	if (index >= s->hot)
		return 0;
	position = index * s->stride_inverse % s->hot;
	return store_round(s) + (position < store_dirtied() % s->hot ? 1 : 0);
}

static bool page_is_good(const struct page *p, uint64_t page,
			 uint64_t generation)
{
	struct sums sums = content_sums(p);

	return p->number == page && p->generation == generation &&
	       p->sums.plain == sums.plain && p->sums.running == sums.running;
}

static uint64_t *mark_word(const struct store *s, uint64_t page)
{
	return &s->memory->page_bits[page / 64];
}

static void report(struct store *s, uint64_t page, uint64_t generation)
{
	const struct page *p = page_at(s, page);
	uint64_t bit = 1ull << page % 64;
	struct sums sums = content_sums(p);
	bool sums_differ =
		p->sums.plain != sums.plain || p->sums.running != sums.running;

	if (*mark_word(s, page) & bit)
		return;
	*mark_word(s, page) |= bit;
	if (s->corrupt++ >= MAX_REPORTS)
		return;
	if (content_kind(s->content, page) == PAGE_ZERO)
		console_print("CORRUPT page %lu (expected zero) at %lx\n", page,
			      (uint64_t)(uintptr_t)p);
	else
		console_print("CORRUPT page %lu (expected gen %lu, has page "
			      "%lu gen %lu, checksum %s) at %lx\n",
			      page, generation, p->number, p->generation,
			      sums_differ ? "wrong" : "right",
			      (uint64_t)(uintptr_t)p);
}

static void state_check(struct store *s)
{
	uint64_t expected = store_dirtied();

	if (s->dirtied == expected)
		return;
	if (s->corrupt++ < MAX_REPORTS)
		console_print("CORRUPT state of the guest (expected dirtied "
			      "%lu, has %lu) at %lx\n",
			      expected, s->dirtied, (uint64_t)(uintptr_t)s);
	s->dirtied = expected;
}

static void page_check(struct store *s, uint64_t page)
{
	const struct page *p = page_at(s, page);
	uint64_t generation = 0;
	bool good;

	state_check(s);
	if (content_kind(s->content, page) == PAGE_ZERO) {
		good = content_is_zero(p);
	} else {
		generation = expected_generation(s, page);
		good = page_is_good(p, page, generation);
	}
	s->verified++;
	if (!good)
		report(s, page, generation);
}

void store_check_next(struct store *s)
{
	page_check(s, s->check_at);
	if (++s->check_at == s->pages)
		s->check_at = 0;
}

/* A page whose checksum was wrong must not get a right one by a touch. */
static bool may_touch(const struct store *s, uint64_t page)
{
	return s->touch_few && !(*mark_word(s, page) & 1ull << page % 64);
}

void store_dirty_next(struct store *s)
{
	uint64_t count = store_dirtied();
	uint64_t index = count % s->hot * s->stride % s->hot;
	uint64_t page = dirtyable_page(s->content, index);
	uint64_t generation = count / s->hot + 1;
	uint64_t key = page_key(s, page, generation);
	struct page *p = page_at(s, page);

	page_check(s, page);
	if (may_touch(s, page))
		content_touch(p, generation, key);
	else
		content_write(p, content_kind(s->content, page), page,
			      generation, key);
	*mark_word(s, page) &= ~(1ull << page % 64);
	dirtied_set(s, count + 1);
}
