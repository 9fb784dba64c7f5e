/* SPDX-License-Identifier: MIT */
#include "many_hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "unit.h"

void many_begin(struct many_hosts *m, unsigned hosts, struct queue_load most,
		double card)
{
	*m = (struct many_hosts){ .count = hosts, .now_us = USEC_PER_SEC };
	m->at = calloc(hosts, sizeof(*m->at));
	assert_non_null(m->at);
	for (unsigned i = 0; i < hosts; i++) {
		snprintf(m->at[i].name, sizeof(m->at[i].name), "h%u", i);
		m->at[i].most = most;
		m->at[i].card = card;
	}
}

void many_end(struct many_hosts *m)
{
	for (unsigned i = 0; i < m->count; i++)
		admission_done(&m->at[i].admission);
	while (m->first) {
		struct many_move *one = m->first;

		m->first = one->next;
		free(one);
	}
	free(m->at);
}

struct many_move *many_move(struct many_hosts *m, unsigned from, unsigned to,
			    unsigned priority, double bytes)
{
	struct many_move *one = calloc(1, sizeof(*one));

	assert_non_null(one);
	one->from = from;
	one->to = to;
	one->left_bytes = bytes;
	one->item.peer = m->at[to].name;
	one->item.rank = (struct queue_rank){ .priority = priority,
					      .asked_us = m->now_us,
					      .number = m->left };
	one->next = m->first;
	m->first = one;
	m->left++;
	queue_add(&m->at[from].queue, &one->item);
	return one;
}

void many_forget(struct many_hosts *m, unsigned host)
{
	admission_done(&m->at[host].admission);
	m->at[host].offer[0] = '\0';
	m->at[host].answered = false;
}

static struct many_move *move_of(struct queue_item *it)
{
	return container_of(it, struct many_move, item);
}

static struct many_host *host_of(struct many_hosts *m, const char *name)
{
	return &m->at[strtoul(name + 1, NULL, 10)];
}

static void say(struct many_host *from, struct many_host *to)
{
	from->messages++;
	from->this_second++;
	to->messages++;
	to->this_second++;
}

static void give_turn(struct many_host *h, struct queue_item *it)
{
	queue_drop(&h->queue, it);
	h->out.moves++;
	move_of(it)->state = MANY_ASKS;
}

/* What it asks for arrives in the next turn. */
static void start_moves(struct many_hosts *m, struct many_host *h)
{
	struct queue_item *it;

	while ((it = queue_next(&h->queue, &h->out, &h->most, m->now_us, NULL)))
		give_turn(h, it);
}

static void answer_move(struct many_hosts *m, struct many_move *one)
{
	struct many_host *from = &m->at[one->from], *to = &m->at[one->to];
	const struct admission_ask ask = { .host = from->name,
					   .priority = one->item.rank.priority,
					   .waits = true };

	if (!admission_asks(&to->admission, &ask, &to->in, &to->most,
			    m->now_us)) {
		/* The word "move" for nothing, and "full". */
		say(from, to);
		say(to, from);
		one->state = MANY_TOLD_FULL;
		return;
	}
	to->in.moves++;
	one->state = MANY_RUNS;
	one->started_us = m->now_us;
}

static void hear_full(struct many_hosts *m, struct many_move *one)
{
	struct many_host *from = &m->at[one->from];

	from->out.moves--;
	one->state = MANY_WAITS;
	queue_was_full(&from->queue, &one->item, m->now_us);
	queue_add(&from->queue, &one->item);
}

static void offer(struct many_hosts *m, struct many_host *h)
{
	struct queue_item *it;
	struct many_host *to;

	if (h->offer[0] && h->answered) {
		admission_answered(&h->admission, h->offer, h->takes, h->more,
				   m->now_us);
		h->offer[0] = '\0';
	} else if (h->offer[0]) {
		to = host_of(m, h->offer);
		it = queue_offered(&to->queue, &to->out, &to->most, m->now_us,
				   h->name);
		if (it)
			give_turn(to, it);
		h->takes = it != NULL;
		h->more = queue_count(&to->queue, h->name) > 0;
		h->answered = true;
		say(to, h);
	}
	if (!h->offer[0] && admission_offer(&h->admission, &h->in, &h->most,
					    m->now_us, h->offer)) {
		h->answered = false;
		say(h, host_of(m, h->offer));
	}
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static void copy(struct many_hosts *m, struct many_move *one)
{
	struct many_host *from = &m->at[one->from], *to = &m->at[one->to];
	double rate =
		least(from->card / from->out.moves, to->card / to->in.moves);

	one->left_bytes -= rate * MANY_TURN_US / USEC_PER_SEC;
}

static void end_move(struct many_hosts *m, struct many_move *one)
{
	m->at[one->from].out.moves--;
	m->at[one->to].in.moves--;
	one->state = MANY_DONE;
	one->ended_us = m->now_us;
	m->left--;
}

static void note_peaks(struct many_hosts *m, struct many_host *h)
{
	if (h->out.moves > h->out_peak)
		h->out_peak = h->out.moves;
	if (h->in.moves > h->in_peak)
		h->in_peak = h->in.moves;
	if (h->this_second > h->most_in_a_second)
		h->most_in_a_second = h->this_second;
	if (m->now_us % USEC_PER_SEC == 0)
		h->this_second = 0;
}

void many_turn(struct many_hosts *m)
{
	m->now_us += MANY_TURN_US;
	for (struct many_move *one = m->first; one; one = one->next)
		if (one->state == MANY_TOLD_FULL)
			hear_full(m, one);
	for (struct many_move *one = m->first; one; one = one->next)
		if (one->state == MANY_ASKS)
			answer_move(m, one);
	for (struct many_move *one = m->first; one; one = one->next)
		if (one->state == MANY_RUNS)
			copy(m, one);
	for (struct many_move *one = m->first; one; one = one->next)
		if (one->state == MANY_RUNS && one->left_bytes <= 0)
			end_move(m, one);
	for (unsigned i = 0; i < m->count; i++) {
		offer(m, &m->at[i]);
		start_moves(m, &m->at[i]);
		note_peaks(m, &m->at[i]);
	}
}

bool many_run(struct many_hosts *m, uint64_t limit_us)
{
	while (m->left > 0 && m->now_us < limit_us)
		many_turn(m);
	return m->left == 0;
}
