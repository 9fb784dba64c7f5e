/* SPDX-License-Identifier: MIT */

/* What was: the figures of the last days.  docs/api.md, "History". */
#pragma once

#include "base/shape.h"

struct api_call;
struct error;
struct host;

extern const struct shape series_list_shape, series_shape;

int history_list(struct host *h, const struct api_call *c, char **ret,
		 struct error *e);
int history_show(struct host *h, const struct api_call *c, char **ret,
		 struct error *e);
