/* SPDX-License-Identifier: MIT */

/*
 * One queue pair with its connection and its buffers, on either side.
 *
 * It is the thread's that made it, which dials or listens, then waits for what
 * happens to it, and destroys it.  Writing through it may be any other one
 * thread, which knows that it is not being destroyed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nic/inventory.h"
#include "wire/rdma.h"

struct error;
struct queue_pair;

enum {
	QUEUE_PAIR_BUFFERS = 16,
	QUEUE_PAIR_BUFFER = 256 * 1024, /* a batch's pages */
};

/* Where the other side's buffers are. */
struct queue_pair_far {
	uint64_t at;
	uint32_t key;
};

/* Whether @from belongs to an RDMA device.  -ENODEV, -ENOENT: no libraries. */
int queue_pair_possible(const struct nic_address *from, struct error *e);

/* Listens at @at on a port that is free. */
int queue_pair_listen(struct queue_pair **ret, const struct nic_address *at,
		      uint16_t *ret_port, struct error *e);
/* Waits for who knows @expected, and accepts: receives for all buffers are
 * posted then.  @refused is how many did not: many make it give up.  -ECANCELED
 * when @stop_fd becomes readable, -ETIMEDOUT. */
int queue_pair_accept(struct queue_pair *q,
		      const struct rdma_greeting *expected,
		      uint64_t deadline_us, int stop_fd, unsigned *refused,
		      struct error *e);

struct queue_pair_way {
	const struct nic_address *from, *to;
	uint16_t port;
	const struct rdma_greeting *greeting;
};

int queue_pair_dial(struct queue_pair **ret, const struct queue_pair_way *way,
		    uint64_t deadline_us, int stop_fd, struct error *e);

/* After a failure, too; NULL is fine.  No write of the other side lands any
 * more once it returns.  May take some seconds. */
void queue_pair_destroy(struct queue_pair *q);

uint8_t *queue_pair_buffer(const struct queue_pair *q, unsigned n);
/* What the other side has to know of them. */
struct queue_pair_far queue_pair_near(const struct queue_pair *q);

/* The first @len bytes of buffer @n into the other side's buffer @n, which its
 * next event names. */
int queue_pair_write(struct queue_pair *q, unsigned n, size_t len,
		     const struct queue_pair_far *far, struct error *e);

/* What has happened: 1 with the buffer, from which a write is complete, or into
 * which one has come; 0 when @stop_fd is readable and no buffer is left, so who
 * stops it takes no more; negative: it has broken. */
int queue_pair_next(struct queue_pair *q, int stop_fd, unsigned *ret_buffer,
		    struct error *e);
