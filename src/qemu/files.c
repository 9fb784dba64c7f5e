/* SPDX-License-Identifier: MIT */
#include "qemu/files.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/definition.h"
#include "qemu/options.h"
#include "qemu/policy.h"

enum { NESTED_MAX = 64, CHAIN_MAX = 16 };

/* Where paths stand.  The tables of the policy are of what a peer may name,
 * this one is of what anybody does. */
static const struct named {
	const char *option;
	const char *first; /* key that may be left out */
	const char *keys;  /* last parts of them; NULL: the value is the path */
	bool write;        /* unless it says read-only */
	bool image;        /* may have others below it */
} named[] = {
	{ "drive", NULL, "file filename", true, true },
	{ "blockdev", "driver", "filename", true, true },
	{ "hda", NULL, NULL, true, true },
	{ "hdb", NULL, NULL, true, true },
	{ "hdc", NULL, NULL, true, true },
	{ "hdd", NULL, NULL, true, true },
	{ "fda", NULL, NULL, true, true },
	{ "fdb", NULL, NULL, true, true },
	{ "sd", NULL, NULL, true, true },
	{ "mtdblock", NULL, NULL, true, true },
	{ "pflash", NULL, NULL, true, true },
	{ "", NULL, NULL, true, true },
	{ "cdrom", NULL, NULL, false, true },
	{ "kernel", NULL, NULL, false, false },
	{ "initrd", NULL, NULL, false, false },
	{ "dtb", NULL, NULL, false, false },
	{ "shim", NULL, NULL, false, false },
	{ "bios", NULL, NULL, false, false },
	{ "option-rom", "romfile", "romfile", false, false },
	{ "device", "driver", "romfile file frudatafile sdrfile", false,
	  false },
	{ "machine", "type", "firmware kernel initrd dtb shim splash", false,
	  false },
	{ "boot", "order", "splash", false, false },
	{ "fw_cfg", "name", "file", false, false },
	{ "smbios", NULL, "file path", false, false },
	{ "acpitable", NULL, "file data", false, false },
	{ "object", "qom-type", "file mem-path", false, false },
};

struct search {
	struct named_files *files;
	struct words stated; /* by the definition itself */
	struct words headed; /* nodes of images that have headers */
	const struct definition *definition;
	const char *run_dir;
	const struct named *kind;
	bool write;
	bool raw; /* whatever its first bytes say, nothing is below it */
};

static int add_once(struct words *to, const char *path, struct error *e)
{
	return words_have(to, path) ? 0 : words_add(to, path, e);
}

/* One path, and the images below it, which are only read. */
static int add_chain(struct search *s, const char *path, struct error *e)
{
	struct words *to = s->write ? &s->files->writes : &s->files->reads;
	char at[PATH_MAX], next[PATH_MAX];

	snprintf(at, sizeof(at), "%s", path);
	for (int i = 0; i < CHAIN_MAX; i++) {
		if (add_once(to, at, e) < 0 ||
		    add_once(i == 0 ? &s->stated : &s->files->below, at, e) < 0)
			return error_code(e);
		if (!s->kind->image || s->raw ||
		    !policy_backing(at, next, sizeof(next)))
			break;
		memcpy(at, next, sizeof(at));
		to = &s->files->reads;
	}
	return 0;
}

static int add_path(struct search *s, const char *path, struct error *e)
{
	const char *directory = s->definition->directory;
	size_t own = strlen(s->run_dir);
	char whole[PATH_MAX];

	if (!strncmp(path, "file:", 5))
		path += 5;
	/* "nbd:...", or a name that QEMU looks for among its own data */
	if (!*path || path[strcspn(path, ":/")] == ':' ||
	    (!strchr(path, '/') && !s->kind->image))
		return 0;
	if (!strncmp(path, s->run_dir, own) && path[own] == '/')
		return 0;
	if (path[0] == '/')
		return add_chain(s, path, e);
	if (snprintf(whole, sizeof(whole), "%s/%s",
		     directory[1] ? directory : "", path) >= (int)sizeof(whole))
		return error_set(e, ENAMETOOLONG,
				 "%.100s: the path is too long", path);
	return add_chain(s, whole, e);
}

static bool is_named(const struct search *s, const char *key)
{
	const char *dot = strrchr(key, '.');

	return text_listed(s->kind->keys, dot ? dot + 1 : key);
}

/* What stands below an image is only read. */
static bool is_below(const char *key)
{
	return !strcmp(key, "backing") || !strncmp(key, "backing.", 8) ||
	       strstr(key, ".backing.");
}

