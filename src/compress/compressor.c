/* SPDX-License-Identifier: MIT */
#include "compress/compressor.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/scope.h"
#include "base/thread.h"
#include "compress/idle.h"
#include "frames/outbox.h"
#include "wire/reader.h"

enum {
	WORKERS_MAX = 64,
	BUFFERS_EACH = 24, /* pressed frames that wait or travel, per worker */
	BUFFERS_MOST = 192,
	AHEAD_EACH = 3, /* frames that may wait, per worker */
	AHEAD_MOST = 64,
};

_Static_assert(BUFFERS_MOST >= 2 * WORKERS_MAX, "one in work, one that waits");

/* Who may touch a worker's job. */
enum turn { TURN_DISPATCHER, TURN_WORKER, TURN_RESULT };

struct worker {
	struct compressor *compressor;
	pthread_t thread;
	sem_t go;
	atomic_int turn;
	struct codec_state *codecs;

	/* The dispatcher's, or in TURN_WORKER the worker's. */
	struct compressor_client *client;
	struct frame_out *frame;
	struct buffer *buffer;
	unsigned choice; /* CHOICE_NONE: the policy's */
	struct codec_choice how;
	size_t meta, in, out; /* bytes; out: 0 for not to be pressed */
	uint64_t processor_us;
};

struct compressor {
	struct pool *buffers;
	unsigned n_buffers;
	pthread_t dispatcher;
	sem_t wake;
	atomic_bool stop;
	/* From when on a worker may take a frame: never when all have one. */
	atomic_uint_fast64_t idle_us;
	unsigned workers;
	struct worker *worker;

	pthread_mutex_t lock; /* guards what follows; never the workers' */
	pthread_cond_t left;
	struct compressor_client *clients;
	struct compressor_client *next; /* whose turn it is */
	struct idle idle;
	unsigned joined, always; /* clients; those that wait for workers */
};

/* --- workers */

static uint64_t processor_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

static void press_one(struct worker *w)
{
	uint64_t cpu = processor_us();
	const struct frame_out *f = w->frame;
	size_t cap = f->head.len - f->head.len / 16; /* less is no gain */

	w->meta = f->iov[0].iov_len;
	w->in = f->head.len;
	memcpy(w->buffer->data, f->iov[0].iov_base, w->meta);
	w->buffer->data[BATCH_CODEC_AT] = (uint8_t)w->how.id;
	w->out = codec_press(w->codecs, w->how, &f->iov[1], f->iovs - 1,
			     w->buffer->data + w->meta, cap - w->meta);
	w->processor_us = processor_us() - cpu;
}

/* The codecs take their memory at the first unit: before nobody waits. */
static void warm_up(struct worker *w)
{
	uint8_t page[WIRE_PAGE] = { 0 }, out[WIRE_PAGE];
	const struct iovec in = { page, sizeof(page) };

	for (unsigned i = 0; i < CHOICES; i++)
		codec_press(w->codecs, choice_codec(i), &in, 1, out,
			    sizeof(out));
}

static void *worker_main(void *arg)
{
	const struct sched_param none = { 0 };
	struct worker *w = arg;
	int r;

	warm_up(w);
	r = pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
	if (r != 0)
		log_warning("compressor: workers are not of the idle class: %s",
			    strerrordesc_np(r));
	for (;;) {
		while (sem_wait(&w->go) < 0)
			;
		if (atomic_load(&w->compressor->stop))
			return NULL;
		press_one(w);
		atomic_store(&w->turn, TURN_RESULT);
		sem_post(&w->compressor->wake);
	}
}

/* --- the dispatcher */

/* Where a frame's first page stands in the guest. */
static struct stretch stretch_of(const struct frame_out *f)
{
	const uint8_t *meta = f->iov[0].iov_base;
	struct reader head = reader_of(meta, BATCH_HEAD_SIZE);
	struct reader run = reader_of(meta + BATCH_HEAD_SIZE, sizeof(uint64_t));

