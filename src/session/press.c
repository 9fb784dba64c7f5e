/* SPDX-License-Identifier: MIT */
#include "session/press.h"

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
#include "session/outbox.h"

enum {
	WORKERS_MAX = 64,
	BUFFERS_EACH = 24, /* pressed frames that wait or travel, per worker */
	TRY_OTHERS = 48,   /* every so many frames another codec is measured */
	AHEAD_EACH = 3,    /* frames that may wait, per worker */
};

static const struct codec_choice choices[PRESS_CHOICES] = {
	{ CODEC_LZ4, 1 },
	{ CODEC_ZSTD, 1 },
	{ CODEC_ZSTD, 2 },
};

/* Who may touch a worker's job. */
enum turn { TURN_DESK, TURN_WORKER, TURN_RESULT };

struct worker {
	struct press *press;
	pthread_t thread;
	sem_t go;
	atomic_int turn;
	struct codec_state *codecs;

	/* The desk's, or in TURN_WORKER the worker's. */
	struct press_client *client;
	struct frame_out *frame;
	struct buffer *buffer;
	unsigned choice; /* of the table, PRESS_CHOICES: the policy's */
	struct codec_choice how;
	size_t meta, in, out; /* bytes; out: 0 for not to be pressed */
	uint64_t took_us, processor_us;
};

struct press {
	struct pool *buffers;
	pthread_t desk;
	sem_t wake;
	atomic_bool stop;
	unsigned workers;
	struct worker *worker;

	pthread_mutex_t lock; /* guards what follows; never the workers' */
	pthread_cond_t left;
	struct press_client *clients;
	struct press_client *next; /* whose turn it is */
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
	uint64_t began = clock_us(), cpu = processor_us();
	const struct frame_out *f = w->frame;
	size_t cap = f->head.len - f->head.len / 16; /* less is no gain */

	w->meta = f->iov[0].iov_len;
	w->in = f->head.len;
	memcpy(w->buffer->data, f->iov[0].iov_base, w->meta);
	w->buffer->data[BATCH_CODEC_AT] = (uint8_t)w->how.id;
	w->out = codec_press(w->codecs, w->how, &f->iov[1], f->iovs - 1,
			     w->buffer->data + w->meta, cap - w->meta);
	w->took_us = clock_us() - began;
	w->processor_us = processor_us() - cpu;
}

/* The codecs take their memory at the first unit: before nobody waits. */
static void warm_up(struct worker *w)
{
	uint8_t page[WIRE_PAGE] = { 0 }, out[WIRE_PAGE];
	const struct iovec in = { page, sizeof(page) };

	for (unsigned i = 0; i < PRESS_CHOICES; i++)
		codec_press(w->codecs, choices[i], &in, 1, out, sizeof(out));
}

static void *worker_main(void *arg)
{
	const struct sched_param none = { 0 };
	struct worker *w = arg;
	int r;

	warm_up(w);
	r = pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
	if (r != 0)
		log_warning("press: workers are not of the idle class: %s",
			    strerrordesc_np(r));
	for (;;) {
		while (sem_wait(&w->go) < 0)
			;
		if (atomic_load(&w->press->stop))
			return NULL;
		press_one(w);
		atomic_store(&w->turn, TURN_RESULT);
		sem_post(&w->press->wake);
	}
}

/* --- the choice */

/* Bytes a second of one worker. */
static double press_rate(const struct press_record *r)
{
	return r->in * USEC_PER_SEC / r->took_us;
}

static double through(const struct press_record *r, double link,
		      unsigned workers)
{
	double press = press_rate(r) * workers, ratio = r->in / r->out;
	double most = link * ratio, got = link + press * (1 - 1 / ratio);

	return got < most ? got : most;
}

unsigned press_best(const struct press_record record[PRESS_CHOICES],
		    double link, unsigned workers)
{
	unsigned which = 0;
	double best = 0;

	for (unsigned i = 0; i < PRESS_CHOICES; i++) {
		double t = through(&record[i], link, workers);

		/* A slower codec has to be worth it. */
		if (t > best * 1.02) {
			best = t;
			which = i;
		}
	}
	return which;
}

