/* SPDX-License-Identifier: MIT */

/*
 * The source's queue pairs.
 *
 * Each belongs to one lane.  Its thread dials, then waits for completions until
 * something breaks or it is told to stop, then destroys it.  All other steps
 * are the supervisor's, by fence.h.  The lane's writer fills a buffer and
 * writes it; the thread destroys nothing while it does (`users`).
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "frames/outbox.h"
#include "lanes/lanes.h"
#include "nic/address.h"
#include "rdma/fence.h"
#include "rdma/queue_pair.h"
#include "rdma/rdma.h"
#include "rdma/verbs.h"
#include "wire/frame.h"

enum {
	DIAL_US = 5000000,
	ROOM_US = 200000, /* longest wait for a buffer */
	AGAIN_LEAST_US = 1000000,
	AGAIN_MOST_US = 30000000,
	LASTED_US = 5000000, /* one that was open so long had worked */
};

struct source_buffer {
	uint64_t seq; /* of the frame that it was filled from; 0: none */
	bool posted;  /* and not complete */
};

struct source_pair {
	/* set before it is asked for */
	struct rdma_source *source;
	uint32_t number;
	uint64_t lane;
	struct nic_address from, to;
	int stop_fd;

	/* guarded by the source */
	struct fence_facts facts;
	bool stopped, told_open;
	unsigned users; /* writers: nothing is destroyed before they are done */
	uint64_t open_us;
	struct rdma_secret secret;
	uint16_t port;
	struct queue_pair_far far;
	struct source_buffer buffer[QUEUE_PAIR_BUFFERS];
	char why[RDMA_WHY];
	pthread_t thread;

	/* its thread's; those of the users as well */
	struct queue_pair *q;
};

struct rdma_source {
	/* set before the first lane */
	struct rdma_source_options o;
	struct lane_aside aside;

	pthread_mutex_t lock;  /* guards what follows */
	pthread_cond_t unused; /* a queue pair has no users any more */
	uint64_t session;      /* 0: not begun */
	bool ended;
	uint64_t generation; /* of what the peer has said last */
	uint32_t numbers;    /* that were given */
	struct source_pair *pair[RDMA_PAIRS_MAX];
	uint64_t next_us, again_us;
	uint64_t closed; /* queue pairs that were open */
	bool possible;   /* a card here does RDMA */
	char why[RDMA_WHY];
};

/* --- the lock is held */

static struct source_pair *find(struct rdma_source *s, uint32_t number)
{
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++)
		if (s->pair[i] && s->pair[i]->number == number)
			return s->pair[i];
	return NULL;
}

static struct source_pair *of_lane(struct rdma_source *s, uint64_t lane)
{
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++)
		if (s->pair[i] && s->pair[i]->lane == lane &&
		    !s->pair[i]->facts.over)
			return s->pair[i];
	return NULL;
}

static void say(struct rdma_source *s)
{
	struct rdma_words w = { 0 };
	char *text;

	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++) {
		const struct source_pair *p = s->pair[i];
		struct rdma_pair_words *to = &w.pairs[w.pairs_count];

		if (!p)
			continue;
		w.pairs_count++;
		to->number = p->number;
		to->state = p->facts.over ? RDMA_ENDED : RDMA_ASKED;
		nic_address_host(to->address, &p->to);
		if (p->facts.over)
			memcpy(to->why, p->why, sizeof(to->why));
	}
	text = rdma_words_text(&w);
	if (text)
		lanes_announce(s->o.lanes, LANES_RDMA, text);
}

/* Only the first reason counts. */
static void over(struct source_pair *p, const char *why)
{
	struct rdma_source *s = p->source;

	if (p->facts.over)
		return;
	p->facts.over = true;
	snprintf(p->why, sizeof(p->why), "%s", why);
	if (s->ended)
		return;
	if (strcmp(s->why, p->why) != 0)
		log_info("session with %s: RDMA queue pair %u has ended: %s",
			 s->o.peer, p->number, p->why);
	memcpy(s->why, p->why, sizeof(s->why));
	s->closed += p->told_open;
	if (p->told_open && clock_us() - p->open_us > LASTED_US)
		s->again_us = 0;
	s->again_us = s->again_us ? 2 * s->again_us : AGAIN_LEAST_US;
	if (s->again_us > AGAIN_MOST_US)
		s->again_us = AGAIN_MOST_US;
	s->next_us = clock_us() + s->again_us;
}

