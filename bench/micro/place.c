/* SPDX-License-Identifier: MIT */

/*
 * What placement costs: batches of 64 pages, verified and expanded, become
 * guest memory, which is a memfd as with QEMU's shared memory.
 *
 *     build/bench/micro/place [--count]
 *
 * Nearly all of it is pwrite() and pread(): what is counted is what stands
 * around them.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/delta.h"
#include "data.h"
#include "micro.h"
#include "pages/memory.h"
#include "relay/place.h"
#include "wire/reader.h"

struct bench {
	int fd, normal, huge; /* the one in use; -1: no huge pages */
	struct guest_memory *memory;
	struct place place;
	uint8_t *data; /* of one batch */
	struct batch_head head;
	uint8_t side[BATCH_SIDE_MAX];
};

static void fail_sys(const char *what)
{
	struct error e;

	error_sys(&e, "%s", what);
	micro_fail(&e);
}

static void begin(struct bench *b, enum batch_run_kind kind, uint32_t side)
{
	b->head = (struct batch_head){
		.runs = 1, .side = side, .run = { { 0, BATCH_MAX_PAGES, kind } }
	};
	if (kind == RUN_DATA)
		b->head.pages = BATCH_MAX_PAGES;
}

static void apply_all(void *context)
{
	struct bench *b = context;
	const struct batch_body body = { b->side, b->data,
					 (size_t)b->head.pages * WIRE_PAGE };
	const struct page_sink *sink = &b->place.sink;
	struct error e;

	for (b->head.run[0].first = 0; b->head.run[0].first < micro_pages();
	     b->head.run[0].first += BATCH_MAX_PAGES)
		if (sink->apply(sink->context, &b->head, &body, &e) < 0)
			micro_fail(&e);
}

/* --- what is in the memory before, and in the batches */

static void memory_new(struct bench *b)
{
	struct error e;

	memory_free(b->memory);
	if (ftruncate(b->fd, 0) < 0 ||
	    ftruncate(b->fd, (off_t)micro_pages() * WIRE_PAGE) < 0)
		fail_sys("a guest's memory");
	if (memory_of_fd(&b->memory, "pc.ram", b->fd, &e) < 0)
		micro_fail(&e);
	place_init(&b->place, b->memory);
}

static void prepare_data_new(void *context)
{
	struct bench *b = context;

	memory_new(b);
	begin(b, RUN_DATA, 0);
}

static void prepare_data(void *context)
{
	prepare_data_new(context);
	apply_all(context);
}

static void prepare_huge_new(void *context)
{
	struct bench *b = context;

	b->fd = b->huge;
	prepare_data_new(context);
	b->fd = b->normal;
}

static void prepare_huge(void *context)
{
	prepare_huge_new(context);
	apply_all(context);
}

static void prepare_zero_new(void *context)
{
	struct bench *b = context;

	memory_new(b);
	begin(b, RUN_ZERO, 0);
}

static void prepare_zero(void *context)
{
	prepare_data(context);
	begin(context, RUN_ZERO, 0);
}

static void prepare_fill(void *context)
{
	struct bench *b = context;

	prepare_data(b);
	memset(b->side, 1, BATCH_FILL_SIZE);
	begin(b, RUN_FILL, BATCH_FILL_SIZE);
}

static void prepare_same(void *context)
{
	struct bench *b = context;
	struct writer w = writer_to(b->side, sizeof(b->side));

	prepare_data(b);
	for (size_t i = 0; i < BATCH_MAX_PAGES; i++)
		write_u64(&w, page_sum(b->data + i * WIRE_PAGE));
	begin(b, RUN_SAME, (uint32_t)writer_used(&w));
}

