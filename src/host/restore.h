/* SPDX-License-Identifier: MIT */

/*
 * Machines as the last daemon left them: read from the store, their QEMUs found
 * again.  Called once, before any other thread runs.
 */
#pragma once

struct error;
struct host;

int restore_machines(struct host *h, struct error *e);
