/* SPDX-License-Identifier: MIT */

/*
 * How deep this host's processors may sleep while a move runs, and what its
 * settings cost: docs/power.md.
 *
 * Each move holds the kernel's device with its own value, and the least counts;
 * closing it lets go, which the end of this process does as well.
 */
#pragma once

#include "base/ini.h"
#include "base/words.h"

struct error;

enum { POWER_OFF = -1, POWER_LATENCY_MOST = 1000000 };

struct power_settings {
	int cpu_latency_us; /* POWER_OFF: as the host has it */
	char *device;       /* where that is asked for */
};

extern const struct ini_section power_section;

/* What @s asks for, as a descriptor that holds it; -1 where that is nothing, or
 * cannot be had, which is logged: a move does without. */
int power_hold(const struct power_settings *s);

/* Sentences about what the settings of the processors in @folder cost a move,
 * which is /sys/devices/system/cpu of this host. */
int power_costs(struct words *to, const char *folder, struct error *e);
