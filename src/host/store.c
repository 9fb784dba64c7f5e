/* SPDX-License-Identifier: MIT */
#include "host/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/shape.h"

enum { NOTES_MAX = 4096 };

/* --- the shapes of the files */

#define AT(m) SHAPE_AT(struct machine_file, m)

static const struct shape_field machine_fields[] = {
	{ "started", SHAPE_BOOL, 0, AT(started) },
	{ "paused", SHAPE_BOOL, 0, AT(paused) },
	{ "adopted", SHAPE_BOOL, 0, AT(adopted) },
	{ "pid", SHAPE_SIGNED, 0, AT(pid) },
	{ "start_time", SHAPE_NUMBER, 0, AT(start_time) },
	{ "qmp", SHAPE_TEXT, 0, AT(qmp) },
	{ "arrived", SHAPE_TEXT, 0, AT(arrived) },
	{ "from", SHAPE_TEXT, 0, AT(from) },
	{ "lost", SHAPE_TEXT, 0, AT(lost) },
	{ "own", SHAPE_BOOL, 0, AT(own) },
	{ "before", SHAPE_TEXT, 0, AT(before) },
};
static const struct shape machine_shape =
	SHAPE(struct machine_file, machine_fields);

#undef AT

struct note {
	char machine[STORE_NAME_CAP], peer[STORE_NAME_CAP];
	char from[STORE_NAME_CAP]; /* empty: not known, or from none */
	char *own; /* NULL: no definition of this host's administrator */
};

static const struct shape_field note_fields[] = {
	{ "machine", SHAPE_TEXT, 0, SHAPE_AT(struct note, machine) },
	{ "peer", SHAPE_TEXT, 0, SHAPE_AT(struct note, peer) },
	{ "from", SHAPE_TEXT, SHAPE_OMIT, SHAPE_AT(struct note, from) },
	{ "own", SHAPE_STRING, SHAPE_OMIT, SHAPE_AT(struct note, own) },
};
static const struct shape note_shape = SHAPE(struct note, note_fields);

