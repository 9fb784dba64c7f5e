/* SPDX-License-Identifier: MIT */

/*
 * What codecs, the probe, deltas and sums cost, on the stress guest's data and
 * on any files that are named: the figures that the choice of codec rests on.
 *
 *     build/bench/micro/codec [FILE...]
 *     build/bench/micro/codec --json       only the first table, and the ratios
 *     build/bench/micro/codec --count
 *
 * Units of 64 pages, each in pieces of one page as they stand in a migration
 * stream, one thread.  Each figure is the best of several rounds, so that what
 * else the machine does counts little.  The first table is of mixed data as
 * they reach a codec, without zero pages; only it is counted, and of the codecs
 * only what is Drover's.  Judges nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/codec.h"
#include "codec/delta.h"
#include "codec/same.h"
#include "content.h"
#include "micro.h"
#include "wire/sum.h"

enum {
	UNITS = 32,
	ROUNDS = 7,
	UNIT_PAGES = BATCH_MAX_PAGES,
	PAGES = UNITS * UNIT_PAGES,
	/* A page in the stream has 8 bytes in front of it. */
	GAP = 8,
	PITCH = WIRE_PAGE + GAP,
};

struct set {
	const char *name;
	uint8_t *data; /* PAGES pages, PITCH apart */
};

static struct codec_state *state;
static uint8_t out[CODEC_UNIT_MAX], back[CODEC_UNIT_MAX];

static double now_us(void)
{
	return micro_now_ns() / 1e3;
}

static const uint8_t *page_of(const struct set *s, unsigned page)
{
	return s->data + (size_t)page * PITCH;
}

static void unit_pieces(const struct set *s, unsigned unit,
			struct iovec iov[UNIT_PAGES])
{
	for (unsigned i = 0; i < UNIT_PAGES; i++) {
		iov[i].iov_base =
			s->data + (size_t)(unit * UNIT_PAGES + i) * PITCH;
		iov[i].iov_len = WIRE_PAGE;
	}
}

struct figures {
	size_t bytes; /* of all units together */
	double press_us, expand_us;
};

static void unit_measure(const struct set *s, unsigned unit, int id, int level,
			 struct figures *f)
{
	struct iovec iov[UNIT_PAGES];
	struct error e;
	double start;
	size_t len;

	unit_pieces(s, unit, iov);
	start = now_us();
	len = codec_press(state, (struct codec_choice){ id, level }, iov,
			  UNIT_PAGES, out, sizeof(out));
	f->press_us += now_us() - start;
	f->bytes += len ? len : CODEC_UNIT_MAX;
	if (len == 0)
		return;
	start = now_us();
	if (codec_expand(state, (struct codec_unit){ id, out, len }, back,
			 sizeof(back), &e) < 0) {
		fprintf(stderr, "%s: %s\n", s->name, e.text);
		exit(1);
	}
	f->expand_us += now_us() - start;
}

static double rate(double us)
{
	return us > 0 ? (double)PAGES * WIRE_PAGE / us : 0;
}

static double least(double a, double b)
{
	return a == 0 || b < a ? b : a;
}

static void codec_measure(const struct set *s, int id, int level)
{
	struct figures best = { 0 };

	for (int round = 0; round < ROUNDS; round++) {
		struct figures f = { 0 };

		for (unsigned unit = 0; unit < UNITS; unit++)
			unit_measure(s, unit, id, level, &f);
		best.bytes = f.bytes;
		best.press_us = least(best.press_us, f.press_us);
		best.expand_us = least(best.expand_us, f.expand_us);
	}
	printf("| %s | %s %d | %.2f | %.0f | %.0f |\n", s->name,
	       codec_get((unsigned)id)->name, level,
	       (double)PAGES * WIRE_PAGE / (double)best.bytes,
	       rate(best.press_us), rate(best.expand_us));
}

/* --- what is done to every page, or to every unit */

static uint64_t per_page_filled(const struct set *s, unsigned page)
{
	uint64_t word = 0;

	return page_is_filled(page_of(s, page), &word) ? word + 1 : 0;
}

static uint64_t per_page_sum(const struct set *s, unsigned page)
{
	return XXH3_128bits(page_of(s, page), WIRE_PAGE).low64;
}

static uint64_t per_page_delta_far(const struct set *s, unsigned page)
{
	return delta_encode(page_of(s, (page + 1) % PAGES), page_of(s, page),
			    back, WIRE_PAGE / 2);
}

/* As the guest dirties: one word of the body, and the page's head. */
static uint64_t per_page_delta_near(const struct set *s, unsigned page)
{
	memcpy(out, page_of(s, page), WIRE_PAGE);
	memset(out + DELTA_WORD, 1, (size_t)3 * DELTA_WORD);
	out[2000] ^= 1;
	return delta_encode(page_of(s, page), out, back, WIRE_PAGE / 2);
}