	return (struct stretch){ .block = read_u16(&head),
				 .page = read_u64(&run) };
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

static void collect(struct compressor *p, struct worker *w)
{
	struct compressor_client *c = w->client;
	bool pressed = w->out > 0;

	learn(c, w);
	idle_used(&p->idle, w->processor_us);
	outbox_taker_done(c->outbox, w->frame, pressed ? w->buffer : NULL,
			  w->meta + w->out);
	if (!pressed)
		buffer_drop(w->buffer);
	w->buffer = NULL;
	w->client = NULL;
	atomic_store(&w->turn, TURN_DISPATCHER);
	c->frames--;
	pthread_cond_broadcast(&p->left);
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
	uint64_t began = f ? processor_us() : 0;
	bool any = f;

	while (f && is_incompressible(c, f)) {
		outbox_taker_done(c->outbox, f, NULL, 0);
		f = outbox_taker_take(c->outbox);
	}
	if (any)
		atomic_fetch_add(&c->processor_us, processor_us() - began);
	return f;
}

/* Buffers are for all: one session over a slow link must not keep those that a
 * fast one could use.  With more sessions than buffers each still gets one: its
 * channels may be waiting for it. */
static bool has_enough(const struct compressor *p,
		       const struct compressor_client *c,
		       const struct outbox_stats *st)
{
	unsigned share = p->n_buffers / p->joined;

	return st->pressed + c->frames >= (share > 0 ? share : 1);
}

/* A frame of @c for @w; false: there is none to press now. */
static bool take_job(struct compressor *p, struct compressor_client *c,
		     struct worker *w)
{
	struct outbox_stats st;
	struct choice_case k;

