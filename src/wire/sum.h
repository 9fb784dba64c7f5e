/* SPDX-License-Identifier: MIT */

/*
 * XXH3-64, by the widest instructions that the processor has where the library
 * can choose at run time (twice as fast with AVX2; every page is summed on
 * both hosts).  Only files that compute sums include this.
 */
#pragma once

#define XXH_STATIC_LINKING_ONLY /* the state on the stack */
#include <xxhash.h>

#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* redirects XXH3_64bits() and others */
#endif
