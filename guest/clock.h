/* SPDX-License-Identifier: MIT */
/*
 * Time is the processor's time stamp counter, in ticks; its rate is measured
 * against the interval timer at the start. QEMU carries the counter along in
 * a migration and stops it while the guest is stopped.
 */
#pragma once

#include <stdint.h>

void clock_init(void);

/* Ticks in a millisecond. */
uint64_t clock_ticks_per_ms(void);

static inline uint64_t clock_now(void)
{
	return __builtin_ia32_rdtsc();
}

/*
 * Halts the processor until about `until`; may return early (the timer counts
 * at most 54 ms), so callers look at the clock again.
 */
void clock_sleep(uint64_t until);
