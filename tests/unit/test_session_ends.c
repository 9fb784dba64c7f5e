/* SPDX-License-Identifier: MIT */

/*
 * How a session ends: by an outage, by one side's word, or by a peer, written
 * by hand here, that breaks the rules.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"
#include "codec/codec.h"
#include "ends.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "lanes/lanes.h"
#include "session/hello.h"
#include "set_clock.h"
#include "wire/frame.h"

/* --- how it ends */

/* Waits until @s has ended, which time may bring; the reason in @e. */
static uint64_t wait_hastened(struct session *s, uint64_t haste_us,
			      struct error *e)
{
	uint64_t began = clock_us();

	while (session_check(s, e) == 0) {
		assert_true(clock_us() - began < 20 * USEC_PER_SEC);
		clock_hasten(haste_us);
	}
	return clock_us() - began;
}

static uint64_t wait_end(struct session *s, struct error *e)
{
	return wait_hastened(s, 5 * USEC_PER_MS, e);
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
	struct message m;

	(void)state;
	opened_ends(&e, 2, 20 * USEC_PER_SEC);
	cutter_cut_all(e.cutter, 1);
	for (int ms = 0; ms < 300; ms += 5)
		clock_hasten(5 * USEC_PER_MS);
	assert_int_equal(session_say(e.near, MESSAGE_PLAN, &err), 0);
	cutter_cut_all(e.cutter, 0);
	assert_int_equal(session_await(e.far, clock_us() + 10 * USEC_PER_SEC,
				       &m, &err),
			 1);
	message_done(&m);
	ends_close(&e);
	ends_done(&e);
}

static void the_reason_of_an_end_reaches_the_other_side(void **state)
{
	struct ends e;
	struct error err;

	(void)state;
	opened_ends(&e, 4, 20 * USEC_PER_SEC);
	session_fail(e.near, "the guest has gone away");
	wait_end(e.far, &err);
	assert_string_equal(err.text, "near: the guest has gone away");
	ends_close(&e);
	ends_done(&e);
}

/* --- hand-made peers */

static struct channel *dial(const struct ends *e)
{
	const struct channel_way way = { .host = "127.0.0.1", .port = e->port };
	struct channel *c = NULL;
	struct error err;

	assert_int_equal(channel_tcp.dial(&c, &way, clock_us() + USEC_PER_SEC,
					  -1, &err),
			 0);
	return c;
}

static void say(struct channel *c, const void *data, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct error err;

	assert_int_equal(c->kind->write(c, &iov, 1, &err), 0);
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
	assert_non_null(strstr(h.text, "wire versions 2 to 2"));
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
	join.secret[0] ^= 1;
	assert_int_equal(say_hello(&e, join).kind, HELLO_REFUSE);
	join.secret[0] ^= 1;
	/* The half that proves the peer is told only once, to who opened. */
	memset(join.secret + SECRET_JOINS, 0, SECRET_SIZE - SECRET_JOINS);
	join = say_hello(&e, join);
	assert_int_equal(join.kind, HELLO_ACCEPT);
	assert_memory_equal(join.secret + SECRET_JOINS, h.secret + SECRET_JOINS,
			    SECRET_SIZE - SECRET_JOINS);
	memset(h.secret, 0, SECRET_JOINS);
	assert_memory_equal(join.secret, h.secret, SECRET_JOINS);
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

/* It leaves first, so that nobody waits for its goodbye. */
static void puppet_done(struct puppet *p)
{
	channel_free(p->channel);
	session_free(p->ends.far);
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
	struct message m;

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
		message_done(&m);
	}
	assert_int_equal(session_receive(p.ends.far, &m, &err), 0);
	session_stats(p.ends.far, &st);
	assert_int_equal(st.duplicates, 2);
	puppet_done(&p);
}

/* Until the far end has no more time for us. */
static void wait_hung_up(struct puppet *p)
{
	uint8_t rest[256];
	struct error err;
	ssize_t n;

	do {
		clock_hasten(20 * USEC_PER_MS);
		n = p->channel->kind->read(p->channel, rest, sizeof(rest),
					   clock_us() + USEC_PER_MS, &err);
	} while (n > 0 || n == -EAGAIN || n == -ETIMEDOUT);
}

