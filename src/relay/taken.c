/* SPDX-License-Identifier: MIT */
#include "relay/taken.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/thread.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "relay/ending.h"
#include "relay/endpoint.h"
#include "session/session.h"

enum { PAUSE_LEAST_US = 50, PAUSE_MOST_US = 4000 };

/* Where the newest piece that was written ends in the stream; waits for one.
 * False when nothing more is to be given back. */
static bool written(struct taken *t, uint64_t *ret)
{
	WITH_LOCK(&t->lock);

	while (!t->first && !t->stopping)
		pthread_cond_wait(&t->changed, &t->lock);
	if (t->stopping)
		return false;
	*ret = t->last->offset + t->last->len;
	return true;
}

/* One that ends at @end or before it. */
static struct piece *next_until(struct taken *t, uint64_t end)
{
	WITH_LOCK(&t->lock);
	struct piece *p = t->first;

	if (!p || p->offset + p->len > end)
		return NULL;
	t->first = p->next;
	return p;
}

static bool give_back(struct taken *t, uint64_t end)
{
	struct inbox *in = session_inbox(t->session);
	struct piece *p;
	bool due = false, any = false;

	while ((p = next_until(t, end))) {
		due |= inbox_written(in, p);
		any = true;
	}
	if (due)
		outbox_ack_due(session_outbox(t->session));
	return any;
}

/* The kernel counts more than the bytes: what it says was read, was. */
static void *taken_main(void *arg)
{
	useconds_t pause = PAUSE_LEAST_US;
	struct taken *t = arg;
	uint64_t end;

	while (written(t, &end)) {
		uint64_t unread = endpoint_unread(t->fd);

		if (endpoint_hung_up(t->fd) &&
		    ending_of(t->ending) == ENDING_SHORT)
			break;
		if (give_back(t, unread < end ? end - unread : 0)) {
			pause = PAUSE_LEAST_US;
			continue;
		}
		usleep(pause);
		if (pause < PAUSE_MOST_US)
			pause *= 2;
	}
	return NULL;
}

int taken_start(struct taken *t, struct session *s, struct ending *g, int fd,
		struct error *e)
{
	int r;

	*t = (struct taken){ .session = s, .ending = g, .fd = fd };
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
	r = thread_create(&t->thread, "taken", taken_main, t);
	t->runs = r == 0;
	return r == 0 ? 0 : error_set(e, r, "no thread for a connection");
}

void taken_put(struct taken *t, struct piece *p)
{
	WITH_LOCK(&t->lock);

	p->next = NULL;
	if (t->first)
		t->last->next = p;
	else
		t->first = p;
	t->last = p;
	pthread_cond_signal(&t->changed);
}

void taken_stop(struct taken *t)
{
	if (!t->runs)
		return;
	{
		WITH_LOCK(&t->lock);

		t->stopping = true;
		pthread_cond_signal(&t->changed);
	}
	pthread_join(t->thread, NULL);
	while (t->first) {
		struct piece *p = t->first;

		t->first = p->next;
		free(p);
	}
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	t->runs = false;
}
