/* SPDX-License-Identifier: MIT */
#include "host/belongings.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/registry.h"
#include "qemu/definition.h"
#include "qemu/files.h"

struct uses {
	struct file_use *at;
	size_t count;
};

static void uses_done(struct uses *u)
{
	free(u->at);
}

bool belongings_clash(const struct file_use *one, const struct file_use *other)
{
	return one->dev == other->dev && one->ino == other->ino &&
	       (one->write || other->write);
}

/* One that is not there is nobody's. */
static int add_uses(struct uses *to, const struct words *w, bool write,
		    struct error *e)
{
	struct file_use *more = reallocarray(to->at, to->count + w->count + 1,
					     sizeof(to->at[0]));
	struct stat st;

	if (!more)
		return error_set(e, ENOMEM, "no memory for a list of files");
	to->at = more;
	for (size_t i = 0; i < w->count; i++)
		if (stat(w->at[i], &st) == 0)
			to->at[to->count++] =
				(struct file_use){ st.st_dev, st.st_ino,
						   write };
	return 0;
}

static int find_uses(struct uses *to, const struct definition *d,
		     const char *run_dir, struct error *e)
{
	SCOPED(files_done) struct named_files files = { .writes = { 0 } };

	if (files_named(&files, d, run_dir, e) < 0 ||
	    add_uses(to, &files.writes, true, e) < 0)
		return error_code(e);
	return add_uses(to, &files.reads, false, e);
}

static bool is_anothers(const struct uses *of, const char *path, bool write)
{
	struct file_use one = { .write = write };
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	one.dev = st.st_dev;
	one.ino = st.st_ino;
	for (size_t i = 0; i < of->count; i++)
		if (belongings_clash(&one, &of->at[i]))
			return true;
	return false;
}

struct asked {
	const struct definition *definition;
	const struct named_files *named;
	bool own;
};

static const char *find_clash(const struct uses *others, const struct asked *of)
{
	const struct named_files *named = of->named;

	for (size_t i = 0; i < named->below.count; i++)
		if (is_anothers(others, named->below.at[i], false))
			return named->below.at[i];
	if (of->own)
		return NULL;
	for (size_t i = 0; i < named->writes.count; i++)
		if (is_anothers(others, named->writes.at[i], true))
			return named->writes.at[i];
	for (size_t i = 0; i < named->reads.count; i++)
		if (is_anothers(others, named->reads.at[i], false))
			return named->reads.at[i];
	return NULL;
}

static int check_against(const struct registry_text *other,
			 const struct asked *of, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	SCOPED(uses_done) struct uses theirs = { 0 };
	struct error ignored;
	const char *path;

	/* One that cannot be read cannot be started either. */
	if (definition_parse(&d, other->name, other->text, &ignored) < 0)
		return 0;
	if (find_uses(&theirs, &d, other->run_dir, e) < 0)
		return error_code(e);
	path = find_clash(&theirs, of);
	if (!path)
		return 0;
	return error_set(e, EPERM,
			 "%s is an image of machine %s here, and one of them "
			 "writes to it: give machine %s images of its own, or "
			 "forget machine %s on this host",
			 path, other->name, of->definition->name, other->name);
}

int belongings_check(struct registry *r, const struct definition *d,
		     const char *run_dir, bool own, struct error *e)
{
	SCOPED(files_done) struct named_files named = { .writes = { 0 } };
	const struct asked of = { d, &named, own };
	int code = files_named(&named, d, run_dir, e);

	for (unsigned i = 0; code == 0; i++) {
		SCOPED(registry_text_done) struct registry_text other;

		if (!registry_text(r, i, &other))
			return 0;
		if (other.text && strcmp(other.name, d->name) != 0)
			code = check_against(&other, &of, e);
	}
	return code;
}
