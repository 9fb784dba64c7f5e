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
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "ends.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "lanes/lane.h"
#include "nic/address.h"
#include "paths/report.h"
#include "waits.h"
#include "wire/frame.h"

enum { PAGES = 200, SIDES = 3 };

/* What a run sends and suffers at least. */
enum { FRAMES_ENOUGH = 200, FAULTS_ENOUGH = 20, TURNS_ENOUGH = 12 };

struct record {
	uint32_t stream, index;
	uint64_t pages_before;
};

struct traffic {
	struct ends ends;
	struct page_sink sink;
	uint32_t seed, hurt;
	atomic_bool stop;  /* the near side has sent enough */
	bool unplugged;    /* cards come and go ... */
	atomic_uint turns; /* ... and did so often */

	pthread_mutex_t lock;
	pthread_cond_t landed;               /* some more of @applied */
	atomic_uint_fast64_t version[PAGES]; /* at the far end */
	atomic_uint_fast64_t applied;
	uint64_t sent_version[PAGES], sent_frame[PAGES]; /* near */
	atomic_uint_fast64_t pages_put;
};

/* --- pages */

static void fill_page(uint8_t *data, uint64_t page, uint64_t version)
{
	uint64_t *word = (uint64_t *)(void *)data;

	/* Some pages can be pressed, others cannot. */
	for (size_t i = 0; i < WIRE_PAGE / sizeof(*word); i++)
		word[i] = page * 0x9e3779b97f4a7c15 + version * 31 +
			  (page % 8 < 6 ? i % 64 : i * i * 0xd6e8feb86659fd93);
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

static int apply(void *context, const struct batch_head *b,
		 const struct batch_body *body, struct error *e)
{
	struct traffic *t = context;
	const uint8_t *data = body->data;

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
	WITH_LOCK(&t->lock);

	atomic_fetch_add(&t->applied, 1);
	pthread_cond_broadcast(&t->landed);
	return 0;
}

/* Until so many more frames have landed; not for ever, since no card may be in.
 */
static void wait_frames(struct traffic *t, unsigned frames)
{
	const struct timespec end =
		clock_timespec(clock_us() + 100 * USEC_PER_MS);
	uint64_t want;

	WITH_LOCK(&t->lock);

	want = atomic_load(&t->applied) + frames;
	while (atomic_load(&t->applied) < want)
		if (pthread_cond_timedwait(&t->landed, &t->lock, &end))
			return;
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
	f->iov[0].iov_len = batch_head_write(&b, NULL, f->meta);
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

	struct message m = { .type = MESSAGE_RELAY };

	snprintf(m.relay, sizeof(m.relay), "%u", n);
	return session_send(s, &m, &e);
}

static uint32_t read_messages(struct session *s, uint32_t next)
{
	struct message m;
	struct error e;

	while (session_receive(s, &m, &e) > 0) {
		CHECK(m.type == MESSAGE_RELAY &&
		      strtoul(m.relay, NULL, 10) == next);
		next++;
		message_done(&m);
	}
	return next;
}

/* --- both directions */

struct side {
	struct traffic *traffic;
	struct session *session;
	bool pages; /* and streams 0..SIDES-1, or stream 0 only */
	uint32_t seed, messages;
	_Atomic uint32_t heard;
	struct writer_state w[SIDES];
	pthread_t thread;
	const struct side *other;
};

/* Somebody who waits for the network hears nothing meanwhile, and a session
 * ends when INBOX_MESSAGES wait for it. */
static bool is_heard(const struct side *s)
{
	return s->messages - atomic_load(&s->other->heard) < INBOX_MESSAGES / 2;
}

static int side_step(struct side *s)
{
	struct traffic *t = s->traffic;
	uint32_t dice = random_below(&s->seed, 100);

	if (dice < 5) {
		s->heard = read_messages(s->session, s->heard);
		return is_heard(s) ? put_message(s->session, s->messages++) : 0;
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

static bool sent_enough(const struct traffic *t)
{
	const unsigned times = stress_times();

	return atomic_load(&t->pages_put) >= FRAMES_ENOUGH * times &&
	       (!t->hurt ||
		cutter_faults(t->ends.cutter) >= FAULTS_ENOUGH * times) &&
	       (!t->unplugged ||
		atomic_load(&t->turns) >= TURNS_ENOUGH * times);
}

static void *side_main(void *arg)
{
	struct side *s = arg;
	struct error e = { 0 };

	while (!atomic_load(&s->traffic->stop)) {
		if (s->pages && sent_enough(s->traffic))
			atomic_store(&s->traffic->stop, true);
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
	pthread_mutex_init(&t->lock, NULL);
	clock_cond_init(&t->landed);
	t->sink = (struct page_sink){ apply, t };
}

static void traffic_open(struct traffic *t, unsigned channels)
{
	struct error e;

	assert_int_equal(ends_open(&t->ends, channels, 30 * USEC_PER_SEC, &e),
			 0);
	session_set_page_sink(t->ends.far, &t->sink);
}

/* Sends and receives enough, hurting the network every @hurt bytes. */
static void traffic_run(struct traffic *t, uint32_t hurt)
{
	struct side near = { .traffic = t,
			     .session = t->ends.near,
			     .pages = true,
			     .seed = t->seed ^ 77 };
	struct side far = { .traffic = t,
			    .session = t->ends.far,
			    .seed = t->seed ^ 99,
			    .other = &near };
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
	near.other = &far;
	t->hurt = hurt;
	if (t->ends.cutter)
		cutter_hurt(t->ends.cutter, hurt, 6);
	pthread_create(&near.thread, NULL, side_main, &near);
	pthread_create(&far.thread, NULL, side_main, &far);
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
	ends_init(&t->ends, t->seed);
	traffic_open(t, channels);
	traffic_run(t, hurt);
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

/* --- pressed */

static void say_pressed(struct session *s)
{
	struct outbox_stats st;

	outbox_stats(session_outbox(s), &st);
	print_message("pressed %llu bytes to %llu, raw %llu, dense %llu\n",
		      (unsigned long long)st.press.in,
		      (unsigned long long)st.press.out,
		      (unsigned long long)st.press.free,
		      (unsigned long long)st.press.incompressible);
	assert_true(st.press.in > st.press.out && st.press.out > 0);
}

static void run_pressed(bool always)
{
	struct traffic *t = malloc(sizeof(*t));
	struct compressor *compressor;
	struct error e;

	assert_int_equal(compressor_new(&compressor, 2, &e), 0);
	traffic_init(t, stress_seed());
	ends_init(&t->ends, t->seed);
	t->ends.compressor = compressor;
	t->ends.compressor_policy.always = always;
	traffic_open(t, 4);
	traffic_run(t, 1000000);
	assert_true(t->applied > 10);
	assert_true(cutter_faults(t->ends.cutter) > 0);
	if (always)
		say_pressed(t->ends.near);
	cutter_hurt(t->ends.cutter, 0, 0);
	ends_close(&t->ends);
	ends_done(&t->ends);
	compressor_free(compressor);
	free(t);
}

static void all_arrives_once_when_idle_workers_press_it(void **state)
{
	(void)state;
	run_pressed(false);
}

static void all_arrives_once_when_channels_wait_for_the_compressor(void **state)
{
	(void)state;
	run_pressed(true);
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

/* --- over cards */

enum { LINKS = 3 };

static void kill_a_channel(struct session *s, uint32_t *seed)
{
	struct lanes *l = session_lanes(s);
	struct lane *c = &l->lane[random_below(seed, CHANNELS_MAX)];

	WITH_LOCK(&l->lock);

	if (c->state == LANE_ALIVE)
		c->channel->kind->shutdown(c->channel);
}

/* Now and then all cards are out at once. */
static void *unplug_main(void *arg)
{
	struct traffic *t = arg;
	uint32_t seed = t->seed ^ 55;
	bool in[LINKS] = { true, true, true };

	while (!atomic_load(&t->stop)) {
		unsigned k = random_below(&seed, LINKS);

		wait_frames(t, random_below(&seed, 50));
		atomic_fetch_add(&t->turns, 1);
		kill_a_channel(random_below(&seed, 2) ? t->ends.near
						      : t->ends.far,
			       &seed);
		if (random_below(&seed, 3))
			continue;
		in[k] = !in[k];
		ends_plug(&t->ends, k + 1, in[k]);
	}
	for (unsigned k = 0; k < LINKS; k++)
		ends_plug(&t->ends, k + 1, true);
	return NULL;
}

static void run_unplugged(struct compressor *compressor)
{
	struct traffic *t = malloc(sizeof(*t));
	pthread_t unplug;

	traffic_init(t, stress_seed());
	ends_init_cards(&t->ends, LINKS);
	t->ends.compressor = compressor;
	t->ends.compressor_policy.always = compressor;
	traffic_open(t, 0);
	session_wait_tried(t->ends.near, clock_us() + 5 * USEC_PER_SEC);
	t->unplugged = true;
	pthread_create(&unplug, NULL, unplug_main, t);
	traffic_run(t, 0);
	pthread_join(unplug, NULL);
	assert_true(t->applied > 10);
	if (compressor)
		say_pressed(t->ends.near);
	ends_close(&t->ends);
	ends_done(&t->ends);
	free(t);
}

static void all_arrives_once_over_cards_that_come_and_go(void **state)
{
	(void)state;
	run_unplugged(NULL);
}

static void all_arrives_once_pressed_over_cards_that_come_and_go(void **state)
{
	struct compressor *compressor;
	struct error e;

	(void)state;
	assert_int_equal(compressor_new(&compressor, 2, &e), 0);
	run_unplugged(compressor);
	compressor_free(compressor);
}

static struct paths_report paths_of(struct session *s)
{
	struct paths_report paths = { 0 };
	struct error e;

	if (session_paths(s, &paths, &e) < 0)
		fail_msg("%s", e.text);
	return paths;
}

static const struct path_report *path_by_card(const struct paths_report *paths,
					      const char *nic)
{
	for (size_t i = 0; i < paths->paths_count; i++)
		if (!strcmp(paths->paths[i].near, nic))
			return &paths->paths[i];
	fail_msg("no path from %s", nic);
	return NULL;
}

static bool all_there(const struct paths_report *paths, size_t count)
{
	for (size_t i = 0; i < paths->paths_count; i++)
		if (paths->paths[i].connections_asked !=
		    paths->paths[i].connections)
			return false;
	return paths->paths_count == count;
}

static void done(struct paths_report *paths)
{
	shape_done(&paths_report_shape, paths);
}

static void fail_with(const struct paths_report *paths)
{
	fail_msg("%s", shape_file_text(&paths_report_shape, paths));
}

/* The paths, once there are as many, with all of their channels: cards that
 * were made just now come up one after the other. */
static struct paths_report wait_paths(struct session *s, size_t count)
{
	uint64_t deadline = clock_us() + 10 * USEC_PER_SEC;

	for (;;) {
		struct paths_report paths;

		session_wait_tried(s, deadline);
		paths = paths_of(s);
		if (all_there(&paths, count))
			return paths;
		if (clock_us() > deadline)
			fail_with(&paths);
		done(&paths);
		wait_moment();
	}
}

static void every_card_is_a_path_with_its_channels(void **state)
{
	struct ends *e = malloc(sizeof(*e));
	struct paths_report paths;
	struct error err;

	(void)state;
	ends_init_cards(e, LINKS);
	assert_int_equal(ends_open(e, 0, 30 * USEC_PER_SEC, &err), 0);
	paths = wait_paths(e->near, LINKS);
	for (unsigned k = 1; k <= LINKS; k++) {
		const struct path_report *p;
		char name[IF_NAMESIZE];

		snprintf(name, sizeof(name), "lan%u", k);
		p = path_by_card(&paths, name);
		assert_true(p->rank >= 0);
		assert_int_equal(p->state, PATH_USED);
		assert_int_equal(p->connections, 2);
		assert_int_equal(p->connections_asked, 2);
	}
	done(&paths);
	ends_close(e);
	ends_done(e);
	free(e);
}

static void a_card_that_the_peer_lost_is_given_as_the_reason(void **state)
{
	uint64_t deadline = clock_us() + 10 * USEC_PER_SEC;
	struct ends *e = malloc(sizeof(*e));
	struct paths_report paths;
	char why[PATH_WHY_MAX] = "";
	struct error err;

	(void)state;
	ends_init_cards(e, 2);
	assert_int_equal(ends_open(e, 0, 30 * USEC_PER_SEC, &err), 0);
	paths = wait_paths(e->near, 2);
	done(&paths);
	ends_readdress(e, 2);
	while (!strstr(why, "no route")) {
		assert_true(clock_us() < deadline);
		wait_moment();
		paths = paths_of(e->near);
		strcpy(why, path_by_card(&paths, "lan2")->why);
		done(&paths);
	}
	assert_string_equal(why, "no route from lan2 to any address of lan2 "
				 "there any more");
	ends_close(e);
	ends_done(e);
	free(e);
}

/* Over lan1 and over lan2. */
static void wait_connections(struct session *s, unsigned first, unsigned second)
{
	uint64_t deadline = clock_us() + 10 * USEC_PER_SEC;

	for (;;) {
		struct paths_report paths = paths_of(s);
		unsigned a = path_by_card(&paths, "lan1")->connections;
		unsigned b = path_by_card(&paths, "lan2")->connections;

		if (clock_us() > deadline)
			fail_with(&paths);
		done(&paths);
		if (a == first && b == second)
			return;
		wait_moment();
	}
}

static void with_one_network_the_next_is_used_when_it_fails(void **state)
{
	struct ends *e = malloc(sizeof(*e));
	struct paths_report paths;
	struct error err;

	(void)state;
	ends_init_cards(e, 2);
	e->cards.policy.all = false;
	assert_int_equal(ends_open(e, 0, 30 * USEC_PER_SEC, &err), 0);
	paths = wait_paths(e->near, 2);
	assert_int_equal(path_by_card(&paths, "lan1")->connections, 2);
	assert_int_equal(path_by_card(&paths, "lan2")->connections, 0);
	done(&paths);
	ends_plug(e, 1, false);
	wait_connections(e->near, 0, 2);
	/* The preferred one is back, and used instead. */
	ends_plug(e, 1, true);
	wait_connections(e->near, 2, 0);
	ends_close(e);
	ends_done(e);
	free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_arrives_once_over_one_channel),
		cmocka_unit_test(all_arrives_once_over_four_channels),
		cmocka_unit_test(all_arrives_once_over_one_channel_that_breaks),
		cmocka_unit_test(
			all_arrives_once_over_four_channels_that_break),
		cmocka_unit_test(all_arrives_once_when_idle_workers_press_it),
		cmocka_unit_test(
			all_arrives_once_when_channels_wait_for_the_compressor),
		cmocka_unit_test(every_card_is_a_path_with_its_channels),
		cmocka_unit_test(
			with_one_network_the_next_is_used_when_it_fails),
		cmocka_unit_test(
			a_card_that_the_peer_lost_is_given_as_the_reason),
		cmocka_unit_test(all_arrives_once_over_cards_that_come_and_go),
		cmocka_unit_test(
			all_arrives_once_pressed_over_cards_that_come_and_go),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
