/* SPDX-License-Identifier: MIT */

/*
 * Definitions that this host's administrator wrote: a machine that was defined
 * or adopted here, and of one that moved away the definition that it left with
 * (host/store.h).  They are the same when they start the same QEMU; only the
 * machine type may have become a full name on the way, as moves make it.
 *
 * Any thread may call.
 */
#pragma once

#include <stdbool.h>

struct definition;
struct host;

bool own_words(struct host *h, const struct definition *d);
