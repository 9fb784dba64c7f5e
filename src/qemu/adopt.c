/* SPDX-License-Identifier: MIT */
#include "qemu/adopt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/options.h"
#include "qemu/process.h"

enum { DEFAULT_RAM = 128 << 20, MIB = 1 << 20 };

struct adoption {
	pid_t pid;
	struct words words;
	struct definition definition;
	char *backend;    /* id of the main memory backend, or NULL */
	char *qmp_path;   /* the first one found, or NULL */
	json_t *monitors; /* names of chardevs that -mon uses: true for QMP */
};

static void adoption_done(struct adoption *a)
{
	words_done(&a->words);
	definition_done(&a->definition);
	free(a->backend);
	free(a->qmp_path);
	json_decref(a->monitors);
}

static int set(char **field, const char *value, struct error *e)
{
	char *fresh = strdup(value);

	if (!fresh)
		return error_set(e, ENOMEM, "no memory for a definition");
	free(*field);
	*field = fresh;
	return 0;
}

/* Add @more to a list that is separated by @separator. */
static int append(char **list, char separator, const char *more,
		  struct error *e)
{
	char *joined;

	if (!*list)
		return set(list, more, e);
	if (asprintf(&joined, "%s%c%s", *list, separator, more) < 0)
		return error_set(e, ENOMEM, "no memory for a definition");
	free(*list);
	*list = joined;
	return 0;
}

/* The properties that are not in @taken, as "key=value,...", to the end of
 * @list. */
static int append_others(char **list, json_t *properties,
			 const char *const *taken, struct error *e)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)properties, key, value) {
		AUTO_FREE char *escaped = NULL, *pair = NULL;
		const char *text;
		char buf[32];
		size_t i = 0;

		while (taken[i] && strcmp(key, taken[i]) != 0)
			i++;
		text = option_text(properties, key, buf, sizeof(buf));
		if (taken[i] || !text)
			continue;
		escaped = option_escape(text);
		if (!escaped || asprintf(&pair, "%s=%s", key, escaped) < 0)
			return error_set(e, ENOMEM,
					 "no memory for a definition");
		if (append(list, ',', pair, e) < 0)
			return error_code(e);
	}
	return 0;
}

static const char *text_of(const json_t *properties, const char *key)
{
	return json_string_value(json_object_get(properties, key));
}

/* One more word of the arguments; "${" of theirs is not ours. */
static int keep(struct adoption *a, const char *word, struct error *e)
{
	AUTO_FREE char *escaped = malloc(strlen(word) * 3 / 2 + 2);
	char *out = escaped;

	if (!escaped)
		return error_set(e, ENOMEM, "no memory for a definition");
	for (; *word; word++) {
		if (word[0] == '$' && word[1] == '{')
			*out++ = '$';
		*out++ = *word;
	}
	*out = '\0';
	return words_add(&a->definition.arguments, escaped, e);
}

static int keep_option(struct adoption *a, const struct option *o,
		       struct error *e)
{
	AUTO_FREE char *dashed = NULL;

	if (*o->name) {
		if (asprintf(&dashed, "-%s", o->name) < 0)
			return error_set(e, ENOMEM,
					 "no memory for a definition");
		if (keep(a, dashed, e) < 0)
			return error_code(e);
	}
	return o->value ? keep(a, o->value, e) : 0;
}

static int take_name(struct adoption *a, json_t *p, struct error *e)
{
	const char *name = text_of(p, "guest");
	struct error ignored;

	if (!name)
		name = text_of(p, "name");
	if (!name)
		return 0;
	if (set(&a->definition.name, name, e) < 0)
		return error_code(e);
	if (text_check_name("machine", name, &ignored) == 0)
		return 0;
	/* QEMU takes any name; ours is also the name of a folder. */
	for (char *c = a->definition.name; *c; c++)
		if (!isalnum((unsigned char)*c) &&
		    (!strchr("-_.", *c) || c == a->definition.name))
			*c = 'x';
	return text_check_name("machine", a->definition.name, e);
}

