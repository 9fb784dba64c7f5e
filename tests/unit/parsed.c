/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "parsed.h"

#include <string.h>

#include "base/error.h"

struct settings *parsed(const char *text)
{
	struct settings *s;
	struct error e;

	if (settings_parse(&s, "t", text, strlen(text), &e) < 0)
		fail_msg("%s", e.text);
	return s;
}
