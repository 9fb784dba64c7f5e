/* SPDX-License-Identifier: MIT */

/*
 * From a QEMU's stream to a guest's memory, over a network that breaks.
 *
 * A thread plays the source's QEMU and writes a migration stream into a
 * socket; divert_run() reads it.  At the far end the sink and a reader of the
 * remaining stream write one memory.  Every version of a page is numbered and
 * either side takes only the one that follows: a page that is lost, comes
 * twice, or is overtaken ends the test.  At the end of each section all that
 * was sent before must be there.
 */
#include "unit.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "codec/delta.h"
#include "ends.h"
#include "frames/inbox.h"
#include "relay/divert.h"
#include "stream.h"
#include "waits.h"
#include "wire/reader.h"

enum { BLOCKS = 3, PAGES = 300, RAM_ID = 2, SECTIONS_MAX = 200000 };

/* What a run sends and suffers at least. */
enum { SECTIONS_ENOUGH = 120, FAULTS_ENOUGH = 20 };

static const struct stream_block blocks[BLOCKS] = {
	{ "pc.ram", PAGES *STREAM_PAGE },
	{ "vga.vram", PAGES *STREAM_PAGE },
	{ "/rom@etc", PAGES *STREAM_PAGE },
};

struct copy {
	struct ends ends;
	struct page_sink sink;
	struct divert divert;
	uint32_t seed;
	int fd[2]; /* QEMU's end, ours */
	bool xbzrle, repeats;
	uint32_t hurt;

	uint32_t sent[BLOCKS][PAGES]; /* the last version; QEMU's thread */
	atomic_uint landed[BLOCKS][PAGES];
	uint8_t memory[BLOCKS][PAGES][STREAM_PAGE];

	/* What had been sent at the end of each section, as a sum. */
	pthread_mutex_t lock;
	uint64_t sent_sum;
	uint64_t *barrier;
	unsigned sections; /* written */
	unsigned read;     /* footers that the reader saw */
	atomic_uint_fast64_t landed_sum;
	bool ended;
};

/* --- content */

static bool is_zero(uint32_t version)
{
	return version % 4 == 0;
}

static void fill(uint8_t body[STREAM_PAGE], uint32_t block, uint32_t page,
		 uint32_t version)
{
	uint32_t *word = (uint32_t *)(void *)body;

	for (uint32_t i = 0; i < STREAM_PAGE / 4; i++)
		word[i] = version * 2654435761u + (page << 8) + block + i;
	word[0] = version;
}

/* With repeats: versions that are the one before, have one word for all, or
 * differ from the one before in two words. */
static void fill_repeats(uint8_t body[STREAM_PAGE], uint32_t block,
			 uint32_t page, uint32_t version)
{
	uint32_t *word = (uint32_t *)(void *)body;

	if (version % 16 == 7)
		version--;
	if (version % 16 == 9) {
		for (uint32_t i = 0; i < STREAM_PAGE / 4; i++)
			word[i] = version;
		return;
	}
	fill(body, block, page, version - version % 16);
	word[0] = version;
	word[version % 1000] = version;
}

static void content(const struct copy *c, uint8_t body[STREAM_PAGE],
		    uint32_t block, uint32_t page, uint32_t version)
{
	if (c->repeats)
		fill_repeats(body, block, page, version);
	else
		fill(body, block, page, version);
}

static void land(struct copy *c, uint32_t block, uint32_t page,
		 uint32_t version)
{
	uint32_t had = atomic_fetch_add(&c->landed[block][page], 1);

	CHECK(version == had + 1);
	atomic_fetch_add(&c->landed_sum, 1);
}

static void land_data(struct copy *c, uint32_t block, uint32_t page,
		      const uint8_t *data)
{
	static _Thread_local uint8_t want[STREAM_PAGE]
		__attribute__((aligned(8)));
	uint32_t version = atomic_load(&c->landed[block][page]) + 1;

	content(c, want, block, page, version);
	CHECK(memcmp(want, data, STREAM_PAGE) == 0);
	CHECK(!is_zero(version));
	memcpy(c->memory[block][page], data, STREAM_PAGE);
	land(c, block, page, version);
}

static void land_zero(struct copy *c, uint32_t block, uint32_t page)
{
	uint32_t version = atomic_load(&c->landed[block][page]) + 1;

	CHECK(is_zero(version));
	memset(c->memory[block][page], 0, STREAM_PAGE);
	land(c, block, page, version);
}

static void land_filled(struct copy *c, uint32_t block, uint32_t page,
			const uint8_t *word)
{
	uint8_t body[STREAM_PAGE];

	for (size_t i = 0; i < STREAM_PAGE; i += BATCH_FILL_SIZE)
		memcpy(body + i, word, BATCH_FILL_SIZE);
	land_data(c, block, page, body);
}

