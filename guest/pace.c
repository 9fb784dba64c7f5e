/* SPDX-License-Identifier: MIT */
#include "pace.h"

#include "clock.h"
#include "memory.h"

#define MAX_LAG_MS 250

void pace_init(struct pace *p, uint64_t bytes_per_s, unsigned slice_ms)
{
	uint64_t ticks_per_s = clock_ticks_per_ms() * 1000;

	p->slice = clock_ticks_per_ms() * slice_ms;
	p->max_lag = clock_ticks_per_ms() * MAX_LAG_MS;
	p->next = UINT64_MAX;
	p->step = 0;
	if (bytes_per_s == 0)
		return;
	p->step = ticks_per_s * PAGE_BYTES / bytes_per_s;
	p->next = clock_now() + p->step;
}

bool pace_take(struct pace *p, uint64_t now)
{
	if (p->next > now)
		return false;
	if (now - p->next > p->max_lag)
		p->next = now - p->max_lag;
	p->next += p->step;
	return true;
}

uint64_t pace_wake(const struct pace *p, uint64_t now)
{
	if (p->next > now && p->next < now + p->slice)
		return now + p->slice;
	return p->next;
}