static void note_open(struct source_pair *p)
{
	if (p->told_open || !fence_may_write(&p->facts))
		return;
	p->told_open = true;
	p->open_us = clock_us();
	log_info("session with %s: pages go by RDMA (queue pair %u)",
		 p->source->o.peer, p->number);
}

/* --- a queue pair's thread */

static int dial(struct source_pair *p, struct error *e)
{
	struct rdma_greeting greeting = { .number = p->number };
	struct queue_pair_way way = { .from = &p->from,
				      .to = &p->to,
				      .greeting = &greeting };
	struct queue_pair *q;

	fault_point("rdma:dial");
	{
		WITH_LOCK(&p->source->lock);

		greeting.session = p->source->session;
		greeting.secret = p->secret;
		way.port = p->port;
	}
	if (queue_pair_dial(&q, &way, clock_us() + DIAL_US, p->stop_fd, e) < 0)
		return error_code(e);

	WITH_LOCK(&p->source->lock);

	p->q = q;
	p->facts.connected = true;
	note_open(p);
	return 0;
}

/* Until it has broken, or is not needed any more. */
static int serve(struct source_pair *p, struct error *e)
{
	unsigned n;
	int r;

	while ((r = queue_pair_next(p->q, p->stop_fd, &n, e)) > 0) {
		WITH_LOCK(&p->source->lock);

		p->buffer[n].posted = false;
	}
	return r;
}

static void *pair_main(void *arg)
{
	struct source_pair *p = arg;
	struct rdma_source *s = p->source;
	struct error e = { 0 };

	if (dial(p, &e) == 0)
		serve(p, &e);
	{
		WITH_LOCK(&s->lock);

		over(p, e.text);
		say(s);
		while (p->users > 0)
			pthread_cond_wait(&s->unused, &s->lock);
	}
	queue_pair_destroy(p->q);
	{
		WITH_LOCK(&s->lock);

		p->q = NULL;
		p->facts.destroyed_here = true;
	}
	s->o.news(s->o.context);
	return NULL;
}

/* --- what the writer of a lane does */

static int free_buffer(struct source_pair *p)
{
	struct outbox *out = p->source->o.out;

	for (unsigned i = 0; i < QUEUE_PAIR_BUFFERS; i++) {
		const struct source_buffer *b = &p->buffer[i];

		if (b->seq == 0 || (!b->posted && outbox_is_acked(out, b->seq)))
			return (int)i;
	}
	return -1;
}

/* One that may be filled, or -1: it is over, or slow. */
static int wait_buffer(struct source_pair *p)
{
	const uint64_t until = clock_us() + ROOM_US;

	for (;;) {
		{
			WITH_LOCK(&p->source->lock);

			int n = fence_may_write(&p->facts) ? free_buffer(p)
							   : -1;

			if (n >= 0 || !fence_may_write(&p->facts))
				return n;
		}
		if (clock_us() > until ||
		    outbox_wait_change(p->source->o.out) < 0)
			return -1;
	}
}

static size_t fill(const struct source_pair *p, unsigned n,
		   const struct frame_out *f)
{
	uint8_t *to = queue_pair_buffer(p->q, n);
	size_t len = 0;

	for (int i = 1; i < f->iovs; i++) {
		memcpy(to + len, f->iov[i].iov_base, f->iov[i].iov_len);
		len += f->iov[i].iov_len;
	}
	return len;
}

static bool note_posted(struct source_pair *p, unsigned n, uint64_t seq)
{
	WITH_LOCK(&p->source->lock);

	if (!fence_may_write(&p->facts))
		return false;
	p->buffer[n] = (struct source_buffer){ seq, true };
	return true;
}

/* Nothing of it has left. */
static void note_failed(struct source_pair *p, unsigned n, const char *why)
{
	WITH_LOCK(&p->source->lock);

	p->buffer[n].seq = 0;
	over(p, why);
}

/* The pages of @f, which is held. */
static bool post(struct source_pair *p, unsigned n, const struct frame_out *f,
		 size_t len)
{
	struct rdma_source *s = p->source;
	struct error e;

	if (!note_posted(p, n, f->head.seq))
		return false;
	if (queue_pair_write(p->q, n, len, &p->far, &e) == 0)
		return true;
	note_failed(p, n, e.text);
	s->o.news(s->o.context);
	return false;
}

