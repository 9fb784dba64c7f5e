/* SPDX-License-Identifier: MIT */
#include "power.h"

#include <stdbool.h>
#include <stdint.h>

#include "console.h"
#include "port.h"

/* SeaBIOS puts the block of ports there.  ACPI 6.5, 4.8.3.1 and 4.8.3.2. */
#define PM1A_STATUS 0x600
#define PM1A_ENABLE 0x602
#define PM1A_CONTROL 0x604
#define BUTTON (1u << 8)
/* QEMU's type of sleep for "off" is 0. */
#define SLEEP (1u << 13)

static bool has_button;

static void write_2(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static uint16_t read_2(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

/* Its interrupt is masked; QEMU notes only what is enabled.  Where there is
 * nothing, all bits are read as set. */
void power_init(void)
{
	write_2(PM1A_STATUS, BUTTON);
	write_2(PM1A_ENABLE, BUTTON);
	has_button = read_2(PM1A_ENABLE) == BUTTON;
}

void power_look(void)
{
	if (!has_button || !(read_2(PM1A_STATUS) & BUTTON))
		return;
	console_print("drover-stress: the power button, off\n");
	write_2(PM1A_CONTROL, SLEEP);
	has_button = false;
}
