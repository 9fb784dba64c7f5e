/* SPDX-License-Identifier: MIT */

/*
 * A fixed number of equal, reference-counted buffers, made before the first
 * is needed.  Taking one waits until one is free: that wait is what holds a
 * producer back.  Any thread may take, hold and drop.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct pool;

struct buffer {
	struct pool *pool;
	struct buffer *next_free; /* guarded by the pool */
	atomic_uint refs;
	uint8_t *data;
};

int pool_new(struct pool **ret, size_t buffers, size_t buffer_bytes,
	     struct error *e);
void pool_free(struct pool *p); /* every buffer must have come back */

/* One reference for the caller; NULL once the pool is closed. */
struct buffer *pool_take(struct pool *p);
/* NULL when none is free; never waits. */
struct buffer *pool_try(struct pool *p);
void pool_close(struct pool *p);
size_t pool_buffer_bytes(const struct pool *p);

static inline struct buffer *buffer_hold(struct buffer *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void buffer_drop(struct buffer *b); /* NULL is fine */
