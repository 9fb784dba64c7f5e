/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool verbose; /* set before the threads start */

void log_verbose(void)
{
	verbose = true;
}

static void stamp(char *buf, size_t cap, int priority)
{
	struct timespec now;
	struct tm tm;
	size_t used;

	if (getenv("JOURNAL_STREAM")) {
		snprintf(buf, cap, "<%d>", priority);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	used = strftime(buf, cap, "%H:%M:%S", &tm);
	snprintf(buf + used, cap - used, ".%03ld ", now.tv_nsec / 1000000);
}

/* A line is one write(): lines of several threads never mix. */
static __attribute__((format(printf, 2, 0))) void line(int priority,
						       const char *fmt,
						       va_list ap)
{
	char buf[1024];
	int used, n;

	stamp(buf, 32, priority);
	for (used = 0; buf[used]; used++)
		;
	n = vsnprintf(buf + used, sizeof(buf) - (size_t)used - 1, fmt, ap);
	if (n < 0)
		return;
	used += n;
	if (used > (int)sizeof(buf) - 2)
		used = (int)sizeof(buf) - 2;
	buf[used++] = '\n';
	/* Nobody is left to tell when standard error is gone. */
	if (write(STDERR_FILENO, buf, (size_t)used) < 0)
		return;
}

#define LOG_AT(name, priority) \
	void name(const char *fmt, ...) \
	{ \
		va_list ap; \
\
		va_start(ap, fmt); \
		line(priority, fmt, ap); \
		va_end(ap); \
	}

LOG_AT(log_error, 3)
LOG_AT(log_warning, 4)
LOG_AT(log_info, 6)

void log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!verbose)
		return;
	va_start(ap, fmt);
	line(7, fmt, ap);
	va_end(ap);
}
