/* SPDX-License-Identifier: MIT */

/*
 * Two ends of a session over a network that cuts connections and flips bits.
 *
 * The traffic proves itself.  Each page says its number and version, and the
 * sink takes only the version that follows the one it has: so each frame was
 * applied once, in the order of its page.  Streams are made of records that
 * say how many frames of pages left before them; whoever reads one compares
 * that with how many were applied.
 */
#include "unit.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "channel/tcp.h"
#include "ends.h"
#include "session/inbox.h"
#include "session/outbox.h"
#include "wire/frame.h"

enum { PAGES = 200, SIDES = 3 };

struct record {
	uint32_t stream, index;
	uint64_t pages_before;
};

struct traffic {
	struct ends ends;
	struct page_sink sink;
	uint32_t seed;
	atomic_bool stop;

	atomic_uint_fast64_t version[PAGES]; /* at the far end */
	atomic_uint_fast64_t applied;
	uint64_t sent_version[PAGES], sent_frame[PAGES]; /* near */
	atomic_uint_fast64_t pages_put;
};

/* --- pages */

static void fill_page(uint8_t *data, uint64_t page, uint64_t version)
{
	uint64_t *word = (uint64_t *)(void *)data;

	for (size_t i = 0; i < WIRE_PAGE / sizeof(*word); i++)
		word[i] = page * 0x9e3779b97f4a7c15 + version * 31 + i;
	word[0] = page;
	word[1] = version;
}

static void check_page(const uint8_t *data, uint64_t page, uint64_t version)
{
	static _Thread_local uint8_t want[WIRE_PAGE]
		__attribute__((aligned(8)));

	fill_page(want, page, version);
	CHECK(memcmp(data, want, WIRE_PAGE) == 0);
}

static int apply(void *context, const struct batch_head *b, const uint8_t *data,
		 struct error *e)
{
	struct traffic *t = context;

	(void)e;
	for (unsigned i = 0; i < b->runs; i++) {
		for (uint64_t k = 0; k < b->run[i].count; k++) {
			uint64_t page = b->run[i].first + k, had;

			CHECK(page < PAGES);
			had = atomic_fetch_add(&t->version[page], 1);
			check_page(data, page, had + 1);
			data += WIRE_PAGE;
		}
	}
	atomic_fetch_add(&t->applied, 1);
	return 0;
}

/* The rule that the relay keeps: the last version has arrived before the next
 * leaves; acknowledged means applied. */
static int wait_landed(struct traffic *t, uint64_t page)
{
	struct outbox *o = session_outbox(t->ends.near);

	if (t->sent_frame[page] &&
	    outbox_wait_acked(o, t->sent_frame[page], USEC_NEVER) < 0)
		return -EPIPE;
	CHECK(atomic_load(&t->version[page]) == t->sent_version[page]);
	return 0;
}

static int put_pages(struct traffic *t, uint64_t first, uint32_t count)
{
	struct outbox *o = session_outbox(t->ends.near);
	struct batch_head b = { .runs = 1,
				.pages = (uint16_t)count,
				.run = { { first, count, RUN_DATA } } };
	struct frame_out *f;
	struct error e;
	uint64_t seq;
	uint8_t *data;

	for (uint64_t p = first; p < first + count; p++)
		if (wait_landed(t, p) < 0)
			return -EPIPE;
	f = outbox_frame(o);
	if (!f)
		return -EPIPE;
	data = malloc((size_t)count * WIRE_PAGE);
	CHECK(data);
	for (uint32_t i = 0; i < count; i++)
		fill_page(data + (size_t)i * WIRE_PAGE, first + i,
			  ++t->sent_version[first + i]);
	f->owned = data;
	f->iov[0].iov_base = f->meta;
	f->iov[0].iov_len = batch_head_write(&b, f->meta);
	f->iov[1] = (struct iovec){ data, (size_t)count * WIRE_PAGE };
	f->iovs = 2;
	f->head.kind = FRAME_PAGES;
	f->head.len = (uint32_t)(f->iov[0].iov_len + f->iov[1].iov_len);
	if (outbox_put(o, f, &seq, &e) < 0)
		return -EPIPE;
	for (uint64_t p = first; p < first + count; p++)
		t->sent_frame[p] = seq;
	atomic_fetch_add(&t->pages_put, 1);
	return 0;
}

