/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int most = LOG_INFO; /* enum log_level */

static const struct {
	const char *name;
	int priority; /* of syslog(3) */
} levels[LOG_LEVELS] = {
	[LOG_ERROR] = { "error", 3 },
	[LOG_WARNING] = { "warning", 4 },
	[LOG_INFO] = { "info", 6 },
	[LOG_DEBUG] = { "debug", 7 },
};

void log_set_level(enum log_level level)
{
	atomic_store(&most, level);
}

enum log_level log_level(void)
{
	return (enum log_level)atomic_load(&most);
}

const char *log_level_name(enum log_level level)
{
	return levels[level].name;
}

enum log_level log_level_find(const char *name)
{
	int i = 0;

	while (i < LOG_LEVELS && strcmp(levels[i].name, name) != 0)
		i++;
	return (enum log_level)i;
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
static __attribute__((format(printf, 2, 0))) void line(enum log_level level,
						       const char *fmt,
						       va_list ap)
{
	char buf[1024];
	int used, n;

	if ((int)level > atomic_load(&most))
		return;
	stamp(buf, 32, levels[level].priority);
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

#define LOG_AT(name, level) \
	void name(const char *fmt, ...) \
	{ \
		va_list ap; \
\
		va_start(ap, fmt); \
		line(level, fmt, ap); \
		va_end(ap); \
	}

LOG_AT(log_error, LOG_ERROR)
LOG_AT(log_warning, LOG_WARNING)
LOG_AT(log_info, LOG_INFO)
LOG_AT(log_debug, LOG_DEBUG)
