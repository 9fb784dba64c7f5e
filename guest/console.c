/* SPDX-License-Identifier: MIT */
/*
 * A 16550 by polling. When the transmitter does not become ready in time, the
 * line counts as stalled: until it is ready again, each print costs one look
 * at the status register. A line cut off by a stall is ended before the next
 * one, so that a reader sees whole lines and at worst one stump.
 */
#include "console.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "port.h"

#define COM1 0x3f8
#define COM1_DATA (COM1 + 0)
#define COM1_INTERRUPTS (COM1 + 1)
#define COM1_FIFO (COM1 + 2)
#define COM1_LINE (COM1 + 3)
#define COM1_MODEM (COM1 + 4)
#define COM1_STATUS (COM1 + 5)
#define LINE_DIVISOR 0x80
#define LINE_8N1 0x03
#define FIFO_ON_AND_CLEARED 0x07
#define MODEM_DTR_RTS 0x03
#define STATUS_CAN_SEND 0x20

/* Each look is an exit to QEMU of about a microsecond. */
#define LOOKS_BEFORE_STALL 5000

static bool stalled;

void console_init(void)
{
	port_write(COM1_INTERRUPTS, 0);
	port_write(COM1_LINE, LINE_DIVISOR | LINE_8N1);
	port_write(COM1_DATA, 1);
	port_write(COM1_INTERRUPTS, 0);
	port_write(COM1_LINE, LINE_8N1);
	port_write(COM1_FIFO, FIFO_ON_AND_CLEARED);
	port_write(COM1_MODEM, MODEM_DTR_RTS);
}

static bool can_send(void)
{
	return port_read(COM1_STATUS) & STATUS_CAN_SEND;
}

static void put(char c)
{
	if (stalled)
		return;
	for (unsigned looks = 0; !can_send(); looks++)
		if (looks == LOOKS_BEFORE_STALL) {
			stalled = true;
			return;
		}
	port_write(COM1_DATA, (uint8_t)c);
}

static void put_text(const char *text)
{
	while (*text)
		put(*text++);
}

static void put_number(uint64_t value, unsigned base)
{
	char digits[21];
	char *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	put_text(at);
}

/* Puts the conversion at `at` (behind its %), returns its last character. */
static const char *put_conversion(const char *at, va_list *args)
{
	if (*at == 's') {
		put_text(va_arg(*args, const char *));
		return at;
	}
	at++;
	put_number(va_arg(*args, uint64_t), *at == 'x' ? 16 : 10);
	return at;
}

void console_print(const char *format, ...)
{
	va_list args;

	if (stalled) {
		if (!can_send())
			return;
		stalled = false;
		put('\n');
	}
	va_start(args, format);
	for (; *format; format++) {
		if (*format == '%')
			format = put_conversion(format + 1, &args);
		else
			put(*format);
	}
	va_end(args);
}
