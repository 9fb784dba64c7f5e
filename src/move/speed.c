/* SPDX-License-Identifier: MIT */
#include "move/speed.h"

#include "base/clock.h"

enum {
	FIRST_APART_US = 100000,
	LEAST_US = 300000, /* less says nothing */
	ERROR_LEAST = 5,   /* per cent: what is left may be of another kind */
	ERROR_MOST = 40,
	AMONG = 4,         /* and one in which it is mostly holes */
	FEW = 20,          /* a part of what was looked at */
	LOOKS = 1500,      /* MB of nothing a second, unless measured */
	MOST_OF_TIME = 10, /* looking takes no more than 9 of so many parts */
};

/* Every other one goes, and from now on they are farther apart. */
static void thin(struct speed *s)
{
	for (size_t i = 0; i < SPEED_POINTS / 2; i++)
		s->at[i] = s->at[2 * i];
	s->count = SPEED_POINTS / 2;
	s->apart_us *= 2;
}

/* A stretch in which nearly nothing had content says how fast looking is. */
static void see_zeros(struct speed *s, const struct speed_point *from,
		      const struct speed_point *to)
{
	uint64_t zero = to->zero - from->zero, data = to->data - from->data;
	uint64_t rate = zero * USEC_PER_SEC / (to->at_us - from->at_us);

	if (data < zero / FEW && rate > s->zero_rate)
		s->zero_rate = rate;
	if (data > zero / AMONG)
		s->among += zero;
}

void speed_add(struct speed *s, const struct speed_point *p)
{
	const struct speed_point *last = s->count ? &s->at[s->count - 1] : NULL;

	if (s->apart_us == 0)
		s->apart_us = FIRST_APART_US;
	if (last && p->at_us < last->at_us + s->apart_us)
		return;
	if (last)
		see_zeros(s, last, p);
	if (s->count == SPEED_POINTS)
		thin(s);
	s->at[s->count++] = *p;
}

void speed_restart(struct speed *s)
{
	*s = (struct speed){ .zero_rate = s->zero_rate, .among = s->among };
}

static double rate_between(const struct speed *s,
			   const struct speed_point *from,
			   const struct speed_point *to)
{
	double zero_rate = s->zero_rate ? (double)s->zero_rate : LOOKS * 1e6;
	double took = (double)(to->at_us - from->at_us) / USEC_PER_SEC;
	double looked = (double)(to->zero - from->zero) / zero_rate;
	double sending = took - looked;

	if (sending < took / MOST_OF_TIME)
		sending = took / MOST_OF_TIME;
	return sending > 0 ? (double)(to->data - from->data) / sending : 0;
}

/* The newest that is @back_us older than the last, or the oldest. */
static const struct speed_point *before(const struct speed *s, uint64_t back_us)
{
	const struct speed_point *last = &s->at[s->count - 1];
	unsigned i = s->count - 1;

	while (i > 0 && s->at[i].at_us + back_us > last->at_us)
		i--;
	return &s->at[i];
}

static uint64_t span(const struct speed *s)
{
	return s->count ? s->at[s->count - 1].at_us - s->at[0].at_us : 0;
}

static uint64_t half(const struct speed *s)
{
	uint64_t us = span(s) / 2;

	return us > LEAST_US ? us : LEAST_US;
}

uint64_t speed_rate(const struct speed *s)
{
	if (span(s) < LEAST_US)
		return 0;
	return (uint64_t)rate_between(s, before(s, half(s)),
				      &s->at[s->count - 1]);
}

unsigned speed_error(const struct speed *s)
{
	const struct speed_point *last;
	double all, late, off;

	if (span(s) < 2 * (uint64_t)LEAST_US)
		return ERROR_MOST;
	last = &s->at[s->count - 1];
	all = rate_between(s, before(s, half(s)), last);
	late = rate_between(s, before(s, half(s) / 2), last);
	if (all <= 0)
		return ERROR_MOST;
	off = (late > all ? late - all : all - late) * 100 / all;
	if (off > ERROR_MOST - ERROR_LEAST)
		return ERROR_MOST;
	return ERROR_LEAST + (unsigned)off;
}
