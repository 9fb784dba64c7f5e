/* SPDX-License-Identifier: MIT */
#include "trust/renewal.h"

bool renewal_due(const struct renewal *r)
{
	return r->until_s - r->now_s <= RENEWAL_S;
}

bool renewal_warns(const struct renewal *r)
{
	return !r->authority_heard && r->until_s - r->now_s <= WARNING_S &&
	       (r->warned_s == 0 || r->now_s - r->warned_s >= WARNING_EACH_S ||
		r->now_s < r->warned_s);
}