/* --- streams of records */

struct writer_state {
	uint32_t index;
	uint64_t offset;
	struct record half; /* what did not fit into the last piece */
	size_t half_left;
};

static int put_stream(struct session *s, uint16_t stream, const void *data,
		      size_t len, uint64_t *offset, uint8_t flags)
{
	struct outbox *o = session_outbox(s);
	struct frame_out *f = outbox_frame(o);
	struct error e;

	if (!f)
		return -EPIPE;
	f->owned = malloc(len ? len : 1);
	CHECK(f->owned);
	if (len)
		memcpy(f->owned, data, len);
	f->iov[0] = (struct iovec){ f->owned, len };
	f->iovs = 1;
	f->head.kind = FRAME_STREAM;
	f->head.stream = stream;
	f->head.flags = flags;
	f->head.len = (uint32_t)len;
	f->head.offset = *offset;
	*offset += len;
	return outbox_put(o, f, NULL, &e);
}

/* Records in one piece whose end may stand inside of one. */
static int put_records(struct traffic *t, struct session *s, uint16_t stream,
		       struct writer_state *w, uint32_t *seed)
{
	uint8_t buf[64 * sizeof(struct record)];
	size_t used = w->half_left, cut;
	uint32_t n = 1 + random_below(seed, 60);

	memcpy(buf, (uint8_t *)&w->half + sizeof(w->half) - used, used);
	for (uint32_t i = 0; i < n; i++) {
		const struct record r = { stream, w->index++,
					  atomic_load(&t->pages_put) };

		memcpy(buf + used, &r, sizeof(r));
		used += sizeof(r);
		w->half = r;
	}
	cut = random_below(seed, sizeof(struct record));
	w->half_left = cut;
	return put_stream(s, stream, buf, used - cut, &w->offset, 0);
}

static int put_end(struct session *s, uint16_t stream, struct writer_state *w)
{
	const uint8_t *left =
		(uint8_t *)&w->half + sizeof(w->half) - w->half_left;

	if (put_stream(s, stream, left, w->half_left, &w->offset, 0) < 0)
		return -EPIPE;
	return put_stream(s, stream, NULL, 0, &w->offset, STREAM_FIN);
}

struct reading {
	struct traffic *traffic;
	struct session *session;
	uint16_t stream;
	bool ordered; /* behind pages of the same direction */
	uint32_t records;
	bool ended;
	pthread_t thread;
};

static void read_record(struct reading *r, const struct record *got)
{
	CHECK(got->stream == r->stream);
	CHECK(got->index == r->records);
	CHECK(!r->ordered ||
	      atomic_load(&r->traffic->applied) >= got->pages_before);
	r->records++;
}

static void *reading_main(void *arg)
{
	struct reading *r = arg;
	struct inbox *in = session_inbox(r->session);
	struct record got;
	size_t have = 0;
	struct piece *p;

	while ((p = inbox_read(in, r->stream))) {
		for (uint32_t i = 0; i < p->len; i++) {
			((uint8_t *)&got)[have++] = p->data[i];
			if (have < sizeof(got))
				continue;
			read_record(r, &got);
			have = 0;
		}
		r->ended = p->flags & STREAM_FIN;
		inbox_written(in, p);
		if (r->ended)
			break;
	}
	CHECK(!r->ended || have == 0);
	return NULL;
}

/* --- messages */

static int put_message(struct session *s, uint32_t n)
{
	struct error e;

	return session_send(s, json_pack("{s:i}", "n", (int)n), &e);
}

