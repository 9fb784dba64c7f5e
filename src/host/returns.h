/* SPDX-License-Identifier: MIT */

/* The thread that brings machines back that a drain has moved away. */
#pragma once

#include <stdint.h>

struct drain_machine;
struct error;
struct host;
struct message_returns_answer;

/* Of the record that drain_begin() has noted.  Negative: it has ended, and
 * nothing is back. */
int returns_run(struct host *h, struct error *e);

/* What becomes of @m by an answer about it to @own, this host, where for
 * @silent_us no machine has come or begun to: it comes, waits to be asked for
 * again, or does not come (FATE_MOVED), which its why says.  Whatever a host
 * answers, it ends. */
void returns_heard(struct drain_machine *m, const char *own,
		   const struct message_returns_answer *a, uint64_t silent_us);
