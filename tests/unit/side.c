/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "side.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"

enum { SESSION = 77, ENOUGH_S = 10 };

/* --- what lanes say */

static void message(void *context)
{
	struct side *s = context;

	sem_post(&s->came);
}

static int cards(void *context, uint64_t generation, const void *text,
		 size_t len, struct error *e)
{
	struct side *s = context;

	(void)e;
	snprintf(s->cards, sizeof(s->cards), "%.*s", (int)len,
		 (const char *)text);
	atomic_store(&s->generation, generation);
	sem_post(&s->came);
	return 0;
}

static void bye(void *context, bool failed, const char *why)
{
	struct side *s = context;

	pthread_mutex_lock(&s->lock);
	s->bye_failed = failed;
	snprintf(s->bye_why, sizeof(s->bye_why), "%s", why);
	pthread_mutex_unlock(&s->lock);
	sem_post(&s->bye);
}

static void broken(void *context, const char *why)
{
	(void)context;
	fprintf(stderr, "broken: %s\n", why);
	abort();
}

static void ended(void *context)
{
	struct side *s = context;

	sem_post(&s->ended);
}

/* --- a side */

void wait_for(sem_t *what)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ENOUGH_S;
	assert_int_equal(sem_timedwait(what, &until), 0);
}

void side_init(struct side *s, const char *peer)
{
	const struct lanes_options o = { .peer = peer,
					 .out = &s->out,
					 .in = &s->in,
					 .calls = { .message = message,
						    .cards = cards,
						    .bye = bye,
						    .broken = broken,
						    .ended = ended,
						    .context = s } };
	struct error e;

	pthread_mutex_init(&s->lock, NULL);
	sem_init(&s->ended, 0, 0);
	sem_init(&s->came, 0, 0);
	sem_init(&s->bye, 0, 0);
	assert_int_equal(outbox_init(&s->out, &e), 0);
	inbox_init(&s->in);
	assert_int_equal(lanes_new(&s->lanes, &o, &e), 0);
	lanes_set_session(s->lanes, SESSION);
}

struct lane_view next_ended(struct side *s)
{
	struct lane_view v;

	wait_for(&s->ended);
	assert_true(lanes_next_ended(s->lanes, &v));
	return v;
}

void end_side(struct side *s, bool failed, const char *why)
{
	lanes_close(s->lanes, failed, why);
	outbox_close(&s->out);
	inbox_close(&s->in);
}

void bury_all(struct side *s)
{
	while (lanes_count(s->lanes).alive + lanes_count(s->lanes).dying > 0)
		lanes_bury(s->lanes, next_ended(s).number);
}

void side_done(struct side *s)
{
	lanes_free(s->lanes);
	inbox_done(&s->in);
	outbox_done(&s->out);
	sem_destroy(&s->ended);
	sem_destroy(&s->came);
	sem_destroy(&s->bye);
}
