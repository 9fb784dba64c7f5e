/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <endian.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/scope.h"

#define JOURNAL "/run/systemd/journal/socket"

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
static __attribute__((format(printf, 2, 0))) void put_line(enum log_level level,
							   const char *fmt,
							   va_list ap)
{
	char buf[1024];
	int used, n;

	stamp(buf, 32, levels[level].priority);
	for (used = 0; buf[used]; used++)
		;
	n = vsnprintf(buf + used, sizeof(buf) - (size_t)used - 1, fmt, ap);
	if (n < 0)
		return;
	n += used;
	if (n > (int)sizeof(buf) - 2)
		n = (int)sizeof(buf) - 2;
	/* One record is one line, whatever others wrote into it. */
	for (; used < n; used++)
		if ((unsigned char)buf[used] < ' ' || buf[used] == 0x7f)
			buf[used] = '?';
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
		if ((int)(level) > atomic_load(&most)) \
			return; \
		va_start(ap, fmt); \
		put_line(level, fmt, ap); \
		va_end(ap); \
	}

LOG_AT(log_error, LOG_ERROR)
LOG_AT(log_warning, LOG_WARNING)
LOG_AT(log_info, LOG_INFO)
LOG_AT(log_debug, LOG_DEBUG)

/* --- records */

/* Whether what we write to standard error comes to the journal: systemd says
 * which file that is, since it may be another one meanwhile. */
static bool is_journal(void)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes it */
	const char *said = getenv("JOURNAL_STREAM");
	char ours[48];
	struct stat st;

	if (!said || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	return !strcmp(said, ours);
}

struct datagram {
	char *at;
	size_t cap, len;
};

static void add_bytes(struct datagram *d, const void *from, size_t n)
{
	if (n <= d->cap - d->len)
		memcpy(d->at + d->len, from, n);
	else
		d->cap = d->len = 0; /* and so is all that follows */
	d->len += d->cap ? n : 0;
}

/* Each as "NAME", its length and its bytes, so that a line feed in one cannot
 * begin another. */
static void add_field(struct datagram *d, const char *name, const char *value)
{
	const uint64_t len = htole64(strlen(value));

	add_bytes(d, name, strlen(name));
	add_bytes(d, "\n", 1);
	add_bytes(d, &len, sizeof(len));
	add_bytes(d, value, strlen(value));
	add_bytes(d, "\n", 1);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the struct writes there */
size_t log_datagram(char *buf, size_t cap, const char *message,
		    const struct log_field *fields, size_t n)
{
	struct datagram d = { .at = buf, .cap = cap };

	add_field(&d, "MESSAGE", message);
	add_field(&d, "PRIORITY", "6");
	add_field(&d, "SYSLOG_IDENTIFIER", "droverd");
	for (size_t i = 0; i < n; i++)
		if (fields[i].value)
			add_field(&d, fields[i].name, fields[i].value);
	return d.len;
}

static bool to_journal(const char *buf, size_t len)
{
	static const struct sockaddr_un to = { .sun_family = AF_UNIX,
					       .sun_path = JOURNAL };
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 &&
	       sendto(fd, buf, len, MSG_NOSIGNAL, (const struct sockaddr *)&to,
		      sizeof(to)) == (ssize_t)len;
}

void log_record(const char *message, const struct log_field *fields, size_t n)
{
	char buf[LOG_RECORD_MAX];
	size_t len = 0;

	if (log_level() < LOG_INFO)
		return;
	if (is_journal())
		len = log_datagram(buf, sizeof(buf), message, fields, n);
	if (len == 0 || !to_journal(buf, len))
		log_info("%s", message);
}
