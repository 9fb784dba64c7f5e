/* SPDX-License-Identifier: MIT */

/* What the sampler saw last, in the text format of Prometheus: docs/metrics.md.
 */
#pragma once

struct api_call;
struct error;
struct host;
struct sample;

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* On the heap; NULL without memory. */
char *metrics_text(const struct sample *s);

/* GET /metrics */
int metrics_show(struct host *h, const struct api_call *c, char **ret,
		 struct error *e);
