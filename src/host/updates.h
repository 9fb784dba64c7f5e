/* SPDX-License-Identifier: MIT */

/*
 * Updates of QEMUs under their guests: machine_update() of host/host.h, and
 * which machines wait for one.  Every update has a thread of its own; its job
 * holds the machine until it has ended.
 */
#pragma once

struct machine_view;

/* Notes whether its QEMU is older than the one that is installed. */
void updates_judge(struct machine_view *v);
