/* SPDX-License-Identifier: MIT */

/*
 * How machines are: what their QEMUs say.
 *
 * QEMU's monitor serves one client at a time, and moves, users and other
 * programs want it too.  So nobody here holds it to hear STOP and RESUME: who
 * looks at machines has their QEMUs asked, with a short limit, and those that
 * somebody holds are not asked.  One that does not answer is as it was last
 * known, and is left alone for a while.
 *
 * Any thread may call.
 */
#pragma once

struct registry;

/* Has the QEMUs of machines that nobody holds asked; @name: of that one. */
void status_ask(struct registry *r, const char *name);