static void note_done(struct note *n)
{
	shape_done(&note_shape, n);
}

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;

	if (f && getdelim(&text, &cap, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

/* What is not there, or nobody can read, is as if nothing stood in it. */
static void read_file(const struct shape *s, void *object, const char *path)
{
	AUTO_FREE char *text = read_text(path);
	struct error e;

	if (text &&
	    shape_parse(s, object, text, strlen(text), SHAPE_MESSAGE, &e) < 0)
		log_warning("%s: %s", path, e.text);
}

/* --- machines */

static void folder_of(char buf[static PATH_MAX], const char *state_directory)
{
	snprintf(buf, PATH_MAX, "%s/machines", state_directory);
}

int store_save(const char *state_directory, const char *name,
	       const char *definition, const struct machine_file *f,
	       struct error *e)
{
	AUTO_FREE char *text = shape_file_text(&machine_shape, f);
	char folder[PATH_MAX], file[STORE_NAME_CAP + 16];

	if (!text)
		return error_set(e, ENOMEM, "no memory");
	folder_of(folder, state_directory);
	snprintf(file, sizeof(file), "%s.json", name);
	if (file_save(folder, file, text, 0600, e) < 0)
		return error_in(e, "machine %s", name);
	fault_point("store:half-saved");
	snprintf(file, sizeof(file), "%s.machine", name);
	if (file_save(folder, file, definition, 0600, e) < 0)
		return error_in(e, "machine %s", name);
	return 0;
}

int store_erase(const char *state_directory, const char *name, struct error *e)
{
	char folder[PATH_MAX], path[PATH_MAX + 80];

	folder_of(folder, state_directory);
	snprintf(path, sizeof(path), "%s/%s.machine", folder, name);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove %s", path);
	fault_point("store:half-removed");
	snprintf(path, sizeof(path), "%s/%s.json", folder, name);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove %s", path);
	if (folder_sync(folder, e) < 0 && e->code != ENOENT)
		return error_in(e, "machine %s", name);
	return 0;
}

/* "web" of "web.machine"; false for other files. */
static bool name_of(char name[static STORE_NAME_CAP], const char *file)
{
	static const char suffix[] = ".machine";
	size_t len = strlen(file);

	if (len <= strlen(suffix) || len >= STORE_NAME_CAP || file[0] == '.' ||
	    strcmp(file + len - strlen(suffix), suffix) != 0)
		return false;
	snprintf(name, STORE_NAME_CAP, "%.*s", (int)(len - strlen(suffix)),
		 file);
	return true;
}

int store_each(const char *state_directory,
	       int (*one)(void *context, const char *name, char *definition,
			  const struct machine_file *f, struct error *e),
	       void *context, struct error *e)
{
	char folder[PATH_MAX], name[STORE_NAME_CAP], path[PATH_MAX + 80];
	AUTO_CLOSEDIR DIR *d = NULL;
	struct dirent *entry;

	folder_of(folder, state_directory);
	d = opendir(folder);
	while (d && (entry = readdir(d))) {
		struct machine_file f = { 0 };
		char *definition;

		if (!name_of(name, entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s.machine", folder, name);
		definition = read_text(path);
		if (!definition)
			return error_set(e, EIO, "cannot read %s", path);
		snprintf(path, sizeof(path), "%s/%s.json", folder, name);
		read_file(&machine_shape, &f, path);
		if (one(context, name, definition, &f, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* --- machines that are elsewhere */

static void note_path(char *buf, size_t cap, const char *state_directory,
		      const char *uuid)
{
	snprintf(buf, cap, "%s/elsewhere/%s.json", state_directory, uuid);
}

static void note_read(struct note *ret, const char *state_directory,
		      const char *uuid)
{
	char path[PATH_MAX + 80];

	note_path(path, sizeof(path), state_directory, uuid);
	if (uuid[0])
		read_file(&note_shape, ret, path);
}

void store_note_elsewhere(const char *state_directory,
			  const struct elsewhere_note *of)
{
	SCOPED(note_done) struct note n = { 0 };
	char folder[PATH_MAX], file[UUID_CAP + 8];
	AUTO_FREE char *text = NULL;
	struct error e;

	if (of->own)
		n.own = strdup(of->own);
	else
		note_read(&n, state_directory, of->uuid);
	snprintf(n.machine, sizeof(n.machine), "%s", of->name);
	snprintf(n.peer, sizeof(n.peer), "%s", of->peer);
	if (of->from)
		snprintf(n.from, sizeof(n.from), "%s", of->from);
	text = shape_file_text(&note_shape, &n);
	if (!text || !of->uuid[0])
		return;
	snprintf(folder, sizeof(folder), "%s/elsewhere", state_directory);
	snprintf(file, sizeof(file), "%s.json", of->uuid);
	if (file_save(folder, file, text, 0600, &e) < 0)
		log_error("machine %s: that it is on host %s cannot be noted: "
			  "%s",
			  of->name, of->peer, e.text);
	folder_prune(folder, NOTES_MAX);
}

void store_forget_elsewhere(const char *state_directory, const char *uuid)
{
	char path[PATH_MAX + 80];

	note_path(path, sizeof(path), state_directory, uuid);
	if (uuid[0] && unlink(path) < 0 && errno != ENOENT)
		log_error("remove %s: %s", path, strerrordesc_np(errno));
}

bool store_last_seen(const char *state_directory, const char *uuid,
		     char ret_peer[static STORE_NAME_CAP])
{
	SCOPED(note_done) struct note n = { 0 };

	note_read(&n, state_directory, uuid);
	snprintf(ret_peer, STORE_NAME_CAP, "%s", n.peer);
	return n.peer[0];
}

bool store_came_from(const char *state_directory, const char *uuid,
		     const char *peer)
{
	SCOPED(note_done) struct note n = { 0 };

	note_read(&n, state_directory, uuid);
	return n.from[0] && !strcmp(n.from, peer);
}

char *store_own_definition(const char *state_directory, const char *uuid)
{
	SCOPED(note_done) struct note n = { 0 };

	note_read(&n, state_directory, uuid);
	return take_ptr(&n.own);
}
