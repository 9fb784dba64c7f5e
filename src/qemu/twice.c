/* SPDX-License-Identifier: MIT */
#include "qemu/twice.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/words.h"
#include "qemu/definition.h"
#include "qemu/options.h"

struct look {
	const char *run_dir;
	const char *option;
	struct error *error;
};

static bool is_own(const struct look *l, const char *path)
{
	size_t n = strlen(l->run_dir);

	return !strncmp(path, l->run_dir, n) &&
	       (path[n] == '/' || path[n] == '\0');
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* QEMU removes the name that is there, and at its end its own: of two, the
 * second one's. */
static int check_socket(const struct look *l, const char *path)
{
	if (!path || is_own(l, path))
		return 0;
	return error_set(l->error, EPERM,
			 "-%s has QEMU listen at %.100s: the old QEMU would "
			 "lose that socket to the new one, and remove the new "
			 "one's when it ends.  Put it into ${dir}, or stop and "
			 "start the machine for the new QEMU",
			 l->option, path);
}

static int check_file(const struct look *l, const char *path)
{
	if (!path || is_own(l, path) || !strncmp(path, "/dev/", 5))
		return 0;
	return error_set(l->error, EPERM,
			 "-%s has QEMU write to %.100s: the new QEMU would "
			 "begin that anew while the old one still writes to "
			 "it.  Put it into ${dir}, write a chardev with "
			 "append=on, or stop and start the machine for the new "
			 "QEMU",
			 l->option, path);
}

/* QEMU makes a file without a name in a folder. */
static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The stream has what pages were some time ago, and the new QEMU writes that
 * over what the guest has there by now. */
static int check_object(const struct look *l, const json_t *o)
{
	const char *type = text_of(o, "qom-type"), *id = text_of(o, "id");
	const char *path = text_of(o, "mem-path");

	if (!type || strcmp(type, "memory-backend-file") != 0 || !path ||
	    !option_is_on(o, "share", false) ||
	    option_is_on(o, "readonly", false) || is_own(l, path) ||
	    is_folder(path))
		return 0;
	return error_set(l->error, EPERM,
			 "its memory %.60s is the file %.100s (share=on), "
			 "which both QEMUs would write to, and the guest would "
			 "lose what it wrote: stop and start the machine for "
			 "the new QEMU.  Memory of memory-kind = file, or of "
			 "memory-backend-memfd, can be updated",
			 id ? id : "", path);
}

static int check_chardev(const struct look *l, const json_t *o)
{
	const char *kind = text_of(o, "backend"), *path = text_of(o, "path");

	if (!option_is_on(o, "logappend", false) &&
	    check_file(l, text_of(o, "logfile")) < 0)
		return error_code(l->error);
	if (!kind)
		return 0;
	if (!strcmp(kind, "socket") && option_is_on(o, "server", false) &&
	    !option_is_on(o, "abstract", false))
		return check_socket(l, path);
	if ((!strcmp(kind, "file") && !option_is_on(o, "append", false)) ||
	    !strcmp(kind, "pipe"))
		return check_file(l, path);
	return 0;
}

/* "unix:/run/x,server=on", "file:/x", "mon:..." */
static int check_line(const struct look *l, const json_t *o)
{
	const char *what = text_of(o, "what");

	if (what && !strncmp(what, "mon:", 4))
		what += 4;
	if (!what)
		return 0;
	if (!strncmp(what, "unix:", 5) && option_is_on(o, "server", false))
		return check_socket(l, what + 5);
	if (!strncmp(what, "file:", 5) || !strncmp(what, "pipe:", 5))
		return check_file(l, what + 5);
	return 0;
}

static int check_vnc(const struct look *l, const json_t *o)
{
	const char *what = text_of(o, "what");

	return what && !strncmp(what, "unix:", 5) ? check_socket(l, what + 5)
						  : 0;
}

static int check_spice(const struct look *l, const json_t *o)
{
	return option_is_on(o, "unix", false)
		       ? check_socket(l, text_of(o, "addr"))
		       : 0;
}

/* As "addr.path=/x", and as {"addr": {"path": "/x"}}. */
static int check_netdev(const struct look *l, const json_t *o)
{
	const char *path = text_of(o, "local.path");

	if (!path)
		path = text_of(json_object_get(o, "local"), "path");
	if (!path && option_is_on(o, "server", false))
		path = text_of(o, "addr.path");
	if (!path && option_is_on(o, "server", false))
		path = text_of(json_object_get(o, "addr"), "path");
	return check_socket(l, path);
}

static const struct {
	const char *option;
	const char *first; /* the key that may be left out */
	int (*check)(const struct look *l, const json_t *properties);
} checks[] = {
	{ "object", "qom-type", check_object },
	{ "chardev", "backend", check_chardev },
	{ "serial", "what", check_line },
	{ "parallel", "what", check_line },
	{ "monitor", "what", check_line },
	{ "qmp", "what", check_line },
	{ "qmp-pretty", "what", check_line },
	{ "debugcon", "what", check_line },
	{ "gdb", "what", check_line },
	{ "vnc", "what", check_vnc },
	{ "spice", NULL, check_spice },
	{ "netdev", "type", check_netdev },
};

static int check_option(const struct look *l, const char *value)
{
	for (size_t i = 0; value && i < ARRAY_SIZE(checks); i++) {
		json_t *o;
		int r;

		if (strcmp(l->option, checks[i].option) != 0)
			continue;
		o = option_properties(value, checks[i].first);
		r = checks[i].check(l, o);
		json_decref(o);
		return r;
	}
	return 0;
}

int twice_check(const struct definition *d, const char *run_dir,
		struct error *e)
{
	SCOPED(words_done) struct words w = { 0 };
	struct option o;

	if (definition_words(&w, d, run_dir, e) < 0)
		return error_code(e);
	for (size_t at = 0; at < w.count; at += o.words) {
		struct look l = { .run_dir = run_dir, .error = e };

		o = option_at(w.at, w.count, at);
		l.option = o.name;
		if (check_option(&l, o.value) < 0)
			return error_code(e);
	}
	return 0;
}
