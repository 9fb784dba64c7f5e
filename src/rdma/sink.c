/* SPDX-License-Identifier: MIT */

/*
 * The destination's queue pairs.
 *
 * Each has a thread that listens, accepts, waits for what comes, and destroys
 * it.  The head of a batch comes over a lane, its pages into a buffer here;
 * whoever brings the second of them, the lane's reader or this thread, places
 * the batch.  Once a queue pair is over nothing more of it is placed, and what
 * is being placed is waited for before its buffers go.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "frames/queue.h"
#include "lanes/lanes.h"
#include "nic/address.h"
#include "rdma/queue_pair.h"
#include "rdma/rdma.h"
#include "rdma/verbs.h"
#include "wire/frame.h"

enum { ACCEPT_US = 15000000 };

/* Of a batch, what has come so far. */
struct sink_slot {
	bool written; /* its pages */
	void *meta;   /* its head; NULL: not yet */
	size_t meta_len;
	uint64_t seq;
};

struct sink_pair {
	/* set before its thread starts */
	struct rdma_sink *sink;
	uint32_t number;
	struct nic_address at;
	struct rdma_secret secret;
	int stop_fd; /* -1: refused, there is no thread */

	/* guarded by the sink */
	enum rdma_state state;
	bool over, listed; /* the source still names it */
	uint16_t port;
	unsigned users; /* who place */
	struct sink_slot slot[QUEUE_PAIR_BUFFERS];
	struct queue_pair_far near; /* of one that is open */
	char why[RDMA_WHY];
	pthread_t thread;

	/* its thread's; those of the users as well: nobody else may look into
	 * it, since it is destroyed without the lock */
	struct queue_pair *q;
};

struct rdma_sink {
	/* set before the first lane */
	struct rdma_sink_options o;
	struct lane_aside aside;

	pthread_mutex_t lock;  /* guards what follows */
	pthread_cond_t unused; /* a queue pair has no users any more */
	bool ended;
	uint64_t generation;
	uint32_t highest; /* number so far */
	struct sink_pair *pair[RDMA_PAIRS_MAX];
};

/* --- the lock is held */

static struct sink_pair *find(struct rdma_sink *s, uint32_t number)
{
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++)
		if (s->pair[i] && s->pair[i]->number == number)
			return s->pair[i];
	return NULL;
}

static void put(struct rdma_pair_words *to, const struct sink_pair *p)
{
	to->number = p->number;
	to->state = p->state;
	if (p->state == RDMA_OFFERED) {
		to->secret = p->secret;
		to->port = p->port;
	} else if (p->state == RDMA_OPEN) {
		to->at = p->near.at;
		to->key = p->near.key;
		to->buffers = QUEUE_PAIR_BUFFERS;
		to->buffer_bytes = QUEUE_PAIR_BUFFER;
	} else {
		memcpy(to->why, p->why, sizeof(to->why));
	}
}

/* Of what is still being made there is nothing to say. */
static void say(struct rdma_sink *s)
{
	struct rdma_words w = { 0 };
	char *text;

	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++)
		if (s->pair[i] && s->pair[i]->state != RDMA_ASKED)
			put(&w.pairs[w.pairs_count++], s->pair[i]);
	text = rdma_words_text(&w);
	if (text)
		lanes_announce(s->o.lanes, LANES_RDMA, text);
}

static void over(struct sink_pair *p, const char *why)
{
	if (p->over)
		return;
	p->over = true;
	snprintf(p->why, sizeof(p->why), "%s", why);
	if (p->stop_fd >= 0)
		eventfd_write(p->stop_fd, 1);
}

static void set_state(struct sink_pair *p, enum rdma_state state)
{
	WITH_LOCK(&p->sink->lock);

	p->state = state;
	say(p->sink);
}

/* --- placing */

/* @slot has both parts, and is free from now on. */
static struct sink_slot take(struct sink_pair *p, struct sink_slot *slot)
{
	struct sink_slot taken = *slot;

	*slot = (struct sink_slot){ 0 };
	p->users++;
	return taken;
}

static void release(struct sink_pair *p)
{
	WITH_LOCK(&p->sink->lock);

	if (--p->users == 0)
		pthread_cond_broadcast(&p->sink->unused);
}

/* What was taken. */
static int place(struct sink_pair *p, unsigned n, const struct sink_slot *t,
		 struct error *e)
{
	const struct iovec meta = { t->meta, t->meta_len };
	const struct iovec data = { queue_pair_buffer(p->q, n),
				    QUEUE_PAIR_BUFFER };
	int r = lanes_place(p->sink->o.lanes, t->seq, &meta, &data, e);

	release(p);
	return r;
}