static uint32_t read_messages(struct session *s, uint32_t next)
{
	json_t *m;
	struct error e;

	while (session_receive(s, &m, &e) > 0) {
		CHECK(json_integer_value(json_object_get(m, "n")) == next);
		next++;
		json_decref(m);
	}
	return next;
}

/* --- both directions */

struct side {
	struct traffic *traffic;
	struct session *session;
	bool pages; /* and streams 0..SIDES-1, or stream 0 only */
	uint32_t seed, messages, heard;
	struct writer_state w[SIDES];
	pthread_t thread;
};

static int side_step(struct side *s)
{
	struct traffic *t = s->traffic;
	uint32_t dice = random_below(&s->seed, 100);

	if (dice < 5) {
		s->heard = read_messages(s->session, s->heard);
		return put_message(s->session, s->messages++);
	}
	if (s->pages && dice < 60) {
		uint32_t first = random_below(&s->seed, PAGES);
		uint32_t most = PAGES - first < BATCH_MAX_PAGES
					? PAGES - first
					: BATCH_MAX_PAGES;

		return put_pages(t, first, 1 + random_below(&s->seed, most));
	}
	dice = s->pages ? random_below(&s->seed, SIDES) : 0;
	return put_records(t, s->session, (uint16_t)dice, &s->w[dice],
			   &s->seed);
}

static void *side_main(void *arg)
{
	struct side *s = arg;
	struct error e = { 0 };

	while (!atomic_load(&s->traffic->stop)) {
		if (side_step(s) == 0)
			continue;
		session_check(s->session, &e);
		fprintf(stderr, "the session has ended: %s\n", e.text);
		abort();
	}
	for (uint16_t i = 0; i < (s->pages ? SIDES : 1); i++)
		CHECK(put_end(s->session, i, &s->w[i]) == 0);
	CHECK(outbox_wait_empty(session_outbox(s->session),
				clock_us() + 40 * USEC_PER_SEC) == 0);
	return NULL;
}

static void traffic_init(struct traffic *t, uint32_t seed)
{
	memset(t, 0, sizeof(*t));
	t->seed = seed;
	t->sink = (struct page_sink){ apply, t };
	ends_init(&t->ends, seed);
}

static void traffic_open(struct traffic *t, unsigned channels)
{
	struct error e;

	assert_int_equal(ends_open(&t->ends, channels, 30 * USEC_PER_SEC, &e),
			 0);
	session_set_page_sink(t->ends.far, &t->sink);
}

/* Sends and receives for @seconds, hurting the network every @hurt bytes. */
static void traffic_run(struct traffic *t, unsigned seconds, uint32_t hurt)
{
	struct side near = { t, t->ends.near, true, t->seed ^ 77, 0,
			     0, { { 0 } },    0 };
	struct side far = { t, t->ends.far, false,     t->seed ^ 99,
			    0, 0,           { { 0 } }, 0 };
	struct reading r[SIDES + 1];

	for (uint16_t i = 0; i <= SIDES; i++)
		r[i] = (struct reading){
			.traffic = t,
			.session = i < SIDES ? t->ends.far : t->ends.near,
			.stream = i < SIDES ? i : 0,
			.ordered = i < SIDES,
		};
	for (int i = 0; i <= SIDES; i++)
		pthread_create(&r[i].thread, NULL, reading_main, &r[i]);
	cutter_hurt(t->ends.cutter, hurt, 6);
	pthread_create(&near.thread, NULL, side_main, &near);
	pthread_create(&far.thread, NULL, side_main, &far);
	sleep(seconds);
	atomic_store(&t->stop, true);
	pthread_join(near.thread, NULL);
	pthread_join(far.thread, NULL);
	for (int i = 0; i <= SIDES; i++) {
		pthread_join(r[i].thread, NULL);
		assert_true(r[i].ended);
		assert_int_equal(r[i].records,
				 i < SIDES ? near.w[i].index : far.w[0].index);
	}
	assert_int_equal(read_messages(t->ends.far, far.heard), near.messages);
	assert_int_equal(read_messages(t->ends.near, near.heard), far.messages);
	assert_int_equal(atomic_load(&t->applied), atomic_load(&t->pages_put));
}

