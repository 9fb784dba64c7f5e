/* SPDX-License-Identifier: MIT */

/* The methods of the control API that drain this host: docs/api.md, "Drain". */
#pragma once

#include "base/shape.h"
#include "host/drain_record.h"

struct api_call;
struct error;
struct host;

extern const struct shape drain_body_shape;

int drain_show(struct host *h, const struct api_call *c, char **ret,
	       struct error *e);
int drain_host(struct host *h, const struct api_call *c, char **ret,
	       struct error *e);
int drain_plan(struct host *h, const struct api_call *c, char **ret,
	       struct error *e);
int drain_resume(struct host *h, const struct api_call *c, char **ret,
		 struct error *e);
int drain_cancel(struct host *h, const struct api_call *c, char **ret,
		 struct error *e);
int drain_return(struct host *h, const struct api_call *c, char **ret,
		 struct error *e);
int drain_capacity(struct host *h, const struct api_call *c, char **ret,
		   struct error *e);
