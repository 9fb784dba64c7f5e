/* SPDX-License-Identifier: MIT */
#include "base/uuid.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"

static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

static bool fits(char in_form, char c)
{
	return in_form == 'x' ? isxdigit((unsigned char)c) : c == '-';
}

int uuid_parse(char *ret, const char *text, struct error *e)
{
	char lower[UUID_CAP] = "";
	size_t i;

	for (i = 0; form[i] && text[i] && fits(form[i], text[i]); i++)
		lower[i] = (char)tolower((unsigned char)text[i]);
	if (form[i] || text[i])
		return error_set(e, EINVAL,
				 "'%.60s' is not a uuid: write it as "
				 "123e4567-e89b-42d3-a456-426614174000",
				 text);
	memcpy(ret, lower, sizeof(lower));
	return 0;
}

void uuid_make(char *ret)
{
	uint8_t b[16];
	char *out = ret;

	while (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		;
	b[6] = (uint8_t)(0x40 | (b[6] & 0x0f)); /* version 4 */
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		out += sprintf(out, "%02x", b[i]);
	}
}

int uuid_is_nil(const char *uuid)
{
	return !uuid[strspn(uuid, "0-")];
}
