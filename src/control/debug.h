/* SPDX-License-Identifier: MIT */

/* All that the service knows of itself, at once: docs/api.md, "Debug". */
#pragma once

#include "base/shape.h"

struct api_call;
struct error;
struct host;

extern const struct shape debug_shape;

int debug_all(struct host *h, const struct api_call *c, char **ret,
	      struct error *e);
