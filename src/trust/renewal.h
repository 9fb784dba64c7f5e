/* SPDX-License-Identifier: MIT */

/* When a host renews its certificate, and when it complains: pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	RENEWAL_S = 30 * 86400, /* before its end it is renewed */
	WARNING_S = 60 * 86400, /* from then on the CA's host has to answer */
	WARNING_EACH_S = 86400,
};

struct renewal {
	int64_t until_s; /* the certificate's end */
	int64_t now_s;
	int64_t warned_s;     /* last; 0: never */
	bool authority_heard; /* just now */
};

bool renewal_due(const struct renewal *r);
/* The CA's host does not answer, and the end is near. */
bool renewal_warns(const struct renewal *r);
