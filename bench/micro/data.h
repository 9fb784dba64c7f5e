/* SPDX-License-Identifier: MIT */

/* Pages as the stress guest has them with mixed data: runs of 32 that are
 * zero, text, text and random. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* @pages of them, the caller's to free; @travelling: without the zero ones,
 * which never leave as data. */
enum data_kind { DATA_MIXED, DATA_TRAVELLING };

uint8_t *data_new(enum data_kind kind, unsigned pages);

/* Of DATA_MIXED. */
bool data_is_zero(unsigned page);

/* As the guest dirties: a word of the body, and the page's head. */
void data_touch(uint8_t *data, unsigned pages, uint64_t generation);
