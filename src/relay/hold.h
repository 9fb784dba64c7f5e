/* SPDX-License-Identifier: MIT */

/*
 * When the source's QEMU may switch over, where it asks (SWITCHOVER_ACK): not
 * while the first pass is still on its way, nor with more waiting here than the
 * switchover should last.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct divert;
struct outbox;

/* The first pass, as far as we see it; starts as zeros. */
struct hold {
	uint64_t pages, moved_us;
};

/* To be asked again and again from when QEMU asks. */
bool hold_is_over(struct hold *h, const struct divert *d, struct outbox *o);
