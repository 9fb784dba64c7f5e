/* SPDX-License-Identifier: MIT */
#include "compress/workers.h"

#include <sched.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/thread.h"
#include "compress/choice.h"
#include "frames/queue.h"

uint64_t worker_processor_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

static void press_one(struct worker *w)
{
	uint64_t cpu = worker_processor_us();
	const struct frame_out *f = w->frame;
	size_t cap = f->head.len - f->head.len / 16; /* less is no gain */

	w->meta = f->iov[0].iov_len;
	w->in = f->head.len;
	memcpy(w->buffer->data, f->iov[0].iov_base, w->meta);
	w->buffer->data[BATCH_CODEC_AT] = (uint8_t)w->how.id;
	w->out = codec_press(w->codecs, w->how, &f->iov[1], f->iovs - 1,
			     w->buffer->data + w->meta, cap - w->meta);
	w->processor_us = worker_processor_us() - cpu;
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
		if (atomic_load(&w->stop))
			return NULL;
		press_one(w);
		atomic_store(&w->turn, TURN_RESULT);
		sem_post(w->done);
	}
}

void worker_go(struct worker *w)
{
	atomic_store(&w->turn, TURN_WORKER);
	sem_post(&w->go);
}

int worker_start(struct worker *w, sem_t *done, struct error *e)
{
	int r;

	w->done = done;
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

void worker_stop(struct worker *w)
{
	atomic_store(&w->stop, true);
	sem_post(&w->go);
	pthread_join(w->thread, NULL);
	sem_destroy(&w->go);
	codec_state_free(w->codecs);
}
