/* SPDX-License-Identifier: MIT */

/* What becomes of each path: for the plan, for reports, and for the next
 * session. */
#pragma once

struct error;
struct lane_view;
struct path_set;
struct paths_report;

/* A lane has ended: it counts for its path from now on, and is buried.  The
 * supervisor's. */
void account_lost(struct path_set *set, const struct lane_view *v);
/* How fast each path is, now and then.  The supervisor's. */
void account_measure(struct path_set *set);
/* What each path has delivered.  Nothing of the session runs any more. */
void account_remember(struct path_set *set);

/* See session_paths().  Any thread. */
int account_report(struct path_set *set, struct paths_report *ret,
		   struct error *e);
