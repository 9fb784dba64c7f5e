/* SPDX-License-Identifier: MIT */
#include "compress/dispatcher.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/pool.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/thread.h"
#include "frames/outbox.h"
#include "wire/reader.h"

enum {
	BUFFERS_EACH = 24, /* pressed frames that wait or travel, per worker */
	BUFFERS_MOST = 192,
	AHEAD_EACH = 3, /* frames that may wait, per worker */
	AHEAD_MOST = 64,
};

_Static_assert(BUFFERS_MOST >= 2 * WORKERS_MAX, "one in work, one that waits");

/* Where a frame's first page stands in the guest, or on a disk. */
static struct stretch stretch_of(const struct frame_out *f)
{
	const uint8_t *meta = f->iov[0].iov_base;
	struct reader head = reader_of(meta, BATCH_HEAD_SIZE);
	struct reader run = reader_of(meta + BATCH_HEAD_SIZE, sizeof(uint64_t));

	uint64_t at = read_u64(&run);

	/* The place of a block is in bytes, and stands there too. */
	if (f->head.kind == FRAME_BLOCKS)
		at /= WIRE_PAGE;
	return (struct stretch){ .block = read_u16(&head), .page = at };
}

static void learn(struct compressor_client *c, const struct worker *w)
{
	const struct choice_sample s = {
		.in = (double)w->in,
		.out = (double)(w->out ? w->meta + w->out : w->in),
		.got_us = (double)w->processor_us,
	};

	atomic_fetch_add(&c->processor_us, w->processor_us);
	if (w->choice < CHOICES)
		choice_learn(&c->choice, w->choice, &s);
	stretch_found(&c->stretches, stretch_of(w->frame),
		      w->out ? STRETCH_PRESSES : STRETCH_IS_INCOMPRESSIBLE,
		      clock_us());
}

static void collect(struct dispatcher *d, struct worker *w)
{
	struct compressor_client *c = w->client;
	bool pressed = w->out > 0;

	learn(c, w);
	idle_used(&d->idle, w->processor_us);
	outbox_taker_done(c->outbox, w->frame, pressed ? w->buffer : NULL,
			  w->meta + w->out);
	if (!pressed)
		buffer_drop(w->buffer);
	w->buffer = NULL;
	w->client = NULL;
	atomic_store(&w->turn, TURN_DISPATCHER);
	c->frames--;
	pthread_cond_broadcast(&d->left);
}

static bool is_incompressible(struct compressor_client *c,
			      const struct frame_out *f)
{
	struct stretch s = stretch_of(f);
	uint64_t now = clock_us();

	if (stretch_skips(&c->stretches, s, now))
		return true;
	if (!codec_is_incompressible(&f->iov[1], f->iovs - 1))
		return false;
	stretch_found(&c->stretches, s, STRETCH_LOOKS_INCOMPRESSIBLE, now);
	return true;
}

/* The next frame that is worth pressing; what is not is given back at once. */
static struct frame_out *next_of(struct compressor_client *c)
{
	struct frame_out *f = outbox_taker_take(c->outbox);
	uint64_t began = f ? worker_processor_us() : 0;
	bool any = f;

	while (f && is_incompressible(c, f)) {
		outbox_taker_done(c->outbox, f, NULL, 0);
		f = outbox_taker_take(c->outbox);
	}
	if (any)
		atomic_fetch_add(&c->processor_us,
				 worker_processor_us() - began);
	return f;
}

/* Buffers are for all: one session over a slow link must not keep those that a
 * fast one could use.  With more sessions than buffers each still gets one: its
 * channels may be waiting for it. */
static bool has_enough(const struct dispatcher *d,
		       const struct compressor_client *c,
		       const struct outbox_stats *st)
{
	unsigned share = d->n_buffers / d->joined;

	return st->pressed + c->frames >= (share > 0 ? share : 1);
}

/* A frame of @c for @w; false: there is none to press now. */
static bool take_job(struct dispatcher *d, struct compressor_client *c,
		     struct worker *w)
{
	struct outbox_stats st;
	struct choice_case k;

	outbox_stats(c->outbox, &st);
	if (has_enough(d, c, &st) ||
	    (!c->policy.always && !idle_may_work(&d->idle, clock_us())))
		return false;
	w->choice = CHOICE_NONE;
	w->how = c->policy.choice;
	if (!c->policy.fixed) {
		k = choice_case(&c->choice, &st,
				c->policy.always ? d->workers
						 : d->idle.allowed);
		k.always = c->policy.always;
		w->choice = choice_next(&c->choice, &k);
		if (w->choice == CHOICE_NONE) {
			outbox_taker_rest(c->outbox,
					  choice_rest_until(&c->choice));
			return false;
		}
		w->how = choice_codec(w->choice);
	}
	w->frame = next_of(c);
	if (!w->frame)
		return false;
	choice_taken(&c->choice, clock_us());
	w->client = c;
	return true;
}

/* Clients in turn. */
static bool next_job(struct dispatcher *d, struct worker *w)
{
	struct compressor_client *c = d->next ? d->next : d->clients;

	for (unsigned i = 0; i < d->joined; i++) {
		bool got = take_job(d, c, w);

		c = c->next ? c->next : d->clients;
		d->next = c;
		if (got)
			return true;
	}
	return false;
}