/* From what stands in memory. */
static void land_repeat(struct copy *c, enum batch_run_kind kind,
			uint32_t block, uint32_t page, struct reader *side)
{
	uint16_t len = kind == RUN_DELTA ? read_u16(side) : 0;
	uint64_t sum = read_u64(side);
	uint8_t body[STREAM_PAGE];
	struct error e;

	memcpy(body, c->memory[block][page], STREAM_PAGE);
	if (kind == RUN_DELTA)
		CHECK(delta_apply(body, reader_take(side, len), len, &e) == 0);
	CHECK(page_sum(body) == sum);
	land_data(c, block, page, body);
}

static void land_run(struct copy *c, const struct batch_head *b,
		     const struct batch_run *run, struct reader *side,
		     const uint8_t **data)
{
	const uint8_t *word = NULL;

	if (run->kind == RUN_FILL)
		word = reader_take(side, BATCH_FILL_SIZE);
	for (uint32_t k = 0; k < run->count; k++) {
		uint32_t page = (uint32_t)run->first + k;

		CHECK(b->block < 2 && page < PAGES);
		if (run->kind == RUN_ZERO) {
			land_zero(c, b->block, page);
		} else if (run->kind == RUN_FILL) {
			land_filled(c, b->block, page, word);
		} else if (run->kind == RUN_DATA) {
			land_data(c, b->block, page, *data);
			*data += WIRE_PAGE;
		} else {
			land_repeat(c, run->kind, b->block, page, side);
		}
	}
}

static int apply(void *context, const struct batch_head *b,
		 const struct batch_body *body, struct error *e)
{
	struct copy *c = context;
	struct reader side = reader_of(body->side, b->side);
	const uint8_t *data = body->data;

	(void)e;
	/* Slow enough to hold the source back. */
	if (c->repeats)
		sched_yield();
	for (unsigned i = 0; i < b->runs; i++)
		land_run(c, b, &b->run[i], &side, &data);
	CHECK(reader_done(&side));
	return 0;
}

/* --- the destination's QEMU */

static unsigned index_of(const char *name)
{
	for (unsigned i = 0; i < BLOCKS; i++)
		if (!strcmp(blocks[i].name, name))
			return i;
	CHECK(!"a block that nobody named");
	return 0;
}

static void on_record(void *context, const char *name, uint64_t offset,
		      enum stream_page_kind kind, const uint8_t *body,
		      size_t len)
{
	struct copy *c = context;
	uint32_t block = index_of(name), version;
	uint32_t page = (uint32_t)(offset / STREAM_PAGE);

	if (kind == PAGE_DATA)
		land_data(c, block, page, body);
	else if (kind == PAGE_ZERO)
		land_zero(c, block, page);
	else {
		CHECK(len == sizeof(version));
		memcpy(&version, body, sizeof(version));
		land(c, block, page, version);
	}
}

static void on_footer(void *context, uint32_t id)
{
	struct copy *c = context;
	uint64_t want;

	CHECK(id == RAM_ID);
	pthread_mutex_lock(&c->lock);
	CHECK(c->read < c->sections);
	want = c->barrier[c->read++];
	pthread_mutex_unlock(&c->lock);
	CHECK(atomic_load(&c->landed_sum) >= want);
}

static const struct stream_reader_ops reader_ops = { on_record, on_footer };

static void *destination_main(void *arg)
{
	struct copy *c = arg;
	struct inbox *in = session_inbox(c->ends.far);
	struct stream_reader r;
	struct piece *p;

	stream_reader_init(&r, &reader_ops, c);
	while (!c->ended && (p = inbox_read(in, 0))) {
		CHECK(stream_reader_feed(&r, p->data, p->len) == 0);
		c->ended = p->flags & STREAM_FIN;
		inbox_written(in, p);
	}
	stream_reader_done(&r);
	return NULL;
}

/* --- the source's QEMU */

static void put_page(struct copy *c, struct stream *s, uint32_t block,
		     uint32_t page)
{
	uint32_t version = ++c->sent[block][page];
	uint64_t offset = (uint64_t)page * STREAM_PAGE;
	uint8_t body[STREAM_PAGE] __attribute__((aligned(8)));

	c->sent_sum++;
	content(c, body, block, page, version);
	if (is_zero(version))
		stream_page(s, blocks[block].name, offset, PAGE_ZERO, "", 1);
	else if (c->xbzrle && random_below(&c->seed, 40) == 0)
		stream_page(s, blocks[block].name, offset, PAGE_XBZRLE,
			    &version, sizeof(version));
	else
		stream_page(s, blocks[block].name, offset, PAGE_DATA, body,
			    STREAM_PAGE);
}

