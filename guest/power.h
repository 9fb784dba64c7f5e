/* SPDX-License-Identifier: MIT */
/*
 * The power button: ACPI's, at the place where the firmware of pc and q35 has
 * it.  A microvm has none there, and cannot be asked.
 */
#pragma once

void power_init(void);

/* Powers the machine off if the button was pressed since. */
void power_look(void);