	outbox_stats(c->outbox, &st);
	if (has_enough(p, c, &st) ||
	    (!c->policy.always && !idle_may_work(&p->idle, clock_us())))
		return false;
	w->choice = CHOICE_NONE;
	w->how = c->policy.choice;
	if (!c->policy.fixed) {
		k = choice_case(&c->choice, &st,
				c->policy.always ? p->workers
						 : p->idle.allowed);
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
static bool next_job(struct compressor *p, struct worker *w)
{
	struct compressor_client *c = p->next ? p->next : p->clients;

	for (unsigned i = 0; i < p->joined; i++) {
		bool got = take_job(p, c, w);

		c = c->next ? c->next : p->clients;
		p->next = c;
		if (got)
			return true;
	}
	return false;
}

static void hand_out(struct compressor *p, struct worker *w)
{
	w->buffer = pool_try(p->buffers);
	if (!w->buffer)
		return;
	if (!next_job(p, w)) {
		buffer_drop(w->buffer);
		w->buffer = NULL;
		return;
	}
	w->client->frames++;
	atomic_store(&w->turn, TURN_WORKER);
	sem_post(&w->go);
}

/* Who waits for the workers gets them also when no processor is idle. */
static uint64_t idle_from(const struct compressor *p)
{
	for (unsigned i = 0; i < p->workers; i++)
		if (atomic_load(&p->worker[i].turn) == TURN_DISPATCHER)
			return p->always > 0 ? 0 : idle_next_us(&p->idle);
	return USEC_NEVER;
}

static void dispatcher_round(struct compressor *p)
{
	WITH_LOCK(&p->lock);

	for (unsigned i = 0; i < p->workers; i++)
		if (atomic_load(&p->worker[i].turn) == TURN_RESULT)
			collect(p, &p->worker[i]);
	/* Who kicks from now on is heard. */
	atomic_store(&p->idle_us, 0);
	for (unsigned i = 0; i < p->workers; i++)
		if (atomic_load(&p->worker[i].turn) == TURN_DISPATCHER)
			hand_out(p, &p->worker[i]);
	atomic_store(&p->idle_us, idle_from(p));
}

static void *dispatcher_main(void *arg)
{
	struct compressor *p = arg;

	while (!atomic_load(&p->stop)) {
		while (sem_wait(&p->wake) < 0)
			;
		while (sem_trywait(&p->wake) == 0)
			;
		dispatcher_round(p);
	}
	return NULL;
}

bool compressor_wants(struct compressor *p)
{
	return clock_us() >= atomic_load(&p->idle_us);
}

void compressor_kick(struct compressor *p)
{
	sem_post(&p->wake);
}

/* --- clients */

static unsigned at_most(unsigned n, unsigned most)
{
	return n < most ? n : most;
}

void compressor_join(struct compressor *p, struct compressor_client *c)
{
	{
		WITH_LOCK(&p->lock);

		c->next = p->clients;
		p->clients = c;
		p->joined++;
		p->always += c->policy.always;
		/* What is idle until the first pages come is known then. */
		idle_may_work(&p->idle, clock_us());
	}
	outbox_set_taker(c->outbox, p,
			 at_most(AHEAD_EACH * p->workers, AHEAD_MOST),
			 c->policy.always);
}

void compressor_leave(struct compressor *p, struct compressor_client *c)
{
	WITH_LOCK(&p->lock);

	for (struct compressor_client **at = &p->clients; *at;
	     at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			p->joined--;
			p->always -= c->policy.always;
			break;
		}
	p->next = NULL;
	while (c->frames > 0)
		pthread_cond_wait(&p->left, &p->lock);
}

static json_t *record_json(struct codec_choice how,
			   const struct choice_record *r)
{
	return json_pack("{s:s,s:i,s:I,s:f,s:I}", "codec",
			 codec_get(how.id)->name, "level", how.level, "frames",
			 (json_int_t)r->frames, "ratio", r->in / r->out, "rate",
			 (json_int_t)choice_rate(r));
}

static json_t *tried_json(const struct choice *c)
{
	json_t *tried = json_array();

	for (unsigned i = 0; i < CHOICES; i++)
		if (c->record[i].frames > 0)
			json_array_append_new(tried,
					      record_json(choice_codec(i),
							  &c->record[i]));
	return tried;
}

static const char *why_compress(const struct compressor_client *c)
{
	if (c->policy.always)
		return "the settings say so: connections wait for the workers";
	return "a connection waits for a worker only while it has enough to "
	       "send";
}

json_t *compressor_json(struct compressor *p, struct compressor_client *c)
{
	struct codec_choice used = c->policy.choice;
	const char *why = "the settings name it";

	WITH_LOCK(&p->lock);

	if (!c->policy.fixed) {
		used = choice_codec(choice_mostly(&c->choice.best));
		why = choice_why(&c->choice);
	}
	return json_pack("{s:s,s:s,s:s,s:i,s:s,s:o,s:I}", "compress",
			 c->policy.always ? "always" : "idle", "why_compress",
			 why_compress(c), "codec", codec_get(used.id)->name,
			 "level", used.level, "why", why, "tried",
			 tried_json(&c->choice), "processor_ms",
			 (json_int_t)(atomic_load(&c->processor_us) / 1000));
}

/* --- life */

static int worker_start(struct compressor *p, struct worker *w, struct error *e)
{
	int r;

	w->compressor = p;
	if (codec_state_new(&w->codecs, e) < 0)
		return error_code(e);
	sem_init(&w->go, 0, 0);
	r = thread_create(&w->thread, "compress worker", worker_main, w);
	if (r == 0)
		return 0;
	sem_destroy(&w->go);
	codec_state_free(w->codecs);
	return error_set(e, r, "no thread for a compressor worker");
}

static void workers_stop(struct compressor *p)
{
	atomic_store(&p->stop, true);
	for (unsigned i = 0; i < p->workers; i++) {
		sem_post(&p->worker[i].go);
		pthread_join(p->worker[i].thread, NULL);
		sem_destroy(&p->worker[i].go);
		codec_state_free(p->worker[i].codecs);
	}
}

static int start_all(struct compressor *p, unsigned workers, struct error *e)
{
	int r;

	for (; p->workers < workers; p->workers++)
		if (worker_start(p, &p->worker[p->workers], e) < 0)
			return error_code(e);
	r = thread_create(&p->dispatcher, "dispatcher", dispatcher_main, p);
	return r == 0 ? 0 : error_set(e, r, "no thread for the compressor");
}

static void free_parts(struct compressor *p)
{
	if (p->buffers) {
		pool_close(p->buffers);
		pool_free(p->buffers);
	}
	pthread_cond_destroy(&p->left);
	pthread_mutex_destroy(&p->lock);
	sem_destroy(&p->wake);
	free(p->worker);
	free(p);
}

int compressor_new(struct compressor **ret, unsigned workers, struct error *e)
{
	struct compressor *p = calloc(1, sizeof(*p));

	if (workers == 0)
		workers = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (workers > WORKERS_MAX)
		workers = WORKERS_MAX;
	if (p)
		p->worker = calloc(workers, sizeof(p->worker[0]));
	if (!p || !p->worker) {
		free(p);
		return error_set(e, ENOMEM, "no memory for the compressor");
	}
	p->idle.most = workers;
	p->n_buffers = at_most(workers * BUFFERS_EACH, BUFFERS_MOST);
	sem_init(&p->wake, 0, 0);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->left, NULL);
	if (pool_new(&p->buffers, p->n_buffers, FRAME_MAX_PAYLOAD, e) < 0 ||
	    start_all(p, workers, e) < 0) {
		workers_stop(p);
		free_parts(p);
		return error_code(e);
	}
	*ret = p;
	return 0;
}

void compressor_free(struct compressor *p)
{
	if (!p)
		return;
	atomic_store(&p->stop, true);
	sem_post(&p->wake);
	pthread_join(p->dispatcher, NULL);
	workers_stop(p);
	free_parts(p);
}