static void run_whole(unsigned channels, uint32_t hurt)
{
	struct traffic *t = malloc(sizeof(*t));
	struct session_stats near;

	traffic_init(t, stress_seed());
	traffic_open(t, channels);
	traffic_run(t, stress_seconds(), hurt);
	session_stats(t->ends.near, &near);
	print_message("%llu frames of pages, %llu sent again, %llu copies, "
		      "%u faults\n",
		      (unsigned long long)t->applied,
		      (unsigned long long)near.out.resent_frames,
		      (unsigned long long)near.duplicates,
		      cutter_faults(t->ends.cutter));
	assert_true(t->applied > 10);
	if (hurt)
		assert_true(cutter_faults(t->ends.cutter) > 0);
	cutter_hurt(t->ends.cutter, 0, 0);
	ends_close(&t->ends);
	ends_done(&t->ends);
	free(t);
}

static void all_arrives_once_over_one_channel(void **state)
{
	(void)state;
	run_whole(1, 0);
}

static void all_arrives_once_over_four_channels(void **state)
{
	(void)state;
	run_whole(4, 0);
}

static void all_arrives_once_over_one_channel_that_breaks(void **state)
{
	(void)state;
	run_whole(1, 3000000);
}

static void all_arrives_once_over_four_channels_that_break(void **state)
{
	(void)state;
	run_whole(4, 1000000);
}

/* --- how it ends */

/* Waits until @s has ended; the reason in @e. */
static uint64_t wait_end(struct session *s, struct error *e)
{
	uint64_t began = clock_us();

	while (session_check(s, e) == 0) {
		assert_true(clock_us() - began < 20 * USEC_PER_SEC);
		usleep(1000);
	}
	return clock_us() - began;
}

static void opened_ends(struct ends *e, unsigned channels, uint64_t outage_us)
{
	struct error err;

	ends_init(e, 1);
	assert_int_equal(ends_open(e, channels, outage_us, &err), 0);
}

static void a_long_outage_ends_both_sides_with_a_sentence(void **state)
{
	struct ends e;
	struct error err;

	(void)state;
	opened_ends(&e, 2, USEC_PER_SEC);
	cutter_freeze(e.cutter);
	wait_end(e.near, &err);
	assert_non_null(strstr(err.text, "no path to host far for 1"));
	wait_end(e.far, &err);
	assert_non_null(strstr(err.text, "no path to host near for 1"));
	ends_close(&e);
	ends_done(&e);
}

static void a_short_outage_is_survived(void **state)
{
	struct ends e;
	struct error err;
	json_t *m;

	(void)state;
	opened_ends(&e, 2, 20 * USEC_PER_SEC);
	cutter_cut_all(e.cutter, 1);
	usleep(300000);
	assert_int_equal(put_message(e.near, 7), 0);
	cutter_cut_all(e.cutter, 0);
	assert_int_equal(session_await(e.far, clock_us() + 10 * USEC_PER_SEC,
				       &m, &err),
			 1);
	json_decref(m);
	ends_close(&e);
	ends_done(&e);
}

static void the_reason_of_an_end_reaches_the_other_side(void **state)
{
	struct ends e;
	struct error err;

	(void)state;
	opened_ends(&e, 4, 20 * USEC_PER_SEC);
	session_end(e.near, true, "the guest has gone away");
	wait_end(e.far, &err);
	assert_string_equal(err.text, "near: the guest has gone away");
	ends_close(&e);
	ends_done(&e);
}

static void a_peer_that_is_not_admitted_is_told_why(void **state)
{
	struct ends e;
	struct error err;

	(void)state;
	ends_init(&e, 1);
	e.refuse = "does not know host near";
	assert_int_equal(ends_open(&e, 1, USEC_PER_SEC, &err), -ECONNABORTED);
	assert_string_equal(err.text, "host far: does not know host near");
	ends_done(&e);
}

