/* SPDX-License-Identifier: MIT */

/* The settings of this host in the control API. */
#pragma once

#include "base/shape.h"
#include "base/words.h"

struct api_call;
struct error;
struct host;

/* What POST /v1/host/settings takes. */
struct setting_body {
	char *setting;
	struct words values;
};

extern const struct shape setting_body_shape, setting_view_shape,
	settings_view_shape;

int settings_list(struct host *h, const struct api_call *c, char **ret,
		  struct error *e);
int settings_set(struct host *h, const struct api_call *c, char **ret,
		 struct error *e);
