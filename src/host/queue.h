/* SPDX-License-Identifier: MIT */

/*
 * Which of the moves that wait at a source may start now.  docs/queue.md.
 *
 * A plain value without lock, thread, clock or memory of its own: it links the
 * items, which are its owner's, in the order in which they would start if
 * nothing but that counted.  Times are clock_us(), but for when somebody
 * asked, which outlives the daemon.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	QUEUE_PRIORITY = 50, /* where nothing is said; from 0 */
	QUEUE_PRIORITY_MOST = 100,
};

/* So many moves, and of these so many that copy disks: that run, or may. */
struct queue_load {
	unsigned moves, disk_moves;
};

enum queue_why {
	QUEUE_TURN, /* others are before it, or as many run as may */
	QUEUE_FULL, /* as many come to its destination as may */
	QUEUE_HELD, /* somebody else holds the machine */
	QUEUE_AWAY, /* its destination is not reached */
	QUEUE_WHYS,
};

/* What the order goes by, at the source and at the destination. */
struct queue_rank {
	unsigned priority;
	uint64_t asked_us; /* clock_wall_us() at a source */
	uint64_t number;   /* of who has asked at the same moment */
};

struct queue_item {
	/* set before it is added */
	const char *peer;
	struct queue_rank rank;
	bool disks; /* it copies some */

	/* It has a place, and may not start: whoever asked for it still holds
	 * its machine.  The owner's. */
	bool reserved;

	/* the queue's */
	enum queue_why why;
	uint64_t again_us;      /* not before; 0: at once */
	uint64_t full_since_us; /* where QUEUE_FULL: the first time */
	uint64_t away_since_us; /* its destination; 0: it was heard last */
	unsigned fulls;         /* times that it was told so by itself */
	struct queue_item *next;
};

struct queue {
	struct queue_item *first;
};

/* Less than 0: @a goes before @b. */
int queue_compare(const struct queue_rank *a, const struct queue_rank *b);

/* One that has been in it before comes with what became of it. */
void queue_add(struct queue *q, struct queue_item *it);
void queue_drop(struct queue *q, struct queue_item *it);

/* One that may start, to @peer, or to anybody where that is NULL.  NULL: none
 * may. */
struct queue_item *queue_next(const struct queue *q,
			      const struct queue_load *runs,
			      const struct queue_load *most, uint64_t now_us,
			      const char *peer);
/* When one that may not start yet could; USEC_NEVER: time changes nothing. */
uint64_t queue_due(const struct queue *q);

/* What became of @it, which had started and is in the queue again.  Full: all
 * moves to its destination wait. */
void queue_was_full(struct queue *q, struct queue_item *it, uint64_t now_us);
/* Its destination was not reached, whoever wants to go there; or is heard. */
void queue_was_away(struct queue *q, struct queue_item *it, uint64_t now_us);
void queue_is_heard(struct queue *q, const char *peer);
void queue_put_off(struct queue_item *it, enum queue_why why,
		   uint64_t again_us);
/* @peer has offered a place: one that may start for it.  NULL: none may, and
 * those to it ask by themselves in a while. */
struct queue_item *queue_offered(struct queue *q, const struct queue_load *runs,
				 const struct queue_load *most, uint64_t now_us,
				 const char *peer);

/* 1: the first; of moves to @peer, or of all where that is NULL. */
unsigned queue_count(const struct queue *q, const char *peer);
unsigned queue_place(const struct queue *q, const struct queue_item *it);

/* In how many seconds each is expected to start, in the queue's order, the
 * first @n of them: where @left, seconds, are what those that run (at most
 * @most) have left, NAN where it is not known, and one that starts takes
 * @each.  NAN: not known. */
struct queue_outlook {
	const double *left;
	size_t running;
	unsigned most;
	double each;
};

void queue_expect(const struct queue_outlook *o, double *ret, size_t n);