static int head_came(void *context, const struct frame_head *head,
		     const void *meta, struct error *e)
{
	const unsigned n = rdma_place_buffer(head->offset);
	struct rdma_sink *s = context;
	struct sink_slot t = { .meta_len = head->len, .seq = head->seq };
	AUTO_FREE void *copy = NULL;
	struct sink_pair *p;

	{
		WITH_LOCK(&s->lock);

		p = find(s, rdma_place_number(head->offset));
		/* The source sends it again, when it has heard of that. */
		if (!p || p->over || p->state != RDMA_OPEN)
			return 0;
		if (n >= QUEUE_PAIR_BUFFERS || p->slot[n].meta ||
		    head->len == 0)
			return error_set(e, EBADMSG,
					 "a batch in buffer %u of queue pair "
					 "%u, which is not free",
					 n, p->number);
		copy = malloc(head->len);
		if (!copy)
			return error_set(e, ENOMEM, "no memory for a batch");
		memcpy(copy, meta, head->len);
		t.meta = copy;
		if (!p->slot[n].written) {
			p->slot[n] = t;
			copy = NULL;
			return 1;
		}
		take(p, &p->slot[n]);
	}
	return place(p, n, &t, e) < 0 ? error_code(e) : 1;
}

/* The pages of a batch are in buffer @n. */
static int pages_came(struct sink_pair *p, unsigned n, struct error *e)
{
	struct rdma_sink *s = p->sink;
	struct sink_slot t;
	int r;

	{
		WITH_LOCK(&s->lock);

		/* Not the next one: who writes without a pause would keep the
		 * thread, and all that waits for it, for ever. */
		if (p->over)
			return error_set(e, ECANCELED, "not needed any more");
		if (p->slot[n].written)
			return error_set(e, EBADMSG,
					 "buffer %u was written twice", n);
		if (!p->slot[n].meta) {
			p->slot[n].written = true;
			return 0;
		}
		t = take(p, &p->slot[n]);
	}
	r = place(p, n, &t, e);
	free(t.meta);
	if (r < 0)
		lanes_broken(s->o.lanes, e->text);
	return r;
}

/* --- a queue pair's thread */

static int listen_there(struct sink_pair *p, struct error *e)
{
	uint16_t port;

	if (queue_pair_listen(&p->q, &p->at, &port, e) < 0)
		return error_code(e);
	p->port = port;
	set_state(p, RDMA_OFFERED);
	return 0;
}

static void note_open(struct sink_pair *p)
{
	WITH_LOCK(&p->sink->lock);

	p->near = queue_pair_near(p->q);
	p->state = RDMA_OPEN;
	say(p->sink);
}

static int take_connection(struct sink_pair *p, struct error *e)
{
	const struct rdma_greeting expected = { p->sink->o.session, p->number,
						p->secret };
	unsigned refused;
	int r = queue_pair_accept(p->q, &expected, clock_us() + ACCEPT_US,
				  p->stop_fd, &refused, e);

	if (refused > 0)
		log_warning("session with %s: %u RDMA connections without the "
			    "secret were refused",
			    p->sink->o.peer, refused);
	if (r == 0)
		note_open(p);
	return r;
}

static int serve(struct sink_pair *p, struct error *e)
{
	unsigned n;
	int r;

	while ((r = queue_pair_next(p->q, p->stop_fd, &n, e)) > 0)
		if (pages_came(p, n, e) < 0)
			return error_code(e);
	return r;
}

static void *pair_main(void *arg)
{
	struct sink_pair *p = arg;
	struct rdma_sink *s = p->sink;
	struct error e = { 0 };

	if (listen_there(p, &e) == 0 && take_connection(p, &e) == 0)
		serve(p, &e);
	{
		WITH_LOCK(&s->lock);

		over(p, e.text);
		while (p->users > 0)
			pthread_cond_wait(&s->unused, &s->lock);
	}
	queue_pair_destroy(p->q);
	for (unsigned i = 0; i < QUEUE_PAIR_BUFFERS; i++)
		free(p->slot[i].meta);
	/* The fence: not before that has returned.  The last that it does. */
	set_state(p, RDMA_DESTROYED);
	return NULL;
}

/* --- what the source says; the lock is held */

static bool is_ours(struct rdma_sink *s, const struct nic_address *a)
{
	struct lane_view lanes[CHANNELS_MAX];
	unsigned n = lanes_view(s->o.lanes, lanes);

	for (unsigned i = 0; i < n; i++)
		if (lanes[i].alive && nic_address_equal(&lanes[i].local, a))
			return true;
	return false;
}

