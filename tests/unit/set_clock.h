/* SPDX-License-Identifier: MIT */

/*
 * A clock that a test sets.  A program that has set_clock.c among its sources
 * has it instead of base/clock.c, so the product knows nothing of it.
 *
 * It goes on as the host's does, and clock_pass() puts it forward.  Whoever
 * waits for a deadline is woken when it has passed on this clock: waits on
 * conditions and polls are made of short ones here.
 */
#pragma once

#include <stdint.h>

#include "base/clock.h"

/* So much time passes at once. */
void clock_pass(uint64_t us);

/* A moment in which other threads do what they have to do, and for them so
 * much time: for a loop that waits for what only time brings. */
void clock_hasten(uint64_t us);
