/* SPDX-License-Identifier: MIT */

/* Pages that are one word again and again: nine bytes say all of them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether the page's WIRE_PAGE bytes are one repeated word; @ret_word is that
 * word as it stands in memory.  Any alignment; any thread. */
bool page_is_filled(const void *page, uint64_t *ret_word);