struct object {
	const json_t *at;
	bool write;
};

/* Objects within it too: {"driver": "qcow2", "file": {"filename": ...}} */
static int add_properties(struct search *s, const json_t *properties,
			  struct error *e)
{
	struct object waiting[NESTED_MAX] = { { properties, s->write } };
	size_t n = 1;

	while (n > 0) {
		const struct object o = waiting[--n];
		const char *key;
		json_t *value;

		json_object_foreach ((json_t *)(uintptr_t)o.at, key, value) {
			const char *text = json_string_value(value);

			s->write = o.write && !is_below(key);
			if (json_is_object(value) && n < NESTED_MAX)
				waiting[n++] =
					(struct object){ value, s->write };
			else if (text && is_named(s, key) &&
				 strncmp(text, "json:", 5) != 0 &&
				 add_path(s, text, e) < 0)
				return error_code(e);
		}
	}
	return 0;
}

/* "file=json:{...}" */
static json_t *unfold(json_t *properties)
{
	const char *file =
		json_string_value(json_object_get(properties, "file"));

	if (file && !strncmp(file, "json:", 5))
		json_object_set_new(properties, "file",
				    json_loads(file + 5, 0, NULL));
	return properties;
}

/* A guest writes what it likes into the first bytes of such an image.  The
 * policy errs to the other side where it cannot tell: there what may be below
 * is looked at, here it is not given. */
static bool is_raw(const char *format)
{
	return format && text_listed("raw file host_device", format);
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* The node of a file may be the lower half of an image, whose upper one says
 * nothing of what is below: then QEMU goes by the header. */
static int note_headed(struct search *s, const struct option *option,
		       struct error *e)
{
	json_t *o;
	int r = 0;

	if (!option->value || strcmp(option->name, "blockdev") != 0)
		return 0;
	o = option_properties(option->value, "driver");
	if (text_of(o, "file") && !is_raw(text_of(o, "driver")) &&
	    !json_object_get(o, "backing"))
		r = words_add(&s->headed, text_of(o, "file"), e);
	json_decref(o);
	return r;
}

static bool is_headed(const struct search *s, const json_t *o)
{
	const char *node = text_of(o, "node-name");

	return node && words_have(&s->headed, node);
}

static int add_value(struct search *s, const char *value, struct error *e)
{
	json_t *o;
	int r;

	s->write = s->kind->write;
	s->raw = false;
	if (!s->kind->keys)
		return add_path(s, value, e);
	o = unfold(option_properties(value, s->kind->first));
	if (option_is_on(o, "readonly", false) ||
	    option_is_on(o, "read-only", false))
		s->write = false;
	s->raw = (is_raw(text_of(o, "format")) ||
		  is_raw(text_of(o, "driver"))) &&
		 !is_headed(s, o);
	r = add_properties(s, o, e);
	json_decref(o);
	return r;
}

static int add_option(struct search *s, const struct option *o, struct error *e)
{
	for (size_t i = 0; o->value && i < ARRAY_SIZE(named); i++) {
		s->kind = &named[i];
		if (!strcmp(o->name, s->kind->option))
			return add_value(s, o->value, e);
	}
	return 0;
}

static void leave_out_stated(struct search *s)
{
	struct words *below = &s->files->below;

	for (size_t i = below->count; i-- > 0;)
		if (words_have(&s->stated, below->at[i]))
			words_remove(below, i, 1);
	words_done(&s->stated);
}

static int add_all(struct search *s, const struct words *w, struct error *e)
{
	struct option o = { "machine", s->definition->machine, 0 };

	if (add_option(s, &o, e) < 0)
		return error_code(e);
	for (size_t at = 0; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		if (note_headed(s, &o, e) < 0)
			return error_code(e);
	}
	for (size_t at = 0; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		if (add_option(s, &o, e) < 0)
			return error_code(e);
	}
	return 0;
}

int files_named(struct named_files *ret, const struct definition *d,
		const char *run_dir, struct error *e)
{
	SCOPED(words_done) struct words w = { 0 };
	struct named_files files = { .writes = { 0 } };
	struct search s = { .files = &files,
			    .definition = d,
			    .run_dir = run_dir };
	int r;

	if (definition_words(&w, d, run_dir, e) < 0)
		return error_code(e);
	r = add_all(&s, &w, e);
	leave_out_stated(&s);
	words_done(&s.headed);
	if (r < 0)
		files_done(&files);
	else
		*ret = files;
	return r;
}

void files_done(struct named_files *f)
{
	words_done(&f->writes);
	words_done(&f->reads);
	words_done(&f->below);
}