static int take_memory(struct adoption *a, json_t *p, struct error *e)
{
	static const char *const taken[] = { "size", NULL };
	char buf[32];
	const char *size = option_text(p, "size", buf, sizeof(buf));
	uint64_t bytes = size ? option_bytes(size, MIB) : DEFAULT_RAM;

	if (bytes == 0 || bytes > INT64_MAX)
		return error_set(e, EINVAL, "-m %s: not a size", size);
	a->definition.memory_bytes = (bytes + 8191) / 8192 * 8192;
	return append_others(&a->definition.memory_options, p, taken, e);
}

/* "-smp sockets=2,cores=4" has as many as they make together. */
static unsigned long product(const json_t *p)
{
	static const char *const levels[] = { "drawers", "books",   "sockets",
					      "dies",    "modules", "clusters",
					      "cores",   "threads" };
	unsigned long n = 1;

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		char buf[32];
		const char *text = option_text(p, levels[i], buf, sizeof(buf));
		unsigned long factor = text ? strtoul(text, NULL, 10) : 1;

		if (factor > 0 && factor < 4096 && n < 4096)
			n *= factor;
	}
	return n;
}

static int take_vcpus(struct adoption *a, json_t *p, struct error *e)
{
	static const char *const taken[] = { "cpus", NULL };
	char buf[32];
	const char *cpus = option_text(p, "cpus", buf, sizeof(buf));
	unsigned long n = cpus ? strtoul(cpus, NULL, 10) : product(p);

	if (n == 0 || n > 4096)
		return error_set(e, EINVAL, "-smp: %lu virtual processors", n);
	a->definition.vcpus = (unsigned)n;
	return append_others(&a->definition.vcpus_options, p, taken, e);
}

static int take_machine(struct adoption *a, json_t *p, struct error *e)
{
	static const char *const taken[] = { "type", "accel", "memory-backend",
					     NULL };
	const char *type = text_of(p, "type"), *accel = text_of(p, "accel");
	const char *backend = text_of(p, "memory-backend");
	struct definition *d = &a->definition;

	/* The type comes first, also when an earlier -machine had none. */
	if (type && set(&d->machine, type, e) < 0)
		return error_code(e);
	if (!d->machine && set(&d->machine, "pc", e) < 0)
		return error_code(e);
	if (accel && append(&d->accelerator, ':', accel, e) < 0)
		return error_code(e);
	if (backend && set(&a->backend, backend, e) < 0)
		return error_code(e);
	return append_others(&d->machine, p, taken, e);
}