/* --- hand-made peers */

static struct channel *dial(const struct ends *e)
{
	struct channel *c = NULL;
	struct error err;

	assert_int_equal(tcp_dial(&c, "127.0.0.1", e->port,
				  clock_us() + USEC_PER_SEC, -1, &err),
			 0);
	return c;
}

static void say(struct channel *c, const void *data, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct error err;

	assert_int_equal(c->ops->write(c, &iov, 1, &err), 0);
}

static int hear_hello(struct channel *c, struct hello *ret)
{
	uint64_t deadline = clock_us() + 3 * USEC_PER_SEC;
	uint8_t buf[HELLO_MAX];
	struct error err;
	size_t len;

	if (channel_read_all(c, buf, HELLO_HEAD_SIZE, deadline, &err) < 0 ||
	    hello_length(&len, buf, &err) < 0 ||
	    channel_read_all(c, buf + HELLO_HEAD_SIZE, len - HELLO_HEAD_SIZE,
			     deadline, &err) < 0)
		return -err.code;
	return hello_read(ret, buf, len, &err);
}

static struct hello say_hello(const struct ends *e, struct hello h)
{
	struct channel *c = dial(e);
	struct hello answer = { 0 };
	uint8_t buf[HELLO_MAX];

	say(c, buf, hello_write(&h, buf));
	assert_int_equal(hear_hello(c, &answer), 0);
	channel_free(c);
	return answer;
}

static void a_peer_of_another_version_is_refused_with_a_sentence(void **state)
{
	struct hello h = { .version = 9, .lowest = 8, .kind = HELLO_OPEN };
	struct ends e;

	(void)state;
	ends_init(&e, 1);
	h = say_hello(&e, h);
	assert_int_equal(h.kind, HELLO_REFUSE);
	assert_non_null(strstr(h.text, "wire versions 1 to 1"));
	assert_non_null(strstr(h.text, "8 to 9"));
	ends_done(&e);
}

static void a_wrong_secret_or_session_is_refused(void **state)
{
	struct ends e;
	struct hello h, join = { .version = WIRE_VERSION,
				 .lowest = WIRE_LOWEST,
				 .kind = HELLO_JOIN,
				 .session = 12345 };
	struct channel *c;
	uint8_t buf[HELLO_MAX];

	(void)state;
	ends_init(&e, 1);
	h = say_hello(&e, join);
	assert_int_equal(h.kind, HELLO_REFUSE);
	assert_non_null(strstr(h.text, "knows nothing of this session"));

	h = (struct hello){ .version = WIRE_VERSION,
			    .lowest = WIRE_LOWEST,
			    .kind = HELLO_OPEN,
			    .text = "near" };
	c = dial(&e);
	say(c, buf, hello_write(&h, buf));
	assert_int_equal(hear_hello(c, &h), 0);
	assert_int_equal(h.kind, HELLO_ACCEPT);
	join.session = h.session;
	memcpy(join.secret, h.secret, SECRET_SIZE);
	join.secret[SECRET_SIZE - 1] ^= 1;
	assert_int_equal(say_hello(&e, join).kind, HELLO_REFUSE);
	join.secret[SECRET_SIZE - 1] ^= 1;
	assert_int_equal(say_hello(&e, join).kind, HELLO_ACCEPT);
	channel_free(c);
	session_free(ends_far(&e));
	ends_done(&e);
}

/* A session of the far end with a peer that we play. */
struct puppet {
	struct ends ends;
	struct channel *channel;
	uint64_t id;
	uint8_t secret[SECRET_SIZE];
};

