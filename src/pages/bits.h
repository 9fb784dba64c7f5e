/* SPDX-License-Identifier: MIT */

/* A bit for each page of a block, set by many threads at once: each bit only
 * while nobody else works on its page. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { BITS_WORD = 64 };

static inline _Atomic uint64_t *bits_new(uint64_t count)
{
	return calloc(count / BITS_WORD + 1, sizeof(_Atomic uint64_t));
}

static inline bool bit_test(const _Atomic uint64_t *bits, uint64_t i)
{
	return atomic_load_explicit(&bits[i / BITS_WORD],
				    memory_order_acquire) >>
		       i % BITS_WORD &
	       1;
}

/* From @from on, up to @to. */
static inline void bits_set(_Atomic uint64_t *bits, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t n = BITS_WORD - from % BITS_WORD;
		uint64_t mask;

		if (n > to - from)
			n = to - from;
		mask = (n == BITS_WORD ? UINT64_MAX : (1ULL << n) - 1)
		       << from % BITS_WORD;
		atomic_fetch_or_explicit(&bits[from / BITS_WORD], mask,
					 memory_order_acq_rel);
		from += n;
	}
}
