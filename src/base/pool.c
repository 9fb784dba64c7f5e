/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/scope.h"

struct pool {
	pthread_mutex_t lock; /* guards free, idle, closed */
	pthread_cond_t returned;
	struct buffer *free;
	size_t idle;
	bool closed;

	/* set when made */
	size_t buffers, buffer_bytes;
	uint8_t *memory;
	struct buffer buffer[];
};

int pool_new(struct pool **ret, size_t buffers, size_t buffer_bytes,
	     struct error *e)
{
	struct pool *p = calloc(1, sizeof(*p) + buffers * sizeof(p->buffer[0]));
	size_t bytes = buffers * buffer_bytes;

	if (!p)
		return error_set(e, ENOMEM, "no memory for a buffer pool");
	p->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->memory == MAP_FAILED) {
		error_sys(e, "a buffer pool of %zu bytes", bytes);
		free(p);
		return error_code(e);
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->returned, NULL);
	p->buffers = p->idle = buffers;
	p->buffer_bytes = buffer_bytes;
	for (size_t i = 0; i < buffers; i++) {
		p->buffer[i] = (struct buffer){
			.pool = p,
			.next_free = p->free,
			.data = p->memory + i * buffer_bytes,
		};
		p->free = &p->buffer[i];
	}
	*ret = p;
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	assert(p->idle == p->buffers);
	pthread_cond_destroy(&p->returned);
	pthread_mutex_destroy(&p->lock);
	munmap(p->memory, p->buffers * p->buffer_bytes);
	free(p);
}

/* The first of the free ones; the lock is held. */
static struct buffer *take(struct pool *p)
{
	struct buffer *b = p->free;

	p->free = b->next_free;
	p->idle--;
	atomic_store_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

struct buffer *pool_take(struct pool *p)
{
	WITH_LOCK(&p->lock);

	while (!p->free && !p->closed)
		pthread_cond_wait(&p->returned, &p->lock);
	return p->closed ? NULL : take(p);
}

struct buffer *pool_try(struct pool *p)
{
	WITH_LOCK(&p->lock);

	return p->free && !p->closed ? take(p) : NULL;
}

void pool_close(struct pool *p)
{
	WITH_LOCK(&p->lock);

	p->closed = true;
	pthread_cond_broadcast(&p->returned);
}

size_t pool_buffer_bytes(const struct pool *p)
{
	return p->buffer_bytes;
}

void buffer_drop(struct buffer *b)
{
	struct pool *p;

	if (!b ||
	    atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	p = b->pool;

	WITH_LOCK(&p->lock);

	b->next_free = p->free;
	p->free = b;
	p->idle++;
	pthread_cond_signal(&p->returned);
}
