/* SPDX-License-Identifier: MIT */
/*
 * Interrupts and faults. The guest runs with interrupts off; the timer's is
 * let in only while the processor halts (clock.c). A fault is reported on the
 * serial line and ends the guest.
 */
#pragma once

void trap_init(void);
