/* SPDX-License-Identifier: MIT */

/*
 * The payload of a PAGES frame, from its bytes into guest memory: whatever the
 * parser accepts keeps all limits, and afterwards the memory is what a second,
 * simple way of placing the same batch makes of it, to the last byte of every
 * page, also where it stops with an error.
 *
 * Nobody guesses sums.  Those that begin with a zero byte are put right, so
 * that what comes after a right one is reached.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "codec/codec.h"
#include "codec/delta.h"
#include "pages/memory.h"
#include "relay/place.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum {
	PAGES = 80,
	TOUCHED = 60,
	RAM = PAGES * WIRE_PAGE,
	TOUCHED_BYTES = TOUCHED * WIRE_PAGE,
};

static struct place place;
static struct codec_state *codecs;
static uint8_t (*ram)[WIRE_PAGE]; /* the guest's memory */
static uint8_t before[PAGES][WIRE_PAGE], model[PAGES][WIRE_PAGE];

static void set_up(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct guest_memory *m;
	struct error e;

	for (int i = 0; i < TOUCHED; i++)
		for (int k = 0; k < WIRE_PAGE; k++)
			before[i][k] = (uint8_t)(i + k / 64 + 1);
	assert(fd >= 0 && ftruncate(fd, RAM) == 0);
	/* The last pages are holes. */
	assert(pwrite(fd, before, TOUCHED_BYTES, 0) == TOUCHED_BYTES);
	assert(memory_of_fd(&m, "ram", fd, &e) == 0);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert(ram != MAP_FAILED);
	assert(codec_state_new(&codecs, &e) == 0);
	place_init(&place, m);
	close(fd);
}

/* --- the parser */

static void check_head(const struct batch_head *b,
		       const struct batch_body *body)
{
	uint64_t count = 0;

	assert(b->runs >= 1 && b->runs <= BATCH_MAX_RUNS);
	assert(b->side <= BATCH_SIDE_MAX);
	for (unsigned i = 0; i < b->runs; i++) {
		const struct batch_run *r = &b->run[i];
		uint64_t end;

		assert(r->count > 0 && r->kind < RUN_KINDS);
		assert(!__builtin_add_overflow(r->first, r->count, &end));
		assert(!__builtin_mul_overflow(end, WIRE_PAGE, &end));
		if (r->kind == RUN_DATA)
			count += r->count;
	}
	assert(count == b->pages && count <= BATCH_MAX_PAGES);
	if (b->codec == CODEC_RAW)
		assert(body->len == count * WIRE_PAGE);
	else
		assert(count > 0 && body->len < count * WIRE_PAGE);
}

static void check_again(const struct batch_head *b,
			const struct batch_body *body, const uint8_t *data,
			size_t len)
{
	static uint8_t again[BATCH_META_MAX];
	size_t meta = batch_head_write(b, body->side, again);

	assert(body->side >= data && body->side + b->side == body->data);
	assert(body->data + body->len == data + len);
	assert(meta + body->len == len);
	/* All but the byte that nobody looks at. */
	assert(!memcmp(again, data, 3) &&
	       !memcmp(again + 4, data + 4, meta - 4));
}

/* --- the other way of placing */

/* One run after the other; @side and @data are taken from. */
struct walk {
	uint8_t *side;
	const uint8_t *data;
};

static uint64_t sum_at(uint8_t *at, const uint8_t *page)
{
	struct writer w = writer_to(at, BATCH_SUM_SIZE);
	struct reader r = reader_of(at, BATCH_SUM_SIZE);

	if (at[0] == 0)
		write_u64(&w, page_sum(page));
	return read_u64(&r);
}

static bool model_delta(struct walk *w, uint8_t *page)
{
	size_t len = (size_t)w->side[0] << 8 | w->side[1];
	uint8_t *sum = w->side + 2, fresh[WIRE_PAGE];
	struct error e;

	w->side = sum + BATCH_SUM_SIZE + len;
	memcpy(fresh, page, WIRE_PAGE);
	if (delta_apply(fresh, sum + BATCH_SUM_SIZE, len, &e) < 0 ||
	    sum_at(sum, fresh) != page_sum(fresh))
		return false;
	memcpy(page, fresh, WIRE_PAGE);
	return true;
}

static bool model_page(struct walk *w, enum batch_run_kind kind, uint8_t *page)
{
	switch (kind) {
	case RUN_DATA:
		memcpy(page, w->data, WIRE_PAGE);
		w->data += WIRE_PAGE;
		return true;
	case RUN_ZERO:
		memset(page, 0, WIRE_PAGE);
		return true;
	case RUN_FILL:
		for (int i = 0; i < WIRE_PAGE; i++)
			page[i] = w->side[i % BATCH_FILL_SIZE];
		return true;
	case RUN_SAME:
		w->side += BATCH_SUM_SIZE;
		return sum_at(w->side - BATCH_SUM_SIZE, page) == page_sum(page);
	case RUN_DELTA:
		return model_delta(w, page);
	case RUN_PROOF:
		return false; /* of memory that needs none */
	case RUN_KINDS:
		break;
	}
	abort();
}

static bool inside(const struct batch_head *b)
{
	for (unsigned i = 0; i < b->runs; i++)
		if (b->run[i].first + b->run[i].count > PAGES)
			return false;
	return b->block == 0;
}

/* Puts sums in @side right on its way. */
static bool model_place(const struct batch_head *b, uint8_t *side,
			const uint8_t *data)
{
	struct walk w;

	if (!inside(b))
		return false;
	w.side = side;
	w.data = data;
	for (unsigned i = 0; i < b->runs; i++) {
		const struct batch_run *r = &b->run[i];

		for (uint64_t p = r->first; p < r->first + r->count; p++)
			if (!model_page(&w, r->kind, model[p]))
				return false;
		if (r->kind == RUN_FILL)
			w.side += BATCH_FILL_SIZE;
	}
	return true;
}

static void check_place(const struct batch_head *b, struct batch_body body)
{
	static uint8_t pages[CODEC_UNIT_MAX];
	struct codec_unit unit = { b->codec, body.data, body.len };
	/* Just as long as they are, so that a checker sees what reads on. */
	uint8_t *side = calloc(1, b->side ? b->side : 1);
	struct error e = { 0 };
	bool right;
	int r;

	assert(side);
	memcpy(side, body.side, b->side);
	body.side = side;
	if (b->codec != CODEC_RAW) {
		if (codec_expand(codecs, unit, pages,
				 (size_t)b->pages * WIRE_PAGE, &e) < 0) {
			free(side);
			return;
		}
		body.data = pages;
	}
	memcpy(model, before, RAM);
	memcpy(ram, before, RAM);
	right = model_place(b, side, body.data);
	r = place.sink.apply(place.sink.context, b, &body, &e);
	assert(right ? r == 0 : r < 0 && e.text[0]);
	assert(!memcmp(ram, model, RAM));
	free(side);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct batch_head b;
	struct batch_body body;
	struct error e = { 0 };

	if (!ram)
		set_up();
	if (len > FRAME_MAX_PAYLOAD)
		return 0;
	if (batch_head_read(&b, data, len, &body, &e) < 0) {
		assert(e.code != 0 && e.text[0]);
		return 0;
	}
	check_head(&b, &body);
	check_again(&b, &body, data, len);
	check_place(&b, body);
	return 0;
}
