/* SPDX-License-Identifier: MIT */

/* A network namespace of a test's own, with cards that ip(8) makes. */
#pragma once

#include <stdbool.h>

struct inventory;
struct nic;

/* A new network in which these commands of ip(8) have been run.  Skips the
 * test, with the reason, where that cannot be had. */
void network_make(const char *const *lines);
#define MAKE(...) network_make((const char *const[]){ __VA_ARGS__, NULL })

/* As a part of the test: fails it. */
void network_change(const char *words);

/* Fail the test when there is none. */
struct inventory *network_read(void);
const struct nic *network_card(const struct inventory *inv, const char *name);
