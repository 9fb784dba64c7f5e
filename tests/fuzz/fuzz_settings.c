/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "host/settings_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct settings_view v;
	struct settings *s;
	struct error e;

	if (settings_parse(&s, "fuzz", (const char *)data, len, &e) < 0) {
		assert(e.code > 0);
		return 0;
	}
	if (settings_view_all(&v, s, s, &e) == 0)
		settings_view_done(&v);
	settings_drop(s);
	return 0;
}
