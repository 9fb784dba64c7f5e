/* SPDX-License-Identifier: MIT */
#include "host/sample.h"

const double sample_limits[SAMPLE_BUCKETS - 1] = { 0.01, 0.03, 0.1, 0.3,
						   1,    3,    10 };

void histogram_add(struct sample_histogram *h, double seconds)
{
	int i = 0;

	while (i < SAMPLE_BUCKETS - 1 && seconds > sample_limits[i])
		i++;
	h->counts[i]++;
	h->sum += seconds;
}
