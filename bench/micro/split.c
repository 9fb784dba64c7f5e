/* SPDX-License-Identifier: MIT */

/*
 * What the splitter costs: QEMU's stream of mixed pages, as it stands in
 * divert.c's buffers, to callbacks that only look at what they get.
 *
 *     build/bench/micro/split [--count]
 *
 * The splitter copies no page and reads none of its bytes.  read() brings them
 * to where it looks: that is the copy which a memcpy stands for, so the row
 * with it is the one to hold against the bar.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "data.h"
#include "micro.h"
#include "qemu/split.h"
#include "stream.h"

enum {
	ARRIVES = 128 * 1024, /* with one read() */
	BUFFER = 512 * 1024,
	BUFFERS = 8, /* in use at a time, about */
	BLOCK = 0,
};

static const char block[] = "pc.ram";

struct bench {
	struct stream mixed, data; /* with and without zero pages */
	const struct stream *stream;
	struct splitter *splitter;
	int to, from; /* a pair of sockets, as between QEMU and us */
	uint8_t *buffer;
	uint64_t pages, bytes; /* that the callbacks got */
};

static int on_stream(void *context, const uint8_t *data, size_t len,
		     struct error *e)
{
	struct bench *b = context;

	(void)data;
	(void)e;
	b->bytes += len;
	return 0;
}

static int on_page(void *context, unsigned number, uint64_t offset,
		   const uint8_t *data, struct error *e)
{
	struct bench *b = context;

	(void)e;
	b->pages += number + offset + (data != NULL);
	return 1;
}

static int on_page_not_taken(void *context, unsigned number, uint64_t offset,
			     const uint8_t *data, struct error *e)
{
	return on_page(context, number, offset, data, e) - 1;
}

static void on_stays(void *context, unsigned number, uint64_t offset)
{
	struct bench *b = context;

	b->pages += number + offset;
}

static bool on_may_divert(void *context)
{
	(void)context;
	return true;
}

static const struct split_ops takes = { .stream = on_stream,
					.page = on_page,
					.stays = on_stays,
					.may_divert = on_may_divert };
static const struct split_ops leaves = { .stream = on_stream,
					 .page = on_page_not_taken,
					 .stays = on_stays,
					 .may_divert = on_may_divert };

static void begin(struct bench *b, const struct stream *s,
		  const struct split_ops *ops)
{
	struct error e;

	b->stream = s;
	split_free(b->splitter);
	if (split_new(&b->splitter, ops, b, &e) < 0 ||
	    split_divert(b->splitter, block,
			 (uint64_t)micro_pages() * SPLIT_PAGE, BLOCK, &e) < 0)
		micro_fail(&e);
}

static void prepare_mixed(void *context)
{
	struct bench *b = context;

	begin(b, &b->mixed, &takes);
}

static void prepare_data(void *context)
{
	struct bench *b = context;

	begin(b, &b->data, &takes);
}

static void prepare_left(void *context)
{
	struct bench *b = context;

	begin(b, &b->mixed, &leaves);
}

/* As the bytes arrive, each time with what was left over in front. */
static void split(void *context)
{
	struct bench *b = context;
	size_t used = 0, have = 0;
	struct error e;

	while (have < b->stream->len) {
		ssize_t n;

		have = b->stream->len - have < ARRIVES ? b->stream->len
						       : have + ARRIVES;
		n = split_feed(b->splitter, b->stream->data + used, have - used,
			       &e);
		if (n < 0)
			micro_fail(&e);
		used += (size_t)n;
	}
	micro_use(b->pages + b->bytes);
}

/* --- the whole stage, as divert.c has it */

static void fail_sys(const char *what)
{
	struct error e;

	error_sys(&e, "%s", what);
	micro_fail(&e);
}

struct arrival {
	size_t sent; /* bytes of the stream */
	uint8_t *buffer;
	size_t have, used; /* bytes in it, and those that were split */
	unsigned buffers;  /* so far */
};

static void fill_socket(const struct bench *b, struct arrival *a)
{
	size_t left = b->stream->len - a->sent;
	ssize_t n = write(b->to, b->stream->data + a->sent,
			  left < ARRIVES ? left : ARRIVES);

	if (n < 0)
		fail_sys("write to the socket");
	a->sent += (size_t)n;
}

static void next_buffer(const struct bench *b, struct arrival *a)
{
	uint8_t *next = b->buffer + (size_t)(++a->buffers % BUFFERS) * BUFFER;

	a->have -= a->used;
	memcpy(next, a->buffer + a->used, a->have);
	a->buffer = next;
	a->used = 0;
}

static void read_and_split(const struct bench *b, struct arrival *a)
{
	struct error e;
	ssize_t n;

	if (BUFFER - a->have < ARRIVES)
		next_buffer(b, a);
	n = read(b->from, a->buffer + a->have, ARRIVES);
	if (n < 0)
		fail_sys("read from the socket");
	a->have += (size_t)n;
	n = split_feed(b->splitter, a->buffer + a->used, a->have - a->used, &e);
	if (n < 0)
		micro_fail(&e);
	a->used += (size_t)n;
}

/* Both ends of the socket are this thread's: what fills it is not meant. */
static double stage(void *context)
{
	const struct bench *b = context;
	struct arrival a = { .buffer = b->buffer };
	double ns = 0;

	while (a.sent < b->stream->len) {
		double start;

		fill_socket(b, &a);
		start = micro_now_ns();
		read_and_split(b, &a);
		ns += micro_now_ns() - start;
	}
	return ns;
}

/* --- */

static void stream_make(struct stream *s, enum data_kind kind)
{
	const unsigned pages = micro_pages();
	const struct stream_block b = { block, (uint64_t)pages * SPLIT_PAGE };
	uint8_t *data = data_new(kind, pages);

	stream_header(s);
	stream_configuration(s, "pc-i440fx-7.2");
	stream_start(s, 2, "ram", 4);
	stream_blocks(s, &b, 1);
	stream_eos(s);
	stream_footer(s, 2);
	stream_end(s, 2);
	for (unsigned i = 0; i < pages; i++) {
		const uint8_t *page = data + (size_t)i * SPLIT_PAGE;
		bool zero = kind == DATA_MIXED && data_is_zero(i);

		stream_page(s, block, (uint64_t)i * SPLIT_PAGE,
			    zero ? PAGE_ZERO : PAGE_DATA, page,
			    zero ? 1 : SPLIT_PAGE);
	}
	stream_eos(s);
	stream_footer(s, 2);
	free(data);
}

static const struct micro_row rows[] = {
	{ "mixed pages, diverted", prepare_mixed, split },
	{ "pages of data, diverted", prepare_data, split },
	{ "mixed pages, left in the stream", prepare_left, split },
	{ "pages of data, read and diverted: the stage", prepare_data,
	  .timed = stage, .calls = "read()" },
};

int main(int argc, char **argv)
{
	struct bench b = { .buffer = micro_memory(BUFFERS * BUFFER) };
	int pair[2];

	micro_begin(argc, argv, NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		fail_sys("a pair of sockets");
	b.to = pair[0];
	b.from = pair[1];
	stream_make(&b.mixed, DATA_MIXED);
	stream_make(&b.data, DATA_TRAVELLING);
	micro_run("split", rows, ARRAY_SIZE(rows), &b);
	if (!split_stats(b.splitter)->ram_done) {
		fprintf(stderr, "the splitter did not get to the end\n");
		return 1;
	}
	split_free(b.splitter);
	stream_free(&b.mixed);
	stream_free(&b.data);
	free(b.buffer);
	return 0;
}