static uint64_t per_unit_incompressible(const struct set *s, unsigned unit)
{
	struct iovec iov[UNIT_PAGES];

	unit_pieces(s, unit, iov);
	return codec_is_incompressible(iov, UNIT_PAGES);
}

static void step_measure(const struct set *s, const char *name, unsigned times,
			 uint64_t (*step)(const struct set *, unsigned))
{
	uint64_t sum = 0;
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now_us();

		sum = 0;
		for (unsigned i = 0; i < times; i++)
			sum += step(s, i);
		best = least(best, now_us() - start);
	}
	micro_use(sum);
	printf("| %s | %s | %.0f ns | %.1f |\n", s->name, name,
	       best * 1e3 / times, (double)sum / times);
}

static void set_measure(const struct set *s)
{
	for (int id = 0; id < CODECS; id++) {
		const struct codec *c = codec_get((unsigned)id);

		for (int level = c->lowest; level <= c->highest; level++)
			codec_measure(s, id, level);
	}
}

static void set_measure_steps(const struct set *s)
{
	step_measure(s, "codec_is_incompressible, a unit", UNITS,
		     per_unit_incompressible);
	step_measure(s, "page_is_filled", PAGES, per_page_filled);
	step_measure(s, "XXH3-128", PAGES, per_page_sum);
	step_measure(s, "delta_encode, 4 words and a copy", PAGES,
		     per_page_delta_near);
	step_measure(s, "delta_encode, another page", PAGES,
		     per_page_delta_far);
}

/* --- the data */

static uint8_t *set_room(void)
{
	return micro_memory((uint64_t)PAGES * PITCH);
}

static struct set guest_set(const struct content *c)
{
	struct set s = { c->name, set_room() };
	struct page page;

	for (unsigned i = 0; i < PAGES; i++) {
		enum page_kind kind = content_kind(c, i);

		if (kind == PAGE_ZERO)
			continue;
		content_write(&page, kind, i, 1, content_mix(i));
		memcpy(s.data + (size_t)i * PITCH, &page, sizeof(page));
	}
	return s;
}

/* Mixed data as it reaches a codec: zero pages do not travel as data. */
static struct set travelling_set(const struct content *mixed)
{
	struct set s = { "mixed, no zeros", set_room() };
	struct page page;
	unsigned at = 0;

	for (unsigned i = 0; at < PAGES; i++) {
		enum page_kind kind = content_kind(mixed, i);

		if (kind == PAGE_ZERO)
			continue;
		content_write(&page, kind, i, 1, content_mix(i));
		memcpy(s.data + (size_t)at++ * PITCH, &page, sizeof(page));
	}
	return s;
}

/* The file's beginning, again and again where it is short. */
static struct set file_set(const char *path)
{
	struct set s = { strrchr(path, '/') ? strrchr(path, '/') + 1 : path,
			 set_room() };
	FILE *f = fopen(path, "re");
	bool empty = true;

	for (unsigned i = 0; f && i < PAGES; i++) {
		if (fread(s.data + (size_t)i * PITCH, WIRE_PAGE, 1, f) == 1) {
			empty = false;
			continue;
		}
		if (empty)
			break;
		rewind(f);
		i--;
	}
	if (!f || empty) {
		fprintf(stderr, "%s: cannot be read, or below a page\n", path);
		exit(1);
	}
	fclose(f);
	return s;
}

/* --- beside a memcpy, and for tools/instructions */

struct bench {
	const struct set *set;
	struct codec_choice how;
	uint8_t *unit[UNITS]; /* pressed */
	size_t len[UNITS];
};

static void each_page(struct bench *b,
		      uint64_t (*step)(const struct set *, unsigned))
{
	for (unsigned i = 0; i < micro_pages(); i++)
		micro_use(step(b->set, i % PAGES));
}

static void filled(void *context)
{
	each_page(context, per_page_filled);
}

static void delta_near(void *context)
{
	each_page(context, per_page_delta_near);
}

static void delta_far(void *context)
{
	each_page(context, per_page_delta_far);
}

static void incompressible(void *context)
{
	const struct bench *b = context;

	for (unsigned i = 0; i < micro_pages() / UNIT_PAGES; i++)
		micro_use(per_unit_incompressible(b->set, i % UNITS));
}

static void prepare_lz4(void *context)
{
	struct bench *b = context;

	b->how = (struct codec_choice){ CODEC_LZ4, codec_lz4.lowest };
}

static void prepare_zstd(void *context)
{
	struct bench *b = context;

	b->how = (struct codec_choice){ CODEC_ZSTD, codec_zstd.lowest };
}