static void hand_out(struct dispatcher *d, struct worker *w)
{
	w->buffer = pool_try(d->buffers);
	if (!w->buffer)
		return;
	if (!next_job(d, w)) {
		buffer_drop(w->buffer);
		w->buffer = NULL;
		return;
	}
	w->client->frames++;
	worker_go(w);
}

/* Who waits for the workers gets them also when no processor is idle. */
static uint64_t idle_from(const struct dispatcher *d)
{
	for (unsigned i = 0; i < d->workers; i++)
		if (atomic_load(&d->worker[i].turn) == TURN_DISPATCHER)
			return d->always > 0 ? 0 : idle_next_us(&d->idle);
	return USEC_NEVER;
}

static void dispatcher_round(struct dispatcher *d)
{
	WITH_LOCK(&d->lock);

	for (unsigned i = 0; i < d->workers; i++)
		if (atomic_load(&d->worker[i].turn) == TURN_RESULT)
			collect(d, &d->worker[i]);
	/* Who kicks from now on is heard. */
	atomic_store(&d->idle_us, 0);
	for (unsigned i = 0; i < d->workers; i++)
		if (atomic_load(&d->worker[i].turn) == TURN_DISPATCHER)
			hand_out(d, &d->worker[i]);
	atomic_store(&d->idle_us, idle_from(d));
}

static void *dispatcher_main(void *arg)
{
	struct dispatcher *d = arg;

	while (!atomic_load(&d->stop)) {
		while (sem_wait(&d->wake) < 0)
			;
		while (sem_trywait(&d->wake) == 0)
			;
		dispatcher_round(d);
	}
	return NULL;
}

/* --- as the taker of outboxes */

static bool wants(struct taker *t)
{
	const struct dispatcher *d = container_of(t, struct dispatcher, taker);

	return clock_us() >= atomic_load(&d->idle_us);
}

static void kick(struct taker *t)
{
	dispatcher_kick(container_of(t, struct dispatcher, taker));
}

void dispatcher_kick(struct dispatcher *d)
{
	sem_post(&d->wake);
}

/* --- clients */

static unsigned at_most(unsigned n, unsigned most)
{
	return n < most ? n : most;
}

void dispatcher_join(struct dispatcher *d, struct compressor_client *c)
{
	{
		WITH_LOCK(&d->lock);

		c->next = d->clients;
		d->clients = c;
		d->joined++;
		d->always += c->policy.always;
		/* What is idle until the first pages come is known then. */
		idle_may_work(&d->idle, clock_us());
	}
	outbox_set_taker(c->outbox, &d->taker,
			 at_most(AHEAD_EACH * d->workers, AHEAD_MOST),
			 c->policy.always);
}

void dispatcher_leave(struct dispatcher *d, struct compressor_client *c)
{
	WITH_LOCK(&d->lock);

	for (struct compressor_client **at = &d->clients; *at;
	     at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			d->joined--;
			d->always -= c->policy.always;
			break;
		}
	d->next = NULL;
	while (c->frames > 0)
		pthread_cond_wait(&d->left, &d->lock);
}

/* --- life */

static void workers_stop(struct dispatcher *d)
{
	for (unsigned i = 0; i < d->workers; i++)
		worker_stop(&d->worker[i]);
}

static int start_all(struct dispatcher *d, unsigned workers, struct error *e)
{
	int r;

	for (; d->workers < workers; d->workers++)
		if (worker_start(&d->worker[d->workers], &d->wake, e) < 0)
			return error_code(e);
	r = thread_create(&d->thread, "dispatcher", dispatcher_main, d);
	return r == 0 ? 0 : error_set(e, r, "no thread for the compressor");
}

static void free_parts(struct dispatcher *d)
{
	if (d->buffers) {
		pool_close(d->buffers);
		pool_free(d->buffers);
	}
	pthread_cond_destroy(&d->left);
	pthread_mutex_destroy(&d->lock);
	sem_destroy(&d->wake);
	free(d->worker);
}

int dispatcher_start(struct dispatcher *d, unsigned workers, struct error *e)
{
	*d = (struct dispatcher){ .taker = { wants, kick },
				  .n_buffers = at_most(workers * BUFFERS_EACH,
						       BUFFERS_MOST),
				  .idle = { .most = workers } };
	d->worker = calloc(workers, sizeof(d->worker[0]));
	if (!d->worker)
		return error_set(e, ENOMEM, "no memory for the compressor");
	sem_init(&d->wake, 0, 0);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->left, NULL);
	if (pool_new(&d->buffers, d->n_buffers, FRAME_MAX_PAYLOAD, e) == 0 &&
	    start_all(d, workers, e) == 0)
		return 0;
	workers_stop(d);
	free_parts(d);
	return error_code(e);
}

void dispatcher_stop(struct dispatcher *d)
{
	atomic_store(&d->stop, true);
	sem_post(&d->wake);
	pthread_join(d->thread, NULL);
	workers_stop(d);
	free_parts(d);
}
