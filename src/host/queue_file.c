/* SPDX-License-Identifier: MIT */
#include "host/queue_file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/queue.h"

enum { FILE_MOST = 1 << 16, NAME_CAP = 64 };

#define AT(member) SHAPE_AT(struct queue_file, member)

static const struct shape_field fields[] = {
	{ "job", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE, AT(job) },
	{ "after", SHAPE_TEXT, SHAPE_OMIT, AT(after) },
	{ "machine", SHAPE_TEXT, SHAPE_NEEDED, AT(machine) },
	{ "uuid", SHAPE_TEXT, SHAPE_OMIT, AT(uuid) },
	{ "rank", SHAPE_NUMBER, 0, AT(priority), .most = QUEUE_PRIORITY_MOST },
	{ "asked", SHAPE_SECONDS, SHAPE_NEEDED, AT(asked_us) },
	{ "started", SHAPE_BOOL, 0, AT(started) },
	{ "undone", SHAPE_NUMBER, SHAPE_OMIT, AT(undone), .most = 1000 },
	MOVE_REQUEST_FIELDS(struct queue_file, request),
};

#undef AT

const struct shape queue_file_shape = SHAPE(struct queue_file, fields);

void queue_file_done(struct queue_file *f)
{
	shape_done(&queue_file_shape, f);
}

static void folder_of(char buf[static PATH_MAX], const char *state_directory)
{
	snprintf(buf, PATH_MAX, "%s/queue", state_directory);
}

static void name_of(char buf[static NAME_CAP], const char *job)
{
	snprintf(buf, NAME_CAP, "%.40s.json", job);
}

int queue_file_save(const char *state_directory, const struct queue_file *f,
		    struct error *e)
{
	AUTO_FREE char *text = shape_file_text(&queue_file_shape, f);
	char folder[PATH_MAX], name[NAME_CAP];

	if (!text)
		return error_set(e, ENOMEM, "no memory for the queue");
	folder_of(folder, state_directory);
	name_of(name, f->job);
	if (file_save(folder, name, text, 0600, e) < 0)
		return error_in(e, "queue");
	return 0;
}

int queue_file_remove(const char *state_directory, const char *job,
		      struct error *e)
{
	char folder[PATH_MAX], name[NAME_CAP], path[PATH_MAX + NAME_CAP];

	folder_of(folder, state_directory);
	name_of(name, job);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (unlink(path) < 0)
		return errno == ENOENT ? 0
				       : error_sys(e, "queue: remove %s", path);
	return folder_sync(folder, e);
}

/* Its file is named by it. */
static int read_one(struct queue_file *ret, const char *folder,
		    const char *name, struct error *e)
{
	char path[PATH_MAX + NAME_MAX + 2], wanted[NAME_CAP];
	AUTO_FREE char *text = NULL;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (ini_load(&text, &len, path, FILE_MOST, e) < 0 ||
	    shape_parse(&queue_file_shape, ret, text, len, SHAPE_MESSAGE, e) <
		    0)
		return error_in(e, "%s", path);
	name_of(wanted, ret->job);
	if (!strcmp(wanted, name))
		return 0;
	queue_file_done(ret);
	return error_set(e, EBADMSG, "%s is of job %s", path, ret->job);
}

int queue_file_each(const char *state_directory,
		    int (*one)(void *context, struct queue_file *f,
			       struct error *e),
		    void *context, struct error *e)
{
	char folder[PATH_MAX];
	AUTO_CLOSEDIR DIR *d = NULL;
	const struct dirent *entry;

	folder_of(folder, state_directory);
	d = opendir(folder);
	if (!d)
		return errno == ENOENT ? 0 : error_sys(e, "%s", folder);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
	while ((entry = readdir(d))) {
		struct queue_file f = { .priority = QUEUE_PRIORITY };

		if (entry->d_name[0] == '.')
			continue;
		if (read_one(&f, folder, entry->d_name, e) < 0)
			log_error("queue: %s: it is left there, and its move "
				  "does not wait any more",
				  e->text);
		else if (one(context, &f, e) < 0)
			return error_code(e);
	}
	return 0;
}
