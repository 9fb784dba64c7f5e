/* SPDX-License-Identifier: MIT */

/* Settings in the shapes of docs/api.md. */
#pragma once

#include <jansson.h>

#include "host/host.h"
#include "host/settings_view.h"

struct error;

/* New references. */
json_t *settings_json(const struct settings_view *v);
json_t *setting_json(const struct setting_view *v);

/* The methods. */
int settings_list(struct host *h, json_t **ret, struct error *e);
/* @body: {"setting": ..., "values": [...]} */
int settings_set(struct host *h, const json_t *body, json_t **ret,
		 struct error *e);
