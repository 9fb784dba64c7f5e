/* SPDX-License-Identifier: MIT */
#include "frames/flow.h"

#include "base/clock.h"

void flow_init(struct flow_control *f, uint64_t now_us)
{
	*f = (struct flow_control){ .rtt_us = UINT64_MAX,
				    .sample_start_us = now_us };
}

static void sample_end(struct flow_control *f, uint64_t now_us)
{
	uint64_t took = now_us - f->sample_start_us;
	uint64_t rate = (f->sample_bytes + f->before_bytes) * USEC_PER_SEC /
			(took + f->before_us);

	if (rate > f->rate)
		f->rate = rate;
	else if (f->sample_full &&
		 !f->sample_idle) /* an average over about 8 samples, 0.4 s */
		f->rate -= (f->rate - rate) / 8;
	/* A long one had pauses in it. */
	f->before_us = took < 2ULL * FLOW_SAMPLE_US ? took : 0;
	f->before_bytes = f->before_us ? f->sample_bytes : 0;
	f->sample_start_us = now_us;
	f->sample_bytes = 0;
	f->sample_full = f->sample_idle = false;
}

void flow_acked(struct flow_control *f, uint64_t bytes, uint64_t rtt_us,
		uint64_t now_us)
{
	if (rtt_us < f->rtt_us)
		f->rtt_us = rtt_us;
	f->sample_bytes += bytes;
	if (now_us - f->sample_start_us >= FLOW_SAMPLE_US)
		sample_end(f, now_us);
}

void flow_waited(struct flow_control *f)
{
	f->sample_full = true;
}

void flow_idled(struct flow_control *f)
{
	f->sample_idle = true;
}

/* What was measured so far was another link. */
void flow_slowed(struct flow_control *f, uint64_t rate, uint64_t now_us)
{
	f->rate = rate;
	f->sample_start_us = now_us;
	f->sample_bytes = f->before_us = f->before_bytes = 0;
	f->sample_full = f->sample_idle = false;
}

static uint64_t bytes_in(uint64_t rate, uint64_t us, uint64_t most)
{
	uint64_t bytes;

	if (__builtin_mul_overflow(rate, us, &bytes) ||
	    bytes / USEC_PER_SEC > most)
		return most;
	return bytes / USEC_PER_SEC;
}

static uint64_t round_trip_us(const struct flow_control *f)
{
	return f->rtt_us != UINT64_MAX ? f->rtt_us : 0;
}

uint64_t flow_travels(const struct flow_control *f)
{
	return bytes_in(f->rate, round_trip_us(f), FLOW_MOST);
}

static uint64_t longer(uint64_t us, uint64_t or_us)
{
	return us > or_us ? us : or_us;
}

/* Bytes that may wait besides those. */
static uint64_t queue_most(const struct flow_control *f)
{
	uint64_t travels = flow_travels(f);

	if (!f->bulk)
		return FLOW_QUEUE_MOST;
	return travels < FLOW_BULK_MOST / 2 ? FLOW_BULK_MOST - travels
					    : travels;
}

/* What a round trip delivers, and this much more. */
static uint64_t bound(const struct flow_control *f, uint64_t queue_us)
{
	uint64_t bytes =
		flow_travels(f) + bytes_in(f->rate, queue_us, queue_most(f));

	if (bytes < FLOW_LEAST)
		return FLOW_LEAST;
	return bytes > FLOW_MOST ? FLOW_MOST : bytes;
}

uint64_t flow_limit(const struct flow_control *f)
{
	uint64_t rtt_us = round_trip_us(f);

	if (f->bulk)
		return bound(f, longer(FLOW_QUEUE_BULK_US, rtt_us));
	return bound(f, longer(FLOW_QUEUE_US, rtt_us / 4));
}

uint64_t flow_lean(const struct flow_control *f)
{
	return bound(f, f->bulk ? FLOW_LEAN_BULK_US : FLOW_LEAN_US);
}
