/* SPDX-License-Identifier: MIT */
#include "relay/hold.h"

#include "base/clock.h"
#include "frames/outbox.h"
#include "relay/divert.h"

enum { FIRST_PASS_IDLE_US = 1000000 };

/* How the first pass gets on, as far as we see it. */
struct first_pass {
	uint64_t pages, moved_us;
};

static bool first_pass_runs(const struct divert *d, struct first_pass *p)
{
	uint64_t pages = divert_pages(d);

	if (divert_first_pass_done(d))
		return false;
	if (pages != p->pages) {
		p->pages = pages;
		p->moved_us = clock_us();
	}
	return clock_us() - p->moved_us < FIRST_PASS_IDLE_US;
}

/* Not every page passes here: with multifd, or where the guest told QEMU of
 * free pages, the first pass is over when no more of them come.  What travels
 * on a long path does not count: it is never little there. */
void hold_switchover(const struct divert *d, struct outbox *o)
{
	struct first_pass p = { .moved_us = clock_us() };

	while (first_pass_runs(d, &p) || !outbox_is_small(o))
		if (outbox_wait_change(o) < 0)
			return;
}
