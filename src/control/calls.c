/* SPDX-License-Identifier: MIT */
#include "control/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ini.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"

/* So that journalctl MESSAGE_ID=... finds them all. */
#define CALL_MESSAGE "8c4f1c9f5be24c1c9a3b0f2d6c1e7a54"

struct calls {
	pthread_mutex_t lock; /* the files */
	char path[PATH_MAX], before[PATH_MAX];
};

#define AT(m) SHAPE_AT(struct call_record, m)

static const struct shape_field record_fields[] = {
	{ "time", SHAPE_SECONDS, SHAPE_NEEDED, AT(time_us) },
	{ "user", SHAPE_TEXT, SHAPE_NEEDED, AT(by.user) },
	{ "uid", SHAPE_NUMBER, SHAPE_NEEDED, AT(uid) },
	{ "login", SHAPE_TEXT, SHAPE_OMIT, AT(by.login) },
	{ "process", SHAPE_TEXT, SHAPE_OMIT, AT(by.process) },
	{ "pid", SHAPE_SIGNED, 0, AT(pid) },
	{ "action", SHAPE_TEXT, SHAPE_NEEDED, AT(action) },
	{ "name", SHAPE_TEXT, SHAPE_OMIT, AT(name) },
	{ "details", SHAPE_TEXT, SHAPE_OMIT, AT(details) },
	{ "status", SHAPE_NUMBER, SHAPE_NEEDED, AT(status) },
	{ "error", SHAPE_TEXT, SHAPE_OMIT, AT(error) },
};

static const struct shape record_shape =
	SHAPE(struct call_record, record_fields);

static const struct shape_field all_fields[] = {
	{ NULL, SHAPE_LIST, 0, SHAPE_AT(struct call_records, at),
	  SHAPE_COUNT(struct call_records, count), .of = &record_shape },
};

const struct shape call_records_shape = { sizeof(struct call_records),
					  all_fields, 1, SHAPE_BARE };

struct calls *calls_new(const char *folder)
{
	struct calls *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	snprintf(c->path, sizeof(c->path), "%s/calls.log", folder);
	snprintf(c->before, sizeof(c->before), "%s/calls.log.before", folder);
	return c;
}