static void section_over(struct copy *c, struct stream *s)
{
	stream_eos(s);
	stream_footer(s, RAM_ID);
	pthread_mutex_lock(&c->lock);
	CHECK(c->sections < SECTIONS_MAX);
	c->barrier[c->sections++] = c->sent_sum;
	pthread_mutex_unlock(&c->lock);
}

static void put_section(struct copy *c, struct stream *s)
{
	uint32_t n = random_below(&c->seed, 150);
	uint32_t hot = random_below(&c->seed, PAGES);

	stream_part(s, RAM_ID);
	while (n-- > 0) {
		uint32_t dice = random_below(&c->seed, 20);
		uint32_t block = dice == 0 ? 2 : dice < 4 ? 1 : 0;
		uint32_t page = hot++ % PAGES; /* runs, as QEMU's scan makes */

		if (random_below(&c->seed, 10) == 0)
			hot = random_below(&c->seed, PAGES);
		put_page(c, s, block, page);
	}
	section_over(c, s);
}

static void write_out(struct copy *c, struct stream *s)
{
	size_t done = 0;

	while (done < s->len) {
		size_t n = 1 + random_below(&c->seed, 300000);

		if (n > s->len - done)
			n = s->len - done;
		CHECK(write(c->fd[0], s->data + done, n) == (ssize_t)n);
		done += n;
	}
	s->len = 0;
}

static bool sent_enough(const struct copy *c)
{
	const unsigned times = stress_times();

	return c->sections >= SECTIONS_ENOUGH * times &&
	       (!c->hurt ||
		cutter_faults(c->ends.cutter) >= FAULTS_ENOUGH * times);
}

static void *source_main(void *arg)
{
	struct copy *c = arg;
	struct stream s = { 0 };

	stream_header(&s);
	stream_configuration(&s, "pc");
	stream_start(&s, RAM_ID, "ram", 4);
	stream_blocks(&s, blocks, BLOCKS);
	section_over(c, &s);
	while (!sent_enough(c)) {
		put_section(c, &s);
		write_out(c, &s);
		if (random_below(&c->seed, 8) == 0)
			wait_moment();
	}
	stream_end(&s, RAM_ID);
	put_page(c, &s, 0, 7);
	section_over(c, &s);
	stream_bytes(&s, "devices", 7);
	write_out(c, &s);
	stream_free(&s);
	shutdown(c->fd[0], SHUT_WR);
	return NULL;
}

/* --- all of it */

static void *divert_main(void *arg)
{
	struct copy *c = arg;
	struct error e = { 0 };

	if (divert_run(&c->divert, c->fd[1], &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	return NULL;
}

static struct copy *copy_begin(unsigned channels, bool repeats)
{
	/* Less than what is hot. */
	const struct history_size cache = { .bytes = PAGES * WIRE_PAGE / 2 };
	static const struct relay_block diverted[] = {
		{ "pc.ram", PAGES * STREAM_PAGE },
		{ "vga.vram", PAGES * STREAM_PAGE },
	};
	struct copy *c = calloc(1, sizeof(*c));
	struct error e;

	assert_non_null(c);
	c->seed = stress_seed();
	c->barrier = calloc(SECTIONS_MAX, sizeof(c->barrier[0]));
	pthread_mutex_init(&c->lock, NULL);
	c->sink = (struct page_sink){ apply, c };
	ends_init(&c->ends, c->seed);
	assert_int_equal(ends_open(&c->ends, channels, 30 * USEC_PER_SEC, &e),
			 0);
	session_set_page_sink(c->ends.far, &c->sink);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, c->fd), 0);
	assert_int_equal(divert_init(&c->divert, session_outbox(c->ends.near),
				     0, diverted, 2, &e),
			 0);
	c->repeats = repeats;
	if (repeats)
		divert_set_repeats(&c->divert, &cache, diverted, 2);
	return c;
}

static void copy_end(struct copy *c)
{
	cutter_hurt(c->ends.cutter, 0, 0);
	ends_close(&c->ends);
	divert_done(&c->divert);
	ends_done(&c->ends);
	close(c->fd[0]);
	close(c->fd[1]);
	pthread_mutex_destroy(&c->lock);
	free(c->barrier);
	free(c);
}

