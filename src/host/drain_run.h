/* SPDX-License-Identifier: MIT */

/* The thread of a drain that drain_begin() has noted. */
#pragma once

struct error;
struct host;

/* Negative: the drain has ended, as one that remains. */
int drain_run(struct host *h, struct error *e);
