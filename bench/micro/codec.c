/* SPDX-License-Identifier: MIT */

/*
 * What codecs, the probe, deltas and sums cost, on the stress guest's data and
 * on any files that are named: the figures that the choice of codec rests on.
 *
 *     build/bench/micro/codec [FILE...]
 *
 * Units of 64 pages, each in pieces of one page as they stand in a migration
 * stream, one thread.  Each figure is the best of several rounds, so that what
 * else the machine does counts little.  Judges nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "codec/codec.h"
#include "codec/delta.h"
#include "codec/same.h"
#include "content.h"
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
/* Keeps the compiler from dropping what nobody else reads. */
static volatile uint64_t sink;

/* Processor time: what others do on the machine is not counted. */
static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
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

static uint64_t per_unit_dense(const struct set *s, unsigned unit)
{
	struct iovec iov[UNIT_PAGES];

	unit_pieces(s, unit, iov);
	return codec_is_dense(iov, UNIT_PAGES);
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
	sink = sum;
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
	step_measure(s, "codec_is_dense, a unit", UNITS, per_unit_dense);
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
	uint8_t *data = calloc(PAGES, PITCH);

	if (!data) {
		fprintf(stderr, "no memory\n");
		exit(1);
	}
	return data;
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

static void sets_measure(struct set *sets, int n)
{
	printf("| data | codec | ratio | press MB/s | expand MB/s |\n");
	printf("|---|---|---|---|---|\n");
	for (int i = 0; i < n; i++)
		set_measure(&sets[i]);
	printf("\n| data | step | time | mean result |\n|---|---|---|---|\n");
	for (int i = 0; i < n; i++)
		set_measure_steps(&sets[i]);
}

int main(int argc, char **argv)
{
	enum { SETS_MAX = 32 };
	struct set sets[SETS_MAX];
	struct error e;
	int n = 0;

	if (codec_state_new(&state, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	content_init();
	for (const struct content *c = content_kinds; c->name; c++) {
		if (!strcmp(c->name, "mixed"))
			sets[n++] = travelling_set(c);
		sets[n++] = guest_set(c);
	}
	for (int i = 1; i < argc && n < SETS_MAX; i++)
		sets[n++] = file_set(argv[i]);
	sets_measure(sets, n);
	while (n > 0)
		free(sets[--n].data);
	codec_state_free(state);
	return 0;
}