void calls_free(struct calls *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void calls_add(struct call_record *r, const char *name, const char *text)
{
	size_t used = strlen(r->details);

	if (!text)
		return;
	used += (size_t)snprintf(r->details + used, sizeof(r->details) - used,
				 "%s%s=", used ? " " : "", name);
	if (used < sizeof(r->details))
		text_printable(r->details + used, sizeof(r->details) - used,
			       text, strlen(text));
}

/* --- the file */

/* What a disk took of a line before it was full is taken back: the next one
 * begins a line of its own. */
static int append(const char *path, const char *line, size_t len,
		  struct error *e)
{
	AUTO_CLOSE int fd =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(e, "%s", path);
	n = write(fd, line, len);
	if (n == (ssize_t)len)
		return 0;
	if (n < 0)
		return error_sys(e, "%s", path);
	if (ftruncate(fd, st.st_size) < 0)
		return error_sys(e, "%s", path);
	return error_set(e, ENOSPC, "%s: the disk is full", path);
}

static int write_line(struct calls *c, const char *line, struct error *e)
{
	const size_t len = strlen(line);
	struct stat st;

	WITH_LOCK(&c->lock);

	if (stat(c->path, &st) == 0 &&
	    st.st_size + (off_t)len > CALLS_FILE_MAX &&
	    rename(c->path, c->before) < 0)
		return error_sys(e, "%s", c->before);
	return append(c->path, line, len, e);
}

static void keep(struct calls *c, const struct call_record *r)
{
	AUTO_FREE char *text = shape_text(&record_shape, r);
	AUTO_FREE char *line = NULL;
	struct error e;

	if (!text || asprintf(&line, "%s\n", text) < 0) {
		line = NULL;
		log_warning("no memory to keep who did what");
	} else if (write_line(c, line, &e) < 0) {
		log_warning("who did what is in this log alone: %s", e.text);
	}
}

/* --- the log */

static void say(const struct call_record *r)
{
	char message[1024], uid[16], pid[16], status[16];
	const struct log_field fields[] = {
		{ "MESSAGE_ID", CALL_MESSAGE },
		{ "DROVER_ACTION", r->action },
		{ "DROVER_NAME", r->name[0] ? r->name : NULL },
		{ "DROVER_DETAILS", r->details[0] ? r->details : NULL },
		{ "DROVER_STATUS", status },
		{ "DROVER_ERROR", r->error[0] ? r->error : NULL },
		{ "DROVER_USER", r->by.user },
		{ "DROVER_UID", uid },
		{ "DROVER_LOGIN", r->by.login[0] ? r->by.login : NULL },
		{ "DROVER_PROCESS", r->by.process[0] ? r->by.process : NULL },
		/* The journal looks up more of this process itself. */
		{ "OBJECT_PID", r->pid > 0 ? pid : NULL },
	};

	snprintf(uid, sizeof(uid), "%u", r->uid);
	snprintf(pid, sizeof(pid), "%d", r->pid);
	snprintf(status, sizeof(status), "%u", r->status);
	snprintf(message, sizeof(message),
		 "%s (uid %u%s%s, process %d%s%s): %s%s%s%s%s: %s", r->by.user,
		 r->uid, r->by.login[0] ? ", logged in as " : "", r->by.login,
		 r->pid, r->by.process[0] ? " " : "", r->by.process, r->action,
		 r->name[0] ? " " : "", r->name, r->details[0] ? " " : "",
		 r->details, r->error[0] ? r->error : "done");
	log_record(message, fields, ARRAY_SIZE(fields));
}

void calls_note(struct calls *c, struct call_record *r, const struct caller *by)
{
	r->time_us = clock_wall_us();
	r->uid = by->uid;
	r->pid = (int)by->pid;
	say(r);
	if (c)
		keep(c, r);
}

/* --- reading */

/* Lines that are none, say of a power cut, are skipped. */
static void take_line(struct call_records *all, const char *line, size_t len)
{
	struct call_record r = { 0 };
	struct error ignored;

	if (len == 0 || shape_parse(&record_shape, &r, line, len, SHAPE_MESSAGE,
				    &ignored) < 0)
		return;
	all->at[all->count++] = r;
}

/* Where the last @most lines begin. */
static const char *last_lines(const char *text, size_t len, size_t most)
{
	const char *at = text + len;

	for (; at > text; at--)
		if (at[-1] == '\n' && at != text + len && most-- == 1)
			break;
	return at;
}

static int read_file(struct call_records *all, size_t most, const char *path,
		     struct error *e)
{
	AUTO_FREE char *text = NULL;
	const char *at, *end;
	size_t len;
	int r = ini_load(&text, &len, path, CALLS_FILE_MAX, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	at = last_lines(text, len, most);
	for (; *at; at = end + (*end == '\n')) {
		end = at + strcspn(at, "\n");
		take_line(all, at, (size_t)(end - at));
	}
	return 0;
}

int calls_read(struct calls *c, struct call_records *ret, size_t most,
	       struct error *e)
{
	/* So many of each file. */
	struct call_records all = { .at = calloc(2 * most, sizeof(*all.at)) };

	if (!all.at)
		return error_set(e, ENOMEM, "no memory for who did what");
	WITH_LOCK(&c->lock);

	if (read_file(&all, most, c->before, e) < 0 ||
	    read_file(&all, most, c->path, e) < 0) {
		free(all.at);
		return error_code(e);
	}
	if (all.count > most) {
		memmove(all.at, all.at + all.count - most,
			most * sizeof(*all.at));
		all.count = most;
	}
	*ret = all;
	return 0;
}

void call_records_done(struct call_records *r)
{
	free(r->at);
}
