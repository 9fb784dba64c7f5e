/* SPDX-License-Identifier: MIT */
#include "relay/pace.h"

#include "base/clock.h"

static const double gain = 1.25; /* over the average */

/* Bytes a second. */
static double allowed(const struct pace *p)
{
	return gain * p->rate > p->least ? gain * p->rate : p->least;
}

static double burst(const struct pace *p)
{
	double bytes = allowed(p) * PACE_BURST_US / USEC_PER_SEC;

	return bytes > PACE_BURST_LEAST ? bytes : PACE_BURST_LEAST;
}

static void pass_time(struct pace *p, uint64_t now_us)
{
	double us = (double)(now_us - p->last_us);

	if (p->last_us == 0 || now_us < p->last_us)
		us = 0;
	if (us > PACE_PAUSE_US)
		us = PACE_PAUSE_US;
	p->last_us = now_us;
	p->credit += allowed(p) * us / USEC_PER_SEC;
	if (p->credit > burst(p))
		p->credit = burst(p);
	if (p->over_us == 0)
		p->over_us = PACE_FIRST_US;
	p->rate -= p->rate * us / p->over_us;
	if (p->over_us < PACE_OVER_US)
		p->over_us += us;
}

void pace_took(struct pace *p, uint64_t bytes, uint64_t now_us)
{
	pass_time(p, now_us);
	p->rate += (double)bytes * USEC_PER_SEC / p->over_us;
	p->credit -= (double)bytes;
}

void pace_forgive(struct pace *p)
{
	if (p->credit < 0)
		p->credit = 0;
}

uint64_t pace_wait_us(struct pace *p, uint64_t now_us)
{
	double us;

	pass_time(p, now_us);
	if (p->credit >= 0 || allowed(p) <= 0)
		return 0;
	us = -p->credit / allowed(p) * USEC_PER_SEC;
	return us < PACE_PAUSE_US ? (uint64_t)us + 1 : PACE_PAUSE_US;
}
