/* SPDX-License-Identifier: MIT */

/* Sessions that another host opens, for accept.c.  Everybody else has
 * session.h. */
#pragma once

#include <stdint.h>

struct error;
struct lanes;
struct session;
struct session_options;
struct table_entry;

/* With a number and a secret of its own; nothing runs yet.  Of @o only names,
 * trust, cards and the outage limit count; trust where the peer has proved its
 * name by the certificate with this number, else NULL. */
int session_begin(struct session **ret, const struct session_options *o,
		  uint64_t serial, struct error *e);
/* Its supervisor.  When that fails, session_discard(). */
int session_start(struct session *s, struct error *e);
/* One that nothing runs of, and that is in no table. */
void session_discard(struct session *s);

/* Filled in but for the table; of the session. */
struct table_entry *session_entry(struct session *s);