static bool write_pages(struct source_pair *p, struct frame_out *f,
			struct frame_head *head)
{
	struct outbox *out = p->source->o.out;
	int n = wait_buffer(p);

	if (n < 0 || !outbox_hold(out, f, p->number))
		return false;
	/* The buffer is nobody else's: there is one writer. */
	if (!post(p, (unsigned)n, f, fill(p, (unsigned)n, f))) {
		outbox_unhold(out, f);
		return false;
	}
	head->flags |= PAGES_WRITTEN;
	head->len = (uint32_t)f->iov[0].iov_len;
	head->offset = rdma_place(p->number, (uint32_t)n);
	return true;
}

static struct source_pair *use(struct rdma_source *s, uint64_t lane)
{
	struct source_pair *p;

	WITH_LOCK(&s->lock);

	p = of_lane(s, lane);
	if (!p || !fence_may_write(&p->facts))
		return NULL;
	p->users++;
	return p;
}

static bool write_aside(void *context, uint64_t lane, struct frame_out *f,
			struct frame_head *head)
{
	struct rdma_source *s = context;
	struct source_pair *p = use(s, lane);
	bool r;

	if (!p)
		return false;
	r = write_pages(p, f, head);

	WITH_LOCK(&s->lock);

	if (--p->users == 0)
		pthread_cond_broadcast(&s->unused);
	return r;
}

/* --- what the peer says */

static void hear(struct source_pair *p, const struct rdma_pair_words *w)
{
	if (w->state == RDMA_OFFERED && !p->facts.offered) {
		p->facts.offered = true;
		p->secret = w->secret;
		p->port = w->port;
	} else if (w->state == RDMA_OPEN && !p->facts.promised &&
		   w->buffers >= QUEUE_PAIR_BUFFERS &&
		   w->buffer_bytes == QUEUE_PAIR_BUFFER) {
		p->facts.promised = true;
		p->far = (struct queue_pair_far){ w->at, w->key };
		note_open(p);
	} else if (w->state == RDMA_DESTROYED && !p->facts.destroyed_there) {
		char why[RDMA_WHY];

		snprintf(why, sizeof(why), "host %s: %.180s", p->source->o.peer,
			 w->why);
		p->facts.destroyed_there = true;
		over(p, why);
	}
}

static int words_came(void *context, uint64_t generation, const void *text,
		      size_t len, struct error *e)
{
	struct rdma_source *s = context;
	struct rdma_words w;

	if (rdma_words_parse(&w, text, len, e) < 0)
		return error_in(e, "from %s", s->o.peer);
	{
		WITH_LOCK(&s->lock);

		if (generation <= s->generation)
			return 0;
		s->generation = generation;
		for (size_t i = 0; i < w.pairs_count; i++) {
			struct source_pair *p = find(s, w.pairs[i].number);

			if (p)
				hear(p, &w.pairs[i]);
		}
	}
	s->o.news(s->o.context);
	return 0;
}

static int head_came(void *context, const struct frame_head *head,
		     const void *meta, struct error *e)
{
	(void)context, (void)head, (void)meta;
	return error_set(e, EBADMSG, "pages by RDMA for the side that sends");
}

/* --- the supervisor's steps; the lock is held */

static void start(struct source_pair *p)
{
	int r = thread_create(&p->thread, "rdma out", pair_main, p);

	p->facts.dialled = r == 0;
	if (r != 0)
		over(p, "no thread for a queue pair");
}

static void forget(struct source_pair **at)
{
	struct source_pair *p = *at;

	if (p->facts.dialled)
		pthread_join(p->thread, NULL);
	close(p->stop_fd);
	free(p);
	*at = NULL;
}

/* True: there may be a next one. */
static bool step(struct rdma_source *s, struct source_pair **at)
{
	struct source_pair *p = *at;

	switch (fence_next(&p->facts, p->stopped)) {
	case FENCE_DIAL:
		start(p);
		return true;
	case FENCE_STOP:
		p->stopped = true;
		eventfd_write(p->stop_fd, 1);
		return true;
	case FENCE_RELEASE:
		p->facts.released = true;
		outbox_let_go(s->o.out, p->number);
		return true;
	case FENCE_FORGET:
		forget(at);
		return false;
	case FENCE_WAIT:
		break;
	}
	return false;
}

