/* SPDX-License-Identifier: MIT */

/* Bytes as hex digits, two each, in lower case. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* @buf has room for 2 * @len + 1. */
void hex_of(char *buf, const uint8_t *bytes, size_t len);
/* Is @text just the digits of @len bytes? */
bool hex_is(const char *text, size_t len);
/* Of a text that is. */
void hex_bytes(uint8_t *ret, const char *text, size_t len);