static void begin(struct sink_pair *p, const struct rdma_pair_words *w)
{
	struct rdma_sink *s = p->sink;
	char why[RDMA_WHY];

	p->state = RDMA_DESTROYED;
	if (nic_address_parse(&p->at, w->address) < 0 || !is_ours(s, &p->at)) {
		over(p, "no channel has that address");
		return;
	}
	if (s->o.refuses && s->o.refuses(s->o.context, &p->at, why)) {
		over(p, why);
		return;
	}
	while (getrandom(p->secret.bytes, RDMA_SECRET, 0) < 0)
		;
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->state = RDMA_ASKED;
	if (p->stop_fd < 0 ||
	    thread_create(&p->thread, "rdma in", pair_main, p) != 0) {
		scope_close(&p->stop_fd);
		p->stop_fd = -1;
		p->state = RDMA_DESTROYED;
		over(p, "no thread for a queue pair");
	}
}

/* One that is not known; -EBADMSG for more than there may be. */
static int add(struct rdma_sink *s, const struct rdma_pair_words *w,
	       struct error *e)
{
	struct sink_pair **at = NULL;

	if (s->ended || w->number <= s->highest)
		return 0;
	for (unsigned i = 0; i < RDMA_PAIRS_MAX && !at; i++)
		if (!s->pair[i])
			at = &s->pair[i];
	if (!at)
		return error_set(e, EBADMSG, "more than %d queue pairs",
				 RDMA_PAIRS_MAX);
	*at = calloc(1, sizeof(**at));
	if (!*at)
		return error_set(e, ENOMEM, "no memory for a queue pair");
	s->highest = w->number;
	(*at)->sink = s;
	(*at)->number = w->number;
	(*at)->stop_fd = -1;
	(*at)->listed = true;
	begin(*at, w);
	return 0;
}

static void hear(struct rdma_sink *s, const struct rdma_words *w)
{
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++)
		if (s->pair[i])
			s->pair[i]->listed = false;
	for (size_t i = 0; i < w->pairs_count; i++) {
		struct sink_pair *p = find(s, w->pairs[i].number);

		if (p)
			p->listed = true;
		if (p && w->pairs[i].state == RDMA_ENDED)
			over(p, "the source has ended it");
	}
}

static void forget(struct sink_pair **at)
{
	struct sink_pair *p = *at;

	if (p->stop_fd >= 0) {
		pthread_join(p->thread, NULL);
		close(p->stop_fd);
	}
	free(p);
	*at = NULL;
}

/* Those that are gone on both sides: their threads have nothing left to do. */
static void forget_gone(struct rdma_sink *s)
{
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++) {
		struct sink_pair *p = s->pair[i];

		if (p && !p->listed && p->state != RDMA_DESTROYED)
			over(p, "the source has forgotten it");
		else if (p && !p->listed)
			forget(&s->pair[i]);
	}
}

static int words_came(void *context, uint64_t generation, const void *text,
		      size_t len, struct error *e)
{
	struct rdma_sink *s = context;
	struct rdma_words w;

	if (rdma_words_parse(&w, text, len, e) < 0)
		return error_in(e, "from %s", s->o.peer);

	WITH_LOCK(&s->lock);

	if (generation <= s->generation)
		return 0;
	s->generation = generation;
	hear(s, &w);
	forget_gone(s);
	for (size_t i = 0; i < w.pairs_count; i++)
		if (!find(s, w.pairs[i].number) &&
		    w.pairs[i].state == RDMA_ASKED &&
		    add(s, &w.pairs[i], e) < 0)
			return error_code(e);
	say(s);
	return 0;
}

static bool write_aside(void *context, uint64_t lane, struct frame_out *f,
			struct frame_head *head)
{
	(void)context, (void)lane, (void)f, (void)head;
	return false; /* pages go one way */
}

/* --- the whole */

void rdma_sink_tend(struct rdma_sink *s)
{
	WITH_LOCK(&s->lock);

	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++) {
		struct sink_pair *p = s->pair[i];

		if (p && !p->over && !is_ours(s, &p->at))
			over(p, "the channels of its card have ended");
	}
	forget_gone(s);
}

int rdma_sink_new(struct rdma_sink **ret, const struct rdma_sink_options *o,
		  struct error *e)
{
	struct rdma_sink *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, ENOMEM, "no memory for RDMA");
	s->o = *o;
	s->aside = (struct lane_aside){ .write = write_aside,
					.came = head_came,
					.words = words_came,
					.context = s };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->unused, NULL);
	verbs_session_begin();
	*ret = s;
	return 0;
}

const struct lane_aside *rdma_sink_aside(struct rdma_sink *s)
{
	return &s->aside;
}

void rdma_sink_end(struct rdma_sink *s)
{
	WITH_LOCK(&s->lock);

	s->ended = true;
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++)
		if (s->pair[i])
			over(s->pair[i], "the session has ended");
}

void rdma_sink_free(struct rdma_sink *s)
{
	if (!s)
		return;
	rdma_sink_end(s);
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++)
		if (s->pair[i])
			forget(&s->pair[i]);
	pthread_cond_destroy(&s->unused);
	pthread_mutex_destroy(&s->lock);
	verbs_session_end();
	free(s);
}
