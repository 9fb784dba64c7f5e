/* SPDX-License-Identifier: MIT */

/* The end of a drain with --stop-the-rest. */
#pragma once

struct drain_record;
struct host;

/* Asks the guests of those of @r that stay for want of a host to power off, all
 * at once, and waits until each has, or its time is up: then it stays, with
 * that as the reason.  For the drain's thread, whose copy @r is. */
void drain_stop_rest(struct host *h, struct drain_record *r);
