/* SPDX-License-Identifier: MIT */
/*
 * The serial line COM1, output only. Nothing here waits for a reader for
 * longer than a few milliseconds: what cannot be written is dropped.
 */
#pragma once

void console_init(void);

/* Knows %s, %lu and %lx. */
__attribute__((format(printf, 1, 2))) void console_print(const char *format,
							 ...);