/* Bytes a second that the link took lately. */
static double link_rate(struct outbox *o)
{
	struct outbox_stats st;

	outbox_stats(o, &st);
	return (double)st.wire_rate;
}

static unsigned choose(const struct press *p, struct press_client *c)
{
	c->turn++;
	for (unsigned i = 0; i < PRESS_CHOICES; i++)
		if (c->record[i].frames == 0)
			return i;
	if (c->turn % TRY_OTHERS == 0)
		return c->turn / TRY_OTHERS % PRESS_CHOICES;
	c->best = press_best(c->record, link_rate(c->outbox), p->workers);
	return c->best;
}

static void learn(struct press_record *r, const struct worker *w)
{
	r->frames++;
	r->in += (double)w->in - r->in / 16;
	r->out += (double)(w->out ? w->meta + w->out : w->in) - r->out / 16;
	r->took_us += (double)w->took_us + 1 - r->took_us / 16;
}

/* --- the desk */

static void collect(struct press *p, struct worker *w)
{
	struct press_client *c = w->client;
	bool pressed = w->out > 0;

	if (w->choice < PRESS_CHOICES)
		learn(&c->record[w->choice], w);
	atomic_fetch_add(&c->processor_us, w->processor_us);
	outbox_press_done(c->outbox, w->frame, pressed ? w->buffer : NULL,
			  w->meta + w->out);
	if (!pressed)
		buffer_drop(w->buffer);
	w->buffer = NULL;
	w->client = NULL;
	atomic_store(&w->turn, TURN_DESK);
	c->frames--;
	pthread_cond_broadcast(&p->left);
}

/* The next frame that is worth pressing; what is not is given back at once. */
static struct frame_out *next_of(struct press_client *c)
{
	struct frame_out *f;

	while ((f = outbox_press_take(c->outbox))) {
		if (f->iovs > 1 && !codec_is_dense(&f->iov[1], f->iovs - 1))
			return f;
		outbox_press_done(c->outbox, f, NULL, 0);
	}
	return NULL;
}

/* Clients in turn. */
static struct frame_out *next_frame(struct press *p, struct press_client **ret)
{
	struct press_client *first = p->next ? p->next : p->clients;
	struct press_client *c = first;

	while (c) {
		struct frame_out *f = next_of(c);

		*ret = c;
		c = c->next ? c->next : p->clients;
		p->next = c;
		if (f)
			return f;
		if (c == first)
			break;
	}
	return NULL;
}

static bool hand_out(struct press *p, struct worker *w)
{
	w->buffer = pool_try(p->buffers);
	if (!w->buffer)
		return false;
	w->frame = next_frame(p, &w->client);
	if (!w->frame) {
		buffer_drop(w->buffer);
		w->buffer = NULL;
		return false;
	}
	w->choice = PRESS_CHOICES;
	w->how = w->client->policy.choice;
	if (!w->client->policy.fixed) {
		w->choice = choose(p, w->client);
		w->how = choices[w->choice];
	}
	w->client->frames++;
	atomic_store(&w->turn, TURN_WORKER);
	sem_post(&w->go);
	return true;
}

static void desk_round(struct press *p)
{
	WITH_LOCK(&p->lock);

	for (unsigned i = 0; i < p->workers; i++)
		if (atomic_load(&p->worker[i].turn) == TURN_RESULT)
			collect(p, &p->worker[i]);
	for (unsigned i = 0; i < p->workers; i++)
		if (atomic_load(&p->worker[i].turn) == TURN_DESK &&
		    !hand_out(p, &p->worker[i]))
			break;
}

static void *desk_main(void *arg)
{
	struct press *p = arg;

	while (!atomic_load(&p->stop)) {
		while (sem_wait(&p->wake) < 0)
			;
		while (sem_trywait(&p->wake) == 0)
			;
		desk_round(p);
	}
	return NULL;
}

void press_kick(struct press *p)
{
	sem_post(&p->wake);
}

/* --- clients */

