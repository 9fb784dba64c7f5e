/* SPDX-License-Identifier: MIT */

/* The thread that brings machines back that a drain has moved away. */
#pragma once

struct error;
struct host;

/* Of the record that drain_begin() has noted.  Negative: it has ended, and
 * nothing is back. */
int returns_run(struct host *h, struct error *e);
