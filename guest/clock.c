/* SPDX-License-Identifier: MIT */
/*
 * Measuring the counter's rate: a sample is the timer's count together with
 * the counter's value at the moment of the latch. The host may take the
 * processor away in between, so a sample is the narrowest of several. It may
 * also do so for longer than the timer's 55 ms between two samples; the timer
 * has then wrapped and the rate looks too high, so the lowest of several
 * measurements is the true one.
 */
#include "clock.h"

#include "port.h"

#define PIT_HZ 1193182
#define PIT_COUNTER 0x40
#define PIT_CONTROL 0x43
#define PIT_LATCH 0x00
#define PIT_ONE_SHOT 0x30
#define PIT_RATE_GENERATOR 0x34
#define PIT_MAX 65535
/* Below this, programming the timer takes longer than the sleep. */
#define PIT_MIN 12

#define MEASUREMENTS 3
#define MEASUREMENT_COUNTS (PIT_HZ / 125)
#define SAMPLE_TRIES 16

struct sample {
	uint64_t ticks;
	uint16_t count;
};

static uint64_t ticks_per_ms;

static struct sample sample_take(void)
{
	struct sample best = { 0 };
	uint64_t narrowest = UINT64_MAX;

	for (unsigned i = 0; i < SAMPLE_TRIES; i++) {
		uint64_t before = clock_now();

		port_write(PIT_CONTROL, PIT_LATCH);

		uint64_t width = clock_now() - before;
		unsigned low = port_read(PIT_COUNTER);
		unsigned high = port_read(PIT_COUNTER);

		if (width >= narrowest)
			continue;
		narrowest = width;
		best.ticks = before + width / 2;
		best.count = (uint16_t)(high << 8 | low);
	}
	return best;
}

static uint64_t rate_measure(void)
{
	struct sample start = sample_take();
	struct sample end;
	uint16_t counts;

	do {
		end = sample_take();
		counts = (uint16_t)(start.count - end.count);
	} while (counts < MEASUREMENT_COUNTS);
	return (end.ticks - start.ticks) * PIT_HZ / counts / 1000;
}

void clock_init(void)
{
	port_write(PIT_CONTROL, PIT_RATE_GENERATOR);
	port_write(PIT_COUNTER, 0);
	port_write(PIT_COUNTER, 0);

	ticks_per_ms = UINT64_MAX;
	for (unsigned i = 0; i < MEASUREMENTS; i++) {
		uint64_t rate = rate_measure();

		if (rate < ticks_per_ms)
			ticks_per_ms = rate;
	}
}

uint64_t clock_ticks_per_ms(void)
{
	return ticks_per_ms;
}

void clock_sleep(uint64_t until)
{
	uint64_t now = clock_now();
	uint64_t max = PIT_MAX * ticks_per_ms * 1000 / PIT_HZ;
	uint64_t counts;

	if (until <= now)
		return;
	counts = until - now >= max
			 ? PIT_MAX
			 : (until - now) * PIT_HZ / (ticks_per_ms * 1000);
	if (counts < PIT_MIN)
		return;
	port_write(PIT_CONTROL, PIT_ONE_SHOT);
	port_write(PIT_COUNTER, (uint8_t)counts);
	port_write(PIT_COUNTER, (uint8_t)(counts >> 8));
	/* The processor takes no interrupt between sti and hlt, so one that
	 * came before still ends the halt. */
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}
