/* SPDX-License-Identifier: MIT */

/*
 * Asking a guest to power off, which is the guest's to do.  The machine is not
 * held while the guest takes its time: 'vm stop --now' may cut the power
 * meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct machine_view;

enum { SHUTDOWN_DEFAULT_US = 90000000 };

enum shutdown_turn {
	SHUTDOWN_WAITS,
	SHUTDOWN_OFF,    /* its QEMU has ended */
	SHUTDOWN_HALTED, /* the guest has powered off, and its QEMU waits */
	SHUTDOWN_LOST,   /* its QEMU died */
	SHUTDOWN_SILENT, /* time is up, and the guest runs */
};

/* What became of a guest that was asked, which is @v now. */
enum shutdown_turn shutdown_turn(const struct machine_view *v, uint64_t now_us,
				 uint64_t deadline_us);
