/* SPDX-License-Identifier: MIT */
#include "session/yield.h"

/* Two spinning threads in two groups get half each. */
static const double share_least = 0.6;

static void approach(double *average, double value)
{
	*average += *average > 0 ? (value - *average) / 4 : value;
}

void yield_worked(struct yield *y, uint64_t got_us, uint64_t wall_us)
{
	/* One more, so that no time is nothing. */
	double got = (double)got_us + 1, share = got / ((double)wall_us + 1);

	approach(&y->share, share < 1 ? share : 1);
	approach(&y->got_us, got);
}

bool yield_gets_little(const struct yield *y)
{
	return yield_share(y, 0) < share_least;
}

void yield_rest(struct yield *y, bool wanted, uint64_t now_us)
{
	if (wanted) {
		y->rest_us *= 2;
		if (y->rest_us < YIELD_REST_LEAST_US)
			y->rest_us = YIELD_REST_LEAST_US;
		if (y->rest_us > YIELD_REST_MOST_US)
			y->rest_us = YIELD_REST_MOST_US;
	} else {
		y->rest_us /= 4;
		if (y->rest_us < YIELD_REST_LEAST_US)
			y->rest_us = 0;
	}
	y->until_us = now_us + y->rest_us;
}

bool yield_rests(const struct yield *y, uint64_t now_us)
{
	return now_us < y->until_us;
}

double yield_share(const struct yield *y, uint64_t busy_us)
{
	if (y->got_us <= 0)
		return 1;
	if ((double)busy_us * y->share > y->got_us)
		return y->got_us / (double)busy_us;
	return y->share;
}
