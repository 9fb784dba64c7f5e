/* SPDX-License-Identifier: MIT */
#include "trust/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hex_of(char *buf, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		snprintf(buf + 2 * i, 3, "%02x", bytes[i]);
}

bool hex_is(const char *text, size_t len)
{
	return strlen(text) == 2 * len &&
	       strspn(text, "0123456789abcdef") == 2 * len;
}

void hex_bytes(uint8_t *ret, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char digits[3] = { text[2 * i], text[2 * i + 1] };

		ret[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
}
