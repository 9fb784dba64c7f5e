/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "host/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct settings s;
	struct error e;

	if (settings_parse(&s, "fuzz", (const char *)data, len, &e) < 0) {
		assert(e.code > 0);
		return 0;
	}
	json_decref(settings_json(&s));
	settings_done(&s);
	return 0;
}