static void nothing_is_taken_after_the_end(void **state)
{
	struct puppet p;
	struct error err;
	struct message m;

	(void)state;
	puppet_init(&p);
	session_end(p.ends.far, "done");
	puppet_message(&p, 1, 0);
	wait_hung_up(&p);
	assert_int_equal(session_receive(p.ends.far, &m, &err), -ECONNABORTED);
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
	static const uint8_t zeros[64], unsent[32] = { [7] = 7 };

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
	refused(&(struct frame_head){ .kind = FRAME_ACK,
				      .len = sizeof(unsent) },
		unsent, "never sent");
}

/* --- pressed pages */

struct unit {
	const char *what;
	uint8_t codec, data[24];
	size_t len;
};

/* Batches of two pages. */
static const struct unit wrong_units[] = {
	{ "nothing", CODEC_LZ4, "", 0 },
	{ "of no codec", 200, "abc", 3 },
	{ "lz4: literals cut short", CODEC_LZ4, "\xf0\x80zzz", 5 },
	{ "lz4: a match before its start", CODEC_LZ4,
	  "\x1fz\xff\x7f\xff\xff\0\x50zzzzz", 13 },
	{ "lz4: less than its pages", CODEC_LZ4, "\x50hello", 6 },
	/* A match of 4 KiB and more, many times over. */
	{ "lz4: more than its pages", CODEC_LZ4,
	  "\x1fz\1\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	  "\xff\xff\xff\xff",
	  21 },
	{ "zstd: no frame", CODEC_ZSTD, "hello, world", 12 },
	/* Single segment, content size of 4 GiB, one empty block. */
	{ "zstd: a bomb", CODEC_ZSTD,
	  "\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff\1\0\0", 12 },
	/* The right content size, and a block of one repeated byte that
	 * says it has more. */
	{ "zstd: a block beyond its frame", CODEC_ZSTD,
	  "\x28\xb5\x2f\xfd\x60\0\x1f\x03\0\x10z", 11 },
};

static int count_pages(void *context, const struct batch_head *b,
		       const struct batch_body *body, struct error *e)
{
	atomic_uint *applied = context;

	(void)e;
	for (size_t i = 0; i < (size_t)b->pages * WIRE_PAGE; i++)
		CHECK(body->data[i] == 'z');
	atomic_fetch_add(applied, b->pages);
	return 0;
}

static void puppet_pages(struct puppet *p, uint64_t seq, uint8_t codec,
			 const void *unit, size_t len)
{
	const struct batch_head b = { .codec = codec,
				      .runs = 1,
				      .pages = 2,
				      .run = { { 0, 2, RUN_DATA } } };
	uint8_t payload[BATCH_META_MAX + 64];
	size_t meta = batch_head_write(&b, NULL, payload);

	assert_true(len <= 64);
	memcpy(payload + meta, unit, len);
	puppet_sends(p,
		     (struct frame_head){ .kind = FRAME_PAGES,
					  .len = (uint32_t)(meta + len),
					  .seq = seq },
		     payload);
}

/* Two pages of 'z', then a unit that is none. */
static void check_wrong_unit(const struct unit *u)
{
	const struct iovec pages = { malloc(2UL * WIRE_PAGE), 2UL * WIRE_PAGE };
	atomic_uint applied = 0;
	const struct page_sink sink = { count_pages, &applied };
	struct codec_state *codecs;
	uint8_t good[64];
	struct puppet p;
	struct error err;
	size_t len;

	assert_non_null(pages.iov_base);
	memset(pages.iov_base, 'z', pages.iov_len);
	assert_int_equal(codec_state_new(&codecs, &err), 0);
	len = codec_press(codecs, (struct codec_choice){ CODEC_LZ4, 1 }, &pages,
			  1, good, sizeof(good));
	assert_true(len > 0);
	puppet_init(&p);
	session_set_page_sink(p.ends.far, &sink);
	puppet_pages(&p, 1, CODEC_LZ4, good, len);
	puppet_pages(&p, 2, u->codec, u->data, u->len);
	wait_end(p.ends.far, &err);
	print_message("%s: %s\n", u->what, err.text);
	if (!strstr(err.text, "frame 2: "))
		fail_msg("%s", err.text);
	assert_int_equal(applied, 2);
	puppet_done(&p);
	codec_state_free(codecs);
	free(pages.iov_base);
}

static void a_unit_that_is_none_ends_the_session_and_writes_nothing(
	void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong_units); i++)
		check_wrong_unit(&wrong_units[i]);
}