static void copy_check(const struct copy *c)
{
	assert_true(c->ended);
	assert_int_equal(c->read, c->sections);
	for (unsigned b = 0; b < BLOCKS; b++)
		for (unsigned p = 0; p < PAGES; p++)
			assert_int_equal(c->landed[b][p], c->sent[b][p]);
	for (unsigned i = 0; i < RUN_PROOF; i++) {
		bool plain = i == RUN_DATA || i == RUN_ZERO;

		print_message("%llu of kind %u\n",
			      (unsigned long long)c->divert.made[i], i);
		assert_int_equal(c->divert.made[i] > 0, plain || c->repeats);
	}
	assert_true(c->divert.kept_pages > 0);
	assert_true(c->divert.ram_done);
	assert_false(c->divert.opaque);
	assert_int_equal(divert_pages(&c->divert), c->sent_sum);
}

enum { PLAIN = 0, XBZRLE = 1, REPEATS = 2 };

static void run_whole(unsigned channels, uint32_t hurt, unsigned how)
{
	struct copy *c = copy_begin(channels, how & REPEATS);
	pthread_t source, diverter, destination;

	c->xbzrle = how & XBZRLE;
	c->hurt = hurt;
	cutter_hurt(c->ends.cutter, hurt, 6);
	pthread_create(&destination, NULL, destination_main, c);
	pthread_create(&diverter, NULL, divert_main, c);
	pthread_create(&source, NULL, source_main, c);
	pthread_join(source, NULL);
	pthread_join(diverter, NULL);
	assert_int_equal(outbox_wait_empty(session_outbox(c->ends.near),
					   clock_us() + 40 * USEC_PER_SEC),
			 0);
	pthread_join(destination, NULL);
	print_message("%u sections, %llu pages, %u faults\n", c->sections,
		      (unsigned long long)c->sent_sum,
		      cutter_faults(c->ends.cutter));
	copy_check(c);
	copy_end(c);
}

static void every_version_lands_once_and_in_order(void **state)
{
	(void)state;
	run_whole(1, 0, PLAIN);
}

static void so_it_does_over_four_channels_that_break(void **state)
{
	(void)state;
	run_whole(4, 2000000, PLAIN);
}

static void so_it_does_when_records_of_pages_stay_in_the_stream(void **state)
{
	(void)state;
	run_whole(4, 2000000, XBZRLE);
}

static void so_it_does_as_what_has_changed(void **state)
{
	(void)state;
	run_whole(1, 0, REPEATS);
}

static void so_it_does_as_what_has_changed_over_channels_that_break(
	void **state)
{
	(void)state;
	run_whole(4, 500000, REPEATS);
}

static void so_it_does_with_all_of_it(void **state)
{
	(void)state;
	run_whole(4, 500000, REPEATS | XBZRLE);
}

static void the_end_of_the_session_ends_the_reader(void **state)
{
	struct copy *c = copy_begin(1, true);
	struct stream s = { 0 };
	struct error e;

	(void)state;
	stream_header(&s);
	stream_configuration(&s, "pc");
	assert_int_equal(write(c->fd[0], s.data, s.len), s.len);
	stream_free(&s);
	session_fail(c->ends.near, "cut");
	assert_true(divert_run(&c->divert, c->fd[1], &e) < 0);
	copy_end(c);
}

/* Bytes that are mapped, on top of which a limit can be set. */
static uint64_t address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Earlier versions are a help; a move goes on without them. */
static void no_memory_for_earlier_versions_is_no_error(void **state)
{
	const struct history_size too_much = { .bytes = 1ULL << 60 };
	const struct relay_block block = { "pc.ram", PAGES * STREAM_PAGE };
	struct divert *d = malloc(sizeof(*d));
	struct rlimit before, limit;
	struct error e;

	(void)state;
	assert_int_equal(divert_init(d, NULL, 0, &block, 1, &e), 0);
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	limit = before;
	limit.rlim_cur = address_space() + (1 << 30);
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	divert_set_repeats(d, &too_much, &block, 1);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	assert_non_null(d->history);
	assert_int_equal(d->history->places, 0);
	divert_done(d);
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_version_lands_once_and_in_order),
		cmocka_unit_test(so_it_does_over_four_channels_that_break),
		cmocka_unit_test(
			so_it_does_when_records_of_pages_stay_in_the_stream),
		cmocka_unit_test(so_it_does_as_what_has_changed),
		cmocka_unit_test(
			so_it_does_as_what_has_changed_over_channels_that_break),
		cmocka_unit_test(so_it_does_with_all_of_it),
		cmocka_unit_test(the_end_of_the_session_ends_the_reader),
		cmocka_unit_test(no_memory_for_earlier_versions_is_no_error),
	};

	return cmocka_run_group_tests_name("divert", tests, NULL, NULL);
}