static void puppet_init(struct puppet *p)
{
	struct hello h = { .version = WIRE_VERSION,
			   .lowest = WIRE_LOWEST,
			   .kind = HELLO_OPEN,
			   .text = "near" };
	uint8_t buf[HELLO_MAX];

	ends_init(&p->ends, 1);
	p->ends.acceptor.outage_limit_us = 5 * USEC_PER_SEC;
	p->channel = dial(&p->ends);
	say(p->channel, buf, hello_write(&h, buf));
	assert_int_equal(hear_hello(p->channel, &h), 0);
	assert_int_equal(h.kind, HELLO_ACCEPT);
	p->id = h.session;
	memcpy(p->secret, h.secret, SECRET_SIZE);
	ends_far(&p->ends);
}

static void puppet_done(struct puppet *p)
{
	session_free(p->ends.far);
	channel_free(p->channel);
	ends_done(&p->ends);
}

static void puppet_sends(struct puppet *p, struct frame_head h,
			 const void *payload)
{
	struct iovec sum = { (void *)(uintptr_t)payload, h.len };
	uint8_t head[FRAME_HEAD_SIZE];

	h.sum = frame_sum(&sum, 1);
	frame_head_write(&h, p->id, head);
	say(p->channel, head, sizeof(head));
	say(p->channel, payload, h.len);
}

static void puppet_message(struct puppet *p, uint64_t seq, uint64_t ordinal)
{
	puppet_sends(p,
		     (struct frame_head){ .kind = FRAME_MESSAGE,
					  .len = 2,
					  .seq = seq,
					  .offset = ordinal },
		     "{}");
}

static void a_frame_that_comes_twice_is_dropped(void **state)
{
	struct puppet p;
	struct session_stats st;
	struct error err;
	json_t *m;

	(void)state;
	puppet_init(&p);
	for (int i = 0; i < 3; i++)
		puppet_message(&p, 1, 0);
	puppet_message(&p, 2, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(session_await(p.ends.far,
					       clock_us() + USEC_PER_SEC, &m,
					       &err),
				 1);
		json_decref(m);
	}
	assert_int_equal(session_receive(p.ends.far, &m, &err), 0);
	session_stats(p.ends.far, &st);
	assert_int_equal(st.duplicates, 2);
	puppet_done(&p);
}

static void refused(const struct frame_head *h, const void *payload,
		    const char *sentence)
{
	struct puppet p;
	struct error err;

	puppet_init(&p);
	puppet_sends(&p, *h, payload);
	wait_end(p.ends.far, &err);
	if (!strstr(err.text, sentence))
		fail_msg("%s", err.text);
	puppet_done(&p);
}

static void frames_that_break_the_rules_end_the_session(void **state)
{
	static const uint8_t zeros[64];

	(void)state;
	refused(&(struct frame_head){ .kind = FRAME_MESSAGE,
				      .len = 2,
				      .seq = FRAME_WINDOW + 1 },
		"{}", "frame 4097 while 1 is missing");
	refused(&(struct frame_head){ .kind = FRAME_PAGES,
				      .len = sizeof(zeros),
				      .seq = 1 },
		zeros, "no memory for them");
	refused(&(struct frame_head){ .kind = FRAME_ACK, .len = 3 }, zeros,
		"ACK of 3 bytes");
	refused(&(struct frame_head){ .kind = FRAME_ACK, .len = 16 },
		"\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\0", "never sent");
}

static void *talk_for_ever(void *arg)
{
	static const uint8_t ack[16] = { [7] = 1 };
	struct puppet *p = arg;
	struct frame_head h = { .kind = FRAME_ACK, .len = sizeof(ack) };
	struct iovec iov = { (void *)(uintptr_t)ack, sizeof(ack) };
	uint8_t frame[FRAME_HEAD_SIZE + sizeof(ack)];
	struct error err;

	h.sum = frame_sum(&iov, 1);
	frame_head_write(&h, p->id, frame);
	memcpy(frame + FRAME_HEAD_SIZE, ack, sizeof(ack));
	do {
		iov = (struct iovec){ frame, sizeof(frame) };
	} while (p->channel->ops->write(p->channel, &iov, 1, &err) == 0);
	return NULL;
}

