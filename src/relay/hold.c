/* SPDX-License-Identifier: MIT */
#include "relay/hold.h"

#include "base/clock.h"
#include "frames/outbox.h"
#include "relay/divert.h"

enum { FIRST_PASS_IDLE_US = 1000000 };

static bool first_pass_runs(struct hold *h, const struct divert *d)
{
	uint64_t pages = divert_pages(d);

	if (divert_first_pass_done(d))
		return false;
	if (pages != h->pages || h->moved_us == 0) {
		h->pages = pages;
		h->moved_us = clock_us();
	}
	return clock_us() - h->moved_us < FIRST_PASS_IDLE_US;
}

/* Not every page passes here: with multifd, or where the guest told QEMU of
 * free pages, the first pass is over when no more of them come.  What travels
 * on a long path does not count: it is never little there. */
bool hold_is_over(struct hold *h, const struct divert *d, struct outbox *o)
{
	return !first_pass_runs(h, d) && outbox_is_small(o);
}