/* The size of the pages behind a path of the process; 0 for normal ones. */
static uint64_t huge_page_size(const struct adoption *a, const char *path)
{
	char seen[PATH_MAX];
	struct statfs fs;

	snprintf(seen, sizeof(seen), "/proc/%d/%s/%s", (int)a->pid,
		 path[0] == '/' ? "root" : "cwd", path);
	if (statfs(seen, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC)
		return 0;
	return (uint64_t)fs.f_bsize;
}

static int take_backend(struct adoption *a, json_t *p, struct error *e)
{
	const char *path = text_of(p, "mem-path");
	const char *type = text_of(p, "qom-type");
	bool memfd = type && !strcmp(type, "memory-backend-memfd");
	char buf[32];
	const char *size = option_text(p, "hugetlbsize", buf, sizeof(buf));

	if (option_is_on(p, "hugetlb", false))
		a->definition.huge_page_bytes =
			size ? option_bytes(size, 1) : (uint64_t)2 * MIB;
	else if (path)
		a->definition.huge_page_bytes = huge_page_size(a, path);
	a->definition.shared_memory = option_is_on(p, "share", memfd);
	return set(&a->definition.memory_id, a->backend, e);
}

static int take_mem_path(struct adoption *a, json_t *p, struct error *e)
{
	(void)e;
	if (text_of(p, "path"))
		a->definition.huge_page_bytes =
			huge_page_size(a, text_of(p, "path"));
	return 0;
}

static int leave_out(struct adoption *a, json_t *p, struct error *e)
{
	(void)a;
	(void)p;
	(void)e;
	return 0;
}

/* The options that do not become arguments; @first is the property that may
 * stand there without its key. */
static const struct rule {
	const char *option, *first;
	int (*take)(struct adoption *a, json_t *p, struct error *e);
} rules[] = {
	{ "name", "guest", take_name },
	{ "m", "size", take_memory },
	{ "smp", "cpus", take_vcpus },
	{ "mem-path", "path", take_mem_path },
	/* Looked at before the others. */
	{ "machine", NULL, leave_out },
	{ "M", NULL, leave_out },
	{ "mon", NULL, leave_out },
	{ "qmp", NULL, leave_out },
	{ "qmp-pretty", NULL, leave_out },
	{ "monitor", NULL, leave_out },
	/* These tie QEMU to whoever started it. */
	{ "daemonize", NULL, leave_out },
	{ "incoming", NULL, leave_out },
	{ "mem-prealloc", NULL, leave_out },
	{ "pidfile", NULL, leave_out },
	{ "preconfig", NULL, leave_out },
	{ "S", NULL, leave_out },
};

static int take_object(struct adoption *a, const struct option *o,
		       struct error *e)
{
	json_t *p = option_properties(o->value, "qom-type");
	const char *id = text_of(p, "id");
	int r;

	if (a->backend && id && !strcmp(id, a->backend))
		r = take_backend(a, p, e);
	else
		r = keep_option(a, o, e);
	json_decref(p);
	return r;
}

static int take_chardev(struct adoption *a, const struct option *o,
			struct error *e)
{
	json_t *p = option_properties(o->value, "backend");
	const char *id = text_of(p, "id");
	bool monitor = id && json_object_get(a->monitors, id);

	json_decref(p);
	return monitor ? 0 : keep_option(a, o, e);
}

static int take_option(struct adoption *a, const struct option *o,
		       struct error *e)
{
	if (!strcmp(o->name, "enable-kvm"))
		return append(&a->definition.accelerator, ':', "kvm", e);
	if (o->value && !strcmp(o->name, "accel"))
		return append(&a->definition.accelerator, ':', o->value, e);
	if (o->value && !strcmp(o->name, "cpu"))
		return set(&a->definition.cpu, o->value, e);
	if (o->value && !strcmp(o->name, "object"))
		return take_object(a, o, e);
	if (o->value && !strcmp(o->name, "chardev"))
		return take_chardev(a, o, e);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		json_t *p;
		int r;

		if (strcmp(o->name, rules[i].option) != 0)
			continue;
		p = option_properties(o->value ? o->value : "", rules[i].first);
		r = rules[i].take(a, p, e);
		json_decref(p);
		return r;
	}
	return keep_option(a, o, e);
}

/* A socket that a QMP monitor listens on: the value of -qmp, or a chardev. */
static int take_socket(struct adoption *a, const char *path, struct error *e)
{
	AUTO_FREE char *cwd = NULL;
	char whole[PATH_MAX + ADOPT_PATH_MAX];

	if (!path || a->qmp_path)
		return 0;
	if (path[0] == '/')
		return set(&a->qmp_path, path, e);
	if (process_link(&cwd, a->pid, "cwd", e) < 0)
		return error_code(e);
	snprintf(whole, sizeof(whole), "%s/%s", cwd, path);
	return set(&a->qmp_path, whole, e);
}

static int look_at_qmp(struct adoption *a, const char *value, struct error *e)
{
	json_t *p;
	int r = 0;

	if (!strncmp(value, "chardev:", 8)) {
		json_object_set_new(a->monitors, value + 8, json_true());
		return 0;
	}
	if (strncmp(value, "unix:", 5) != 0)
		return 0;
	p = option_properties(value + 5, "path");
	if (option_is_on(p, "server", false))
		r = take_socket(a, text_of(p, "path"), e);
	json_decref(p);
	return r;
}

static void look_at_mon(struct adoption *a, const char *value)
{
	json_t *p = option_properties(value, "chardev");
	const char *id = text_of(p, "chardev"), *mode = text_of(p, "mode");
	bool qmp = mode && !strcmp(mode, "control");

	if (id)
		json_object_set_new(a->monitors, id, json_boolean(qmp));
	json_decref(p);
}

static int look_at_chardev(struct adoption *a, const char *value,
			   struct error *e)
{
	json_t *p = option_properties(value, "backend");
	const char *id = text_of(p, "id"), *path = text_of(p, "path");
	int r = 0;