static void *talk_for_ever(void *arg)
{
	static const uint8_t ack[32] = { [7] = 1 };
	struct puppet *p = arg;
	struct frame_head h = { .kind = FRAME_ACK, .len = sizeof(ack) };
	struct iovec iov = { (void *)(uintptr_t)ack, sizeof(ack) };
	uint8_t frame[FRAME_HEAD_SIZE + sizeof(ack)];
	struct error err;

	h.sum = frame_sum(&iov, 1);
	frame_head_write(&h, p->id, frame);
	memcpy(frame + FRAME_HEAD_SIZE, ack, sizeof(ack));
	/* It is cut off after 3 s.  A socket takes far more than these frames
	 * while the other side has no processor to read them with. */
	for (unsigned ms = 0;; ms++) {
		if (ms < 4000)
			clock_pass(USEC_PER_MS);
		iov = (struct iovec){ frame, sizeof(frame) };
		if (p->channel->kind->write(p->channel, &iov, 1, &err) < 0)
			return NULL;
	}
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
	session_fail(p.ends.far, "the memory is full");
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
	/* It makes a connection, which takes real time. */
	assert_true(wait_hastened(e.near, 0, &err) < 10 * USEC_PER_SEC);
	assert_non_null(strstr(err.text, "has its droverd been"));
	session_fail(e.far, "killed");
	ends_close(&e);
	ends_done(&e);
	session_table_free(fresh);
}

/* --- hand-made hosts that are dialled */

enum { DIALLED_ID = 7 };

struct dialled {
	int listen_fd;
	uint16_t port;
	uint8_t secret[SECRET_SIZE];
	struct channel *first; /* over which the session began */
	struct session *_Atomic near;
	pthread_t opener;
};

static void *open_main(void *arg)
{
	static const char *const loopback[] = { "127.0.0.1", NULL };
	struct dialled *d = arg;
	const struct session_options o = { .own_name = "near",
					   .peer = "far",
					   .addresses = loopback,
					   .port = d->port,
					   .channels = 2,
					   .outage_limit_us =
						   20 * USEC_PER_SEC };
	struct session *near;
	struct error err;

	CHECK(session_open(&near, &o, &err) == 0);
	atomic_store(&d->near, near);
	return NULL;
}

/* False: the session has ended instead. */
static bool is_dialled_again(struct dialled *d)
{
	struct pollfd p = { .fd = d->listen_fd, .events = POLLIN };
	struct error e;

	while (poll(&p, 1, 0) == 0) {
		if (d->near && session_check(d->near, &e) < 0)
			return false;
		clock_hasten(5 * USEC_PER_MS);
	}
	return true;
}

/* The next connection, and what it says. */
static struct channel *next_dialled(struct dialled *d, struct hello *ret)
{
	struct channel *c;
	struct error err;

	assert_true(is_dialled_again(d));
	assert_int_equal(channel_tcp.accept(&c, d->listen_fd, 0, &err), 0);
	assert_int_equal(hear_hello(c, ret), 0);
	return c;
}

static void answer_with(struct channel *c, enum hello_kind kind, uint64_t id,
			const uint8_t *secret, const char *text)
{
	struct hello h = { .version = WIRE_VERSION,
			   .lowest = WIRE_LOWEST,
			   .kind = kind,
			   .session = id };
	uint8_t buf[HELLO_MAX];

	if (secret)
		memcpy(h.secret, secret, SECRET_SIZE);
	snprintf(h.text, sizeof(h.text), "%s", text);
	say(c, buf, hello_write(&h, buf));
}

static void dialled_init(struct dialled *d)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct error err;
	struct hello h;

	*d = (struct dialled){ .listen_fd = -1 };
	memset(d->secret, 0xa5, SECRET_SIZE);
	assert_int_equal(channel_tcp.listen(&d->listen_fd, "127.0.0.1", 0,
					    &err),
			 0);
	getsockname(d->listen_fd, (struct sockaddr *)&a, &len);
	d->port = ntohs(a.sin_port);
	pthread_create(&d->opener, NULL, open_main, d);
	d->first = next_dialled(d, &h);
	assert_int_equal(h.kind, HELLO_OPEN);
	answer_with(d->first, HELLO_ACCEPT, DIALLED_ID, d->secret, "far");
	pthread_join(d->opener, NULL);
}

static void dialled_done(struct dialled *d)
{
	channel_free(d->first);
	close(d->listen_fd);
	session_end(d->near, "done");
	session_free(d->near);
}

