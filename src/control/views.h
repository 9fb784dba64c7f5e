/* SPDX-License-Identifier: MIT */

/* How the results of the service stand in JSON, docs/api.md. */
#pragma once

#include "base/shape.h"

extern const struct shape comparison_shape; /* struct comparison */
extern const struct shape host_view_shape;  /* struct host_view */
extern const struct shape disk_views_shape;
extern const struct shape machine_view_shape;  /* struct machine_view */
extern const struct shape machine_views_shape; /* struct machine_views */