static void prepare_delta(void *context)
{
	struct bench *b = context;
	struct writer w = writer_to(b->side, sizeof(b->side));
	uint8_t *fresh = data_new(DATA_TRAVELLING, BATCH_MAX_PAGES);
	uint8_t delta[DELTA_MAX];

	prepare_data(b);
	data_touch(fresh, BATCH_MAX_PAGES, 2);
	for (size_t i = 0; i < BATCH_MAX_PAGES; i++) {
		const uint8_t *page = fresh + i * WIRE_PAGE;
		size_t len = delta_encode(b->data + i * WIRE_PAGE, page, delta,
					  sizeof(delta));

		write_u16(&w, (uint16_t)len);
		write_u64(&w, page_sum(page));
		write_bytes(&w, delta, len);
	}
	begin(b, RUN_DELTA, (uint32_t)writer_used(&w));
	free(fresh);
}

/* --- what else new memory could be written with */

static double copy_through_mapping(void *context)
{
	const struct bench *b = context;
	const size_t len = (size_t)micro_pages() * WIRE_PAGE;
	uint8_t *to =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	double start = micro_now_ns();

	if (to == MAP_FAILED)
		fail_sys("map a guest's memory");
	for (size_t i = 0; i < len; i += WIRE_PAGE)
		memcpy(to + i, b->data + i % (BATCH_MAX_PAGES * WIRE_PAGE),
		       WIRE_PAGE);
	start = micro_now_ns() - start;
	munmap(to, len);
	return start;
}

#define PLACED(label, before, by) \
	{ \
		.name = (label), .prepare = (before), .work = apply_all, \
		.calls = (by), .copy = MICRO_TO_MEMORY \
	}

static const struct micro_row rows[] = {
	PLACED("data, to memory touched before: the stage", prepare_data,
	       "pwrite()"),
	PLACED("data, to new memory: the stage", prepare_data_new, "pwrite()"),
	{ "not Drover: a memcpy to new memory through a mapping",
	  prepare_data_new, .timed = copy_through_mapping, .calls = "faults",
	  .copy = MICRO_TO_MEMORY },
	PLACED("zeros, to memory never touched", prepare_zero_new, NULL),
	PLACED("zeros, to memory touched before", prepare_zero, "pwrite()"),
	PLACED("one word again and again", prepare_fill, "pwrite()"),
	PLACED("unchanged", prepare_same, "pread() and the sum"),
	PLACED("few bytes changed", prepare_delta,
	       "pread(), pwrite() and the sum"),
	/* From here on only where there are huge pages. */
	PLACED("data, to huge pages touched before", prepare_huge, NULL),
	PLACED("data, to new huge pages", prepare_huge_new, "fallocate()"),
};
enum { HUGE_ROWS = 2 };

/* Whether 32 MiB of huge pages can be had; not counted, since a machine
 * without any has to count the same. */
static bool huge_open(struct bench *b)
{
	const off_t len = (off_t)micro_pages() * WIRE_PAGE;

	b->huge = memfd_create("drover-micro-huge", MFD_CLOEXEC | MFD_HUGETLB);
	if (micro_counts() || b->huge < 0 || fallocate(b->huge, 0, 0, len) < 0)
		return false;
	return ftruncate(b->huge, 0) == 0;
}

int main(int argc, char **argv)
{
	static struct bench b;
	unsigned n = ARRAY_SIZE(rows);

	micro_begin(argc, argv, NULL);
	b.fd = b.normal = memfd_create("drover-micro", MFD_CLOEXEC);
	if (b.fd < 0)
		fail_sys("a memfd");
	if (!huge_open(&b)) {
		n -= HUGE_ROWS;
		if (!micro_counts())
			fprintf(stderr, "place: no huge pages, see "
					"/proc/sys/vm/nr_hugepages\n");
	}
	b.data = data_new(DATA_TRAVELLING, BATCH_MAX_PAGES);
	micro_run("place", rows, n, &b);
	memory_free(b.memory);
	free(b.data);
	close(b.normal);
	if (b.huge >= 0)
		close(b.huge);
	return 0;
}