	/* In the JSON form: {"backend": {"data": {"addr": ...}}} */
	if (!path)
		json_unpack(p, "{s:{s:{s:{s:{s:s}}}}}", "backend", "data",
			    "addr", "data", "path", &path);
	if (id && json_is_true(json_object_get(a->monitors, id)))
		r = take_socket(a, path, e);
	json_decref(p);
	return r;
}

static int look_at_machine(struct adoption *a, const char *value,
			   struct error *e)
{
	json_t *p = option_properties(value, "type");
	int r = take_machine(a, p, e);

	json_decref(p);
	return r;
}

/* -mon and -machine may come after what they refer to. */
static int look_ahead(struct adoption *a, struct error *e)
{
	const struct words *w = &a->words;
	struct option o;
	int r = 0;

	for (size_t at = 1; r == 0 && at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		if (!o.value)
			continue;
		if (!strcmp(o.name, "qmp") || !strcmp(o.name, "qmp-pretty"))
			r = look_at_qmp(a, o.value, e);
		else if (!strcmp(o.name, "mon"))
			look_at_mon(a, o.value);
		else if (!strcmp(o.name, "machine") || !strcmp(o.name, "M"))
			r = look_at_machine(a, o.value, e);
	}
	for (size_t at = 1; r == 0 && at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		if (o.value && !strcmp(o.name, "chardev"))
			r = look_at_chardev(a, o.value, e);
	}
	return r;
}

/* What QEMU does where its command line says nothing. */
static int fill_in(struct adoption *a, struct error *e)
{
	struct definition *d = &a->definition;
	char *deleted;

	if (d->memory_bytes == 0)
		d->memory_bytes = DEFAULT_RAM;
	if ((!d->machine && set(&d->machine, "pc", e) < 0) ||
	    (!d->accelerator && set(&d->accelerator, "tcg", e) < 0) ||
	    process_link(&d->qemu, a->pid, "exe", e) < 0 ||
	    process_link(&d->directory, a->pid, "cwd", e) < 0)
		return error_code(e);
	/* Upgraded under the running guest. */
	deleted = strstr(d->qemu, " (deleted)");
	if (deleted)
		*deleted = '\0';
	if (!d->name) {
		char name[32];

		snprintf(name, sizeof(name), "vm%d", (int)a->pid);
		if (set(&d->name, name, e) < 0)
			return error_code(e);
	}
	return definition_check(d, e);
}

static int read_command(struct adoption *a, struct error *e)
{
	struct option o;

	for (size_t at = 1; at < a->words.count; at++) {
		const char *word = a->words.at[at];
		size_t len = strlen(word);

		if (strpbrk(word, "\r\n") || text_utf8_len(word, len) < len)
			return error_set(e, EINVAL,
					 "its argument %zu has %s, which a "
					 "definition cannot hold",
					 at,
					 strpbrk(word, "\r\n")
						 ? "a line break"
						 : "a byte that is not UTF-8");
	}
	if (look_ahead(a, e) < 0)
		return error_code(e);
	if (!a->qmp_path)
		return error_set(e, ENXIO,
				 "it has no QMP monitor on a unix socket: "
				 "start it with -qmp unix:PATH,server=on,"
				 "wait=off");
	if (strlen(a->qmp_path) >= ADOPT_PATH_MAX)
		return error_set(e, ENAMETOOLONG,
				 "the path of its monitor is too long");
	for (size_t at = 1; at < a->words.count; at += o.words) {
		o = option_at(a->words.at, a->words.count, at);
		if (take_option(a, &o, e) < 0)
			return error_code(e);
	}
	return fill_in(a, e);
}

int adopt_process(pid_t pid, struct definition *ret_definition,
		  char *ret_qmp_path, struct error *e)
{
	struct adoption a = { .pid = pid };

	if (process_check_qemu(pid, e) < 0 ||
	    process_words(&a.words, pid, e) < 0)
		return error_code(e);
	a.monitors = json_object();
	if (read_command(&a, e) < 0) {
		adoption_done(&a);
		return error_in(e, "process %d", (int)pid);
	}
	memcpy(ret_qmp_path, a.qmp_path, strlen(a.qmp_path) + 1);
	*ret_definition = a.definition;
	a.definition = (struct definition){ 0 };
	adoption_done(&a);
	return 0;
}
