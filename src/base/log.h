/* SPDX-License-Identifier: MIT */

/*
 * One line per event on standard error, from any thread.  Under systemd the
 * lines carry the priority prefix of sd-daemon(3), on a terminal the time.
 */
#pragma once

#define LOG_FORMAT __attribute__((format(printf, 1, 2)))

void log_error(const char *fmt, ...) LOG_FORMAT;
void log_warning(const char *fmt, ...) LOG_FORMAT;
void log_info(const char *fmt, ...) LOG_FORMAT;
void log_debug(const char *fmt, ...) LOG_FORMAT; /* only after log_verbose() */

void log_verbose(void);
