/* SPDX-License-Identifier: MIT */
#include "host/finished.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/host_settings.h"
#include "host/parts.h"
#include "move/job_view.h"

enum { FILE_MOST = 4 << 20, NAME_CAP = 64 };

static void folder_of(char buf[static PATH_MAX], const char *state_directory)
{
	snprintf(buf, PATH_MAX, "%s/history", state_directory);
}

static int note(const char *folder, struct job *j, struct error *e)
{
	AUTO_FREE char *text = NULL;
	struct job_view v;
	char name[NAME_CAP];

	if (job_view(j, &v, e) < 0)
		return error_code(e);
	text = shape_file_text(&job_view_shape, &v);
	shape_done(&job_view_shape, &v);
	if (!text)
		return error_set(e, ENOMEM, "no memory for its report");
	snprintf(name, sizeof(name), "%s.%s.json", j->id, role_names[j->role]);
	return file_save(folder, name, text, 0600, e);
}

void finished_note(const char *state_directory, struct job *j)
{
	char folder[PATH_MAX];
	struct error e;

	folder_of(folder, state_directory);
	if (note(folder, j, &e) < 0)
		log_warning("job %s is not in the history: %s", j->id, e.text);
	folder_prune(folder, FINISHED_MAX);
}

static int read_one(struct finished_job *ret, const char *folder,
		    const char *name, struct error *e)
{
	char path[PATH_MAX + NAME_MAX + 2];
	AUTO_FREE char *text = NULL;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	*ret = (struct finished_job){ .ended_us = 0 };
	if (ini_load(&text, &len, path, FILE_MOST, e) < 0)
		return error_code(e);
	return shape_parse(&finished_job_shape, ret, text, len, SHAPE_MESSAGE,
			   e);
}

static int by_end(const void *a, const void *b)
{
	const struct finished_job *x = a, *y = b;

	return (x->ended_us > y->ended_us) - (x->ended_us < y->ended_us);
}

int host_finished(struct host *h, struct finished_jobs *ret, struct error *e)
{
	AUTO_CLOSEDIR DIR *d = NULL;
	char folder[PATH_MAX];
	struct dirent *f;
	struct error why;

	folder_of(folder, h->settings->state_directory);
	/* One more than there may be, for one that comes meanwhile. */
	*ret = (struct finished_jobs){ .at = calloc(FINISHED_MAX + 1,
						    sizeof(*ret->at)) };
	if (!ret->at)
		return error_set(e, ENOMEM, "no memory for the history");
	d = opendir(folder);
	while (d && ret->count <= FINISHED_MAX && (f = readdir(d))) {
		if (f->d_name[0] == '.')
			continue;
		if (read_one(&ret->at[ret->count], folder, f->d_name, &why) < 0)
			log_warning("history: %s", why.text);
		else
			ret->count++;
	}
	qsort(ret->at, ret->count, sizeof(*ret->at), by_end);
	return 0;
}

int host_finished_show(struct host *h, const char *id, char **ret_text,
		       struct error *e)
{
	char folder[PATH_MAX], path[PATH_MAX + NAME_CAP];
	size_t len;
	int r = -ENOENT;

	folder_of(folder, h->settings->state_directory);
	for (int role = 0; r == -ENOENT && role < ROLES; role++) {
		snprintf(path, sizeof(path), "%s/%.32s.%s.json", folder, id,
			 role_names[role]);
		r = ini_load(ret_text, &len, path, FILE_MOST, e);
	}
	if (r == -ENOENT)
		return error_set(e, ENOENT,
				 "the history has no job %.32s: 'drover "
				 "history' lists them",
				 id);
	return r;
}