static void who_only_repeats_a_join_is_not_taken_for_the_peer(void **state)
{
	static const uint8_t none[SECRET_SIZE - SECRET_JOINS];
	struct channel *c;
	struct dialled d;
	struct error err;
	struct hello h;
	uint8_t byte;

	(void)state;
	dialled_init(&d);
	c = next_dialled(&d, &h);
	assert_int_equal(h.kind, HELLO_JOIN);
	assert_memory_equal(h.secret, d.secret, SECRET_JOINS);
	assert_memory_equal(h.secret + SECRET_JOINS, none, sizeof(none));
	answer_with(c, HELLO_ACCEPT, h.session, h.secret, "far");
	/* A channel that was taken would say something within 200 ms. */
	assert_int_equal(c->kind->read(c, &byte, 1, clock_us() + USEC_PER_SEC,
				       &err),
			 0);
	channel_free(c);
	dialled_done(&d);
}

static void refuse_next(struct dialled *d, uint64_t id, const char *text)
{
	struct hello h;
	struct channel *c = next_dialled(d, &h);

	answer_with(c, HELLO_REFUSE, id, NULL, text);
	channel_free(c);
}

static void a_refusal_ends_no_session_that_still_has_a_channel(void **state)
{
	struct dialled d;
	struct error err;

	(void)state;
	dialled_init(&d);
	refuse_next(&d, 0, "knows nothing of this session");
	/* It tries again. */
	refuse_next(&d, 0, "knows nothing of this session");
	assert_int_equal(session_check(d.near, &err), 0);
	/* Once none is left, it does. */
	d.first->kind->shutdown(d.first);
	for (int i = 0; i < 9 && is_dialled_again(&d); i++)
		refuse_next(&d, 0, "knows nothing of this session");
	assert_int_equal(session_check(d.near, &err), -ECONNABORTED);
	dialled_done(&d);
}

static void a_refusal_of_one_connection_ends_no_session(void **state)
{
	struct dialled d;
	struct error err;

	(void)state;
	dialled_init(&d);
	d.first->kind->shutdown(d.first);
	for (int i = 0; i < 3; i++)
		refuse_next(&d, DIALLED_ID, "came in over another card");
	assert_int_equal(session_check(d.near, &err), 0);
	dialled_done(&d);
}

static void a_path_whose_channels_die_at_once_is_given_time(void **state)
{
	uint64_t until = clock_us() + 3 * USEC_PER_SEC;
	struct dialled d;
	unsigned joins = 0;

	(void)state;
	dialled_init(&d);
	while (clock_us() < until) {
		struct pollfd p = { .fd = d.listen_fd, .events = POLLIN };
		struct channel *c;
		struct hello h;

		clock_hasten(5 * USEC_PER_MS);
		if (poll(&p, 1, 0) == 0)
			continue;
		c = next_dialled(&d, &h);
		answer_with(c, HELLO_ACCEPT, h.session, d.secret, "far");
		channel_free(c);
		joins++;
	}
	assert_true(joins > 1 && joins < 12);
	dialled_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_outage_ends_both_sides_with_a_sentence),
		cmocka_unit_test(a_short_outage_is_survived),
		cmocka_unit_test(the_reason_of_an_end_reaches_the_other_side),
		cmocka_unit_test(
			a_peer_of_another_version_is_refused_with_a_sentence),
		cmocka_unit_test(a_wrong_secret_or_session_is_refused),
		cmocka_unit_test(a_frame_that_comes_twice_is_dropped),
		cmocka_unit_test(nothing_is_taken_after_the_end),
		cmocka_unit_test(frames_that_break_the_rules_end_the_session),
		cmocka_unit_test(
			a_unit_that_is_none_ends_the_session_and_writes_nothing),
		cmocka_unit_test(a_peer_that_talks_on_after_the_end_is_cut_off),
		cmocka_unit_test(a_session_more_than_the_limit_is_refused),
		cmocka_unit_test(
			whoever_joins_an_ended_session_is_told_why_it_ended),
		cmocka_unit_test(what_a_peer_says_is_made_printable),
		cmocka_unit_test(a_restarted_host_ends_the_session_at_once),
		cmocka_unit_test(
			who_only_repeats_a_join_is_not_taken_for_the_peer),
		cmocka_unit_test(
			a_refusal_ends_no_session_that_still_has_a_channel),
		cmocka_unit_test(a_refusal_of_one_connection_ends_no_session),
		cmocka_unit_test(
			a_path_whose_channels_die_at_once_is_given_time),
	};

	return cmocka_run_group_tests_name("session_ends", tests, NULL, NULL);
}