void press_join(struct press *p, struct press_client *c)
{
	{
		WITH_LOCK(&p->lock);

		c->next = p->clients;
		p->clients = c;
	}
	outbox_set_press(c->outbox, p, AHEAD_EACH * p->workers,
			 c->policy.always);
}

void press_leave(struct press *p, struct press_client *c)
{
	WITH_LOCK(&p->lock);

	for (struct press_client **at = &p->clients; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	p->next = NULL;
	while (c->frames > 0)
		pthread_cond_wait(&p->left, &p->lock);
}

static const char *why(const struct press_client *c)
{
	if (c->policy.fixed)
		return "the settings name it";
	return "it lets the most through at the measured rates of link and "
	       "processors";
}

static json_t *record_json(struct codec_choice how,
			   const struct press_record *r)
{
	return json_pack("{s:s,s:i,s:I,s:f,s:I}", "codec",
			 codec_get(how.id)->name, "level", how.level, "frames",
			 (json_int_t)r->frames, "ratio", r->in / r->out, "rate",
			 (json_int_t)press_rate(r));
}

json_t *press_json(struct press *p, struct press_client *c)
{
	const struct codec_choice *used = &c->policy.choice;
	json_t *tried = json_array();

	WITH_LOCK(&p->lock);

	if (!c->policy.fixed)
		used = &choices[c->best];
	for (unsigned i = 0; i < PRESS_CHOICES; i++)
		if (c->record[i].frames > 0)
			json_array_append_new(tried,
					      record_json(choices[i],
							  &c->record[i]));
	return json_pack("{s:s,s:i,s:s,s:o,s:I}", "codec",
			 codec_get(used->id)->name, "level", used->level, "why",
			 why(c), "tried", tried, "processor_ms",
			 (json_int_t)(atomic_load(&c->processor_us) / 1000));
}

/* --- life */

static int worker_start(struct press *p, struct worker *w, struct error *e)
{
	int r;

	w->press = p;
	if (codec_state_new(&w->codecs, e) < 0)
		return error_code(e);
	sem_init(&w->go, 0, 0);
	r = pthread_create(&w->thread, NULL, worker_main, w);
	if (r == 0)
		return 0;
	sem_destroy(&w->go);
	codec_state_free(w->codecs);
	return error_set(e, r, "no thread for a press worker");
}

static void workers_stop(struct press *p)
{
	atomic_store(&p->stop, true);
	for (unsigned i = 0; i < p->workers; i++) {
		sem_post(&p->worker[i].go);
		pthread_join(p->worker[i].thread, NULL);
		sem_destroy(&p->worker[i].go);
		codec_state_free(p->worker[i].codecs);
	}
}

static int start_all(struct press *p, unsigned workers, struct error *e)
{
	int r;

	for (; p->workers < workers; p->workers++)
		if (worker_start(p, &p->worker[p->workers], e) < 0)
			return error_code(e);
	r = pthread_create(&p->desk, NULL, desk_main, p);
	return r == 0 ? 0 : error_set(e, r, "no thread for the press");
}

static void free_parts(struct press *p)
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

int press_new(struct press **ret, unsigned workers, struct error *e)
{
	struct press *p = calloc(1, sizeof(*p));

	if (workers == 0)
		workers = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (workers > WORKERS_MAX)
		workers = WORKERS_MAX;
	if (p)
		p->worker = calloc(workers, sizeof(p->worker[0]));
	if (!p || !p->worker) {
		free(p);
		return error_set(e, ENOMEM, "no memory for the press");
	}
	sem_init(&p->wake, 0, 0);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->left, NULL);
	if (pool_new(&p->buffers, (size_t)workers * BUFFERS_EACH,
		     FRAME_MAX_PAYLOAD, e) < 0 ||
	    start_all(p, workers, e) < 0) {
		workers_stop(p);
		free_parts(p);
		return error_code(e);
	}
	*ret = p;
	return 0;
}

void press_free(struct press *p)
{
	if (!p)
		return;
	atomic_store(&p->stop, true);
	sem_post(&p->wake);
	pthread_join(p->desk, NULL);
	workers_stop(p);
	free_parts(p);
}