static void press(void *context)
{
	struct bench *b = context;
	struct iovec iov[UNIT_PAGES];

	for (unsigned i = 0; i < micro_pages() / UNIT_PAGES; i++) {
		unsigned unit = i % UNITS;

		unit_pieces(b->set, unit, iov);
		b->len[unit] = codec_press(state, b->how, iov, UNIT_PAGES,
					   b->unit[unit], CODEC_UNIT_MAX);
	}
}

/* Of what the row before has pressed. */
static void expand(void *context)
{
	const struct bench *b = context;
	struct error e;

	for (unsigned i = 0; i < micro_pages() / UNIT_PAGES; i++) {
		unsigned unit = i % UNITS;

		if (b->len[unit] == 0)
			continue;
		if (codec_expand(state,
				 (struct codec_unit){ b->how.id, b->unit[unit],
						      b->len[unit] },
				 back, sizeof(back), &e) < 0)
			micro_fail(&e);
	}
}

static const struct micro_row rows[] = {
	{ "probe: is it dense", NULL, incompressible },
	{ "is it one word", NULL, filled },
	{ "delta made, few bytes changed", NULL, delta_near },
	{ "delta given up, another page", NULL, delta_far },
	{ "lz4, pressed", prepare_lz4, press },
	{ "lz4, expanded", prepare_lz4, expand, .copy = MICRO_TO_MEMORY },
	{ "zstd 1, pressed", prepare_zstd, press },
	{ "zstd 1, expanded", prepare_zstd, expand, .copy = MICRO_TO_MEMORY },
};

static void stages_run(const struct set *s)
{
	struct bench b = { .set = s };

	for (unsigned i = 0; i < UNITS; i++)
		b.unit[i] = micro_memory(CODEC_UNIT_MAX);
	micro_run("codec", rows, ARRAY_SIZE(rows), &b);
	for (unsigned i = 0; i < UNITS; i++)
		free(b.unit[i]);
}

/* For bench/model.py, which holds them against what a link lets through. */
static void ratio_print(const struct set *s, struct codec_choice how,
			const char *row)
{
	struct iovec iov[UNIT_PAGES];
	size_t bytes = 0;

	for (unsigned unit = 0; unit < UNITS; unit++) {
		size_t len;

		unit_pieces(s, unit, iov);
		len = codec_press(state, how, iov, UNIT_PAGES, out,
				  sizeof(out));
		bytes += len ? len : CODEC_UNIT_MAX;
	}
	printf("{\"stage\": \"codec\", \"row\": \"%s\", \"ratio\": %.3f}\n",
	       row, (double)PAGES * WIRE_PAGE / (double)bytes);
}

static void ratios_print(const struct set *s)
{
	ratio_print(s, (struct codec_choice){ CODEC_LZ4, codec_lz4.lowest },
		    "lz4, ratio");
	ratio_print(s, (struct codec_choice){ CODEC_ZSTD, codec_zstd.lowest },
		    "zstd 1, ratio");
}

static void sets_measure(struct set *sets, int n)
{
	printf("\n| data | codec | ratio | press MB/s | expand MB/s |\n");
	printf("|---|---|---|---|---|\n");
	for (int i = 0; i < n; i++)
		set_measure(&sets[i]);
	printf("\n| data | step | time | mean result |\n|---|---|---|---|\n");
	for (int i = 0; i < n; i++)
		set_measure_steps(&sets[i]);
}

static const struct content *mixed_content(void)
{
	const struct content *c = content_kinds;

	while (strcmp(c->name, "mixed") != 0)
		c++;
	return c;
}

static void all_measure(const struct set *mixed, int files, char **file)
{
	enum { SETS_MAX = 32 };
	struct set sets[SETS_MAX];
	int n = 0;

	for (const struct content *c = content_kinds; c->name; c++) {
		if (content_lacks_file(c))
			continue;
		if (c == mixed_content())
			sets[n++] = *mixed;
		sets[n++] = guest_set(c);
	}
	for (int i = 0; i < files && n < SETS_MAX; i++)
		sets[n++] = file_set(file[i]);
	sets_measure(sets, n);
	while (n > 0)
		if (sets[--n].data != mixed->data)
			free(sets[n].data);
}

int main(int argc, char **argv)
{
	struct set mixed;
	struct error e;
	int first = micro_begin(argc, argv, "FILE...");

	if (codec_state_new(&state, &e) < 0)
		micro_fail(&e);
	content_init();
	mixed = travelling_set(mixed_content());
	stages_run(&mixed);
	if (micro_json())
		ratios_print(&mixed);
	else if (!micro_counts())
		all_measure(&mixed, argc - first, argv + first);
	free(mixed.data);
	codec_state_free(state);
	return 0;
}
