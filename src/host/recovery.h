/* SPDX-License-Identifier: MIT */

/*
 * Moves that the last daemon left in the journal are finished or undone, each
 * by a job in a thread of its own, as if it had never stopped.  Called once,
 * after the machines were restored and before peers may ask.
 */
#pragma once

struct error;
struct host;

int recovery_start(struct host *h, struct error *e);