static bool is_there(const struct lane_view *lanes, unsigned n, uint64_t lane)
{
	for (unsigned i = 0; i < n; i++)
		if (lanes[i].number == lane)
			return lanes[i].alive;
	return false;
}

/* Why none is asked for.  Why one that was open has ended says more. */
static void note_why(struct rdma_source *s, const char *why)
{
	if (s->closed == 0)
		snprintf(s->why, sizeof(s->why), "%s", why);
}

static bool may_ask(struct rdma_source *s, const struct lane_view *v)
{
	char why[RDMA_WHY];
	struct error e;

	if (!v->alive || v->local.family == 0 || v->remote.family == 0 ||
	    of_lane(s, v->number))
		return false;
	if (queue_pair_possible(&v->local, &e) < 0) {
		note_why(s, e.text);
		return false;
	}
	s->possible = true;
	if (s->o.may(s->o.context, v, why))
		return true;
	note_why(s, why);
	return false;
}

static bool ask(struct rdma_source *s, const struct lane_view *v)
{
	struct source_pair *p, **at = NULL;

	for (unsigned i = 0; i < RDMA_PAIRS_MAX && !at; i++)
		if (!s->pair[i])
			at = &s->pair[i];
	p = at ? calloc(1, sizeof(*p)) : NULL;
	if (!p)
		return false;
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->stop_fd < 0) {
		free(p);
		return false;
	}
	p->source = s;
	p->number = ++s->numbers;
	p->lane = v->number;
	p->from = v->local;
	p->to = v->remote;
	*at = p;
	return true;
}

static bool ask_for_all(struct rdma_source *s, const struct lane_view *lanes,
			unsigned n)
{
	bool asked = false;

	if (s->session == 0 || s->ended || clock_us() < s->next_us)
		return false;
	for (unsigned i = 0; i < n; i++)
		asked |= may_ask(s, &lanes[i]) && ask(s, &lanes[i]);
	if (!asked)
		s->next_us = clock_us() + AGAIN_LEAST_US;
	return asked;
}

void rdma_source_tend(struct rdma_source *s)
{
	struct lane_view lanes[CHANNELS_MAX];
	unsigned n = lanes_view(s->o.lanes, lanes);
	bool changed = false;

	WITH_LOCK(&s->lock);

	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++) {
		struct source_pair *p = s->pair[i];

		if (!p)
			continue;
		if (!p->facts.over && !is_there(lanes, n, p->lane)) {
			over(p, "its channel has ended");
			changed = true;
		}
		while (s->pair[i] && step(s, &s->pair[i]))
			;
		changed |= !s->pair[i];
	}
	changed |= ask_for_all(s, lanes, n);
	if (changed)
		say(s);
}

/* --- the whole */

int rdma_source_new(struct rdma_source **ret,
		    const struct rdma_source_options *o, struct error *e)
{
	struct rdma_source *s = calloc(1, sizeof(*s));

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

const struct lane_aside *rdma_source_aside(struct rdma_source *s)
{
	return &s->aside;
}

void rdma_source_begin(struct rdma_source *s, uint64_t session)
{
	{
		WITH_LOCK(&s->lock);

		s->session = session;
	}
	s->o.news(s->o.context);
}

void rdma_source_view(struct rdma_source *s, struct rdma_view *ret)
{
	WITH_LOCK(&s->lock);

	*ret = (struct rdma_view){ .ended = s->closed,
				   .possible = s->possible };
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++)
		ret->open += s->pair[i] && fence_may_write(&s->pair[i]->facts);
	memcpy(ret->why, s->why, sizeof(ret->why));
}

void rdma_source_end(struct rdma_source *s)
{
	WITH_LOCK(&s->lock);

	s->ended = true;
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++) {
		if (!s->pair[i])
			continue;
		over(s->pair[i], "the session has ended");
		eventfd_write(s->pair[i]->stop_fd, 1);
	}
}

void rdma_source_free(struct rdma_source *s)
{
	if (!s)
		return;
	rdma_source_end(s);
	for (unsigned i = 0; i < RDMA_PAIRS_MAX; i++)
		if (s->pair[i])
			forget(&s->pair[i]);
	pthread_cond_destroy(&s->unused);
	pthread_mutex_destroy(&s->lock);
	verbs_session_end();
	free(s);
}
