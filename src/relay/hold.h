/* SPDX-License-Identifier: MIT */

/*
 * When the source's QEMU may switch over, where it asks (SWITCHOVER_ACK): not
 * while the first pass is still on its way, nor with more waiting here than the
 * switchover should last.
 */
#pragma once

struct divert;
struct outbox;

/* Waits until it may, or the session ends. */
void hold_switchover(const struct divert *d, struct outbox *o);