static void a_peer_that_talks_on_after_the_end_is_cut_off(void **state)
{
	struct puppet p;
	pthread_t talker;
	uint64_t began;

	(void)state;
	puppet_init(&p);
	pthread_create(&talker, NULL, talk_for_ever, &p);
	began = clock_us();
	session_free(p.ends.far);
	assert_true(clock_us() - began < 6 * USEC_PER_SEC);
	pthread_join(talker, NULL);
	channel_free(p.channel);
	ends_done(&p.ends);
}

static void a_session_more_than_the_limit_is_refused(void **state)
{
	struct puppet p;
	struct hello h = { .version = WIRE_VERSION,
			   .lowest = WIRE_LOWEST,
			   .kind = HELLO_OPEN,
			   .text = "near" };

	(void)state;
	puppet_init(&p);
	h = say_hello(&p.ends, h);
	assert_int_equal(h.kind, HELLO_REFUSE);
	assert_non_null(strstr(h.text, "has 1 sessions open"));
	puppet_done(&p);
}

static void whoever_joins_an_ended_session_is_told_why_it_ended(void **state)
{
	struct puppet p;
	struct hello h = { .version = WIRE_VERSION,
			   .lowest = WIRE_LOWEST,
			   .kind = HELLO_JOIN };

	(void)state;
	puppet_init(&p);
	session_end(p.ends.far, true, "the memory is full");
	h.session = p.id;
	memcpy(h.secret, p.secret, SECRET_SIZE);
	h = say_hello(&p.ends, h);
	assert_int_equal(h.kind, HELLO_REFUSE);
	assert_string_equal(h.text, "the memory is full");
	puppet_done(&p);
}

static void what_a_peer_says_is_made_printable(void **state)
{
	struct puppet p;
	struct error err;

	(void)state;
	puppet_init(&p);
	puppet_sends(&p, (struct frame_head){ .kind = FRAME_BYE, .len = 5 },
		     "a\n\xff\0b");
	wait_end(p.ends.far, &err);
	assert_string_equal(err.text, "near: a???b");
	puppet_done(&p);
}

static void a_restarted_host_ends_the_session_at_once(void **state)
{
	struct session_table *fresh;
	struct ends e;
	struct error err;

	(void)state;
	opened_ends(&e, 1, 60 * USEC_PER_SEC);
	/* The table of a new daemon is empty. */
	e.acceptor.table = fresh = session_table_new();
	cutter_cut_all(e.cutter, 0);
	assert_true(wait_end(e.near, &err) < 2 * USEC_PER_SEC);
	assert_non_null(strstr(err.text, "has its droverd been"));
	session_end(e.far, true, "killed");
	ends_close(&e);
	ends_done(&e);
	session_table_free(fresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_arrives_once_over_one_channel),
		cmocka_unit_test(all_arrives_once_over_four_channels),
		cmocka_unit_test(all_arrives_once_over_one_channel_that_breaks),
		cmocka_unit_test(
			all_arrives_once_over_four_channels_that_break),
		cmocka_unit_test(a_long_outage_ends_both_sides_with_a_sentence),
		cmocka_unit_test(a_short_outage_is_survived),
		cmocka_unit_test(the_reason_of_an_end_reaches_the_other_side),
		cmocka_unit_test(a_peer_that_is_not_admitted_is_told_why),
		cmocka_unit_test(
			a_peer_of_another_version_is_refused_with_a_sentence),
		cmocka_unit_test(a_wrong_secret_or_session_is_refused),
		cmocka_unit_test(a_frame_that_comes_twice_is_dropped),
		cmocka_unit_test(frames_that_break_the_rules_end_the_session),
		cmocka_unit_test(a_peer_that_talks_on_after_the_end_is_cut_off),
		cmocka_unit_test(a_session_more_than_the_limit_is_refused),
		cmocka_unit_test(
			whoever_joins_an_ended_session_is_told_why_it_ended),
		cmocka_unit_test(what_a_peer_says_is_made_printable),
		cmocka_unit_test(a_restarted_host_ends_the_session_at_once),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
