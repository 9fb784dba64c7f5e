/* SPDX-License-Identifier: MIT */

/*
 * One line per event on standard error, from any thread.  Under systemd the
 * lines carry the priority prefix of sd-daemon(3), on a terminal the time.
 *
 * What programs shall find again, such as who did what, is a record: where
 * standard error is the journal it goes there by its native protocol, with a
 * field for each part (systemd.journal-fields(7)), and elsewhere it is a line.
 */
#pragma once

#include <stddef.h>

#define LOG_FORMAT __attribute__((format(printf, 1, 2)))

void log_error(const char *fmt, ...) LOG_FORMAT;
void log_warning(const char *fmt, ...) LOG_FORMAT;
void log_info(const char *fmt, ...) LOG_FORMAT;
void log_debug(const char *fmt, ...) LOG_FORMAT;

/* What is written: this level and those before it.  LOG_INFO at first. */
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_LEVELS };

/* Holds for the next line of any thread. */
void log_set_level(enum log_level level);
enum log_level log_level(void);
const char *log_level_name(enum log_level level); /* "debug" */
/* LOG_LEVELS: no level is called so. */
enum log_level log_level_find(const char *name);

struct log_field {
	const char *name;  /* "DROVER_USER": capitals, digits and '_' */
	const char *value; /* any bytes; NULL: left out */
};

enum { LOG_RECORD_MAX = 8192 };

/* Of the level info. */
void log_record(const char *message, const struct log_field *fields, size_t n);

/* What goes to the journal; its length, 0 when it is longer than @cap. */
size_t log_datagram(char *buf, size_t cap, const char *message,
		    const struct log_field *fields, size_t n);
