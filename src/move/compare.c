/* SPDX-License-Identifier: MIT */

/*
 * The pre-flight check.  The source describes the machine as its QEMU runs it;
 * the destination holds that against what it has.  Every finding is a sentence
 * that says what to do.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "move/disks.h"
#include "move/monitor.h"
#include "move/move.h"
#include "qemu/probe.h"
#include "qemu/qmp.h"

/* --- the source: what is it? */

/* Capabilities that change the stream and so have to be on at both ends. */
static json_t *shared_capabilities(const json_t *all)
{
	static const char *const names[] = { "dirty-bitmaps" };
	json_t *on = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (json_is_true(json_object_get(all, names[i])))
			json_array_append_new(on, json_string(names[i]));
	return on;
}

/* Arguments that name a file the machine was started with: "-kernel /x",
 * "-drive file=/x,...", "-blockdev ...,filename=/x". */
static void add_files(json_t *files, const char *argument)
{
	static const char *const keys[] = { "file=", "filename=" };
	const char *path = argument[0] == '/' ? argument : NULL;
	char buf[1024];
	struct stat st;

	for (size_t i = 0; !path && i < ARRAY_SIZE(keys); i++) {
		const char *at = strstr(argument, keys[i]);

		if (at && (at == argument || at[-1] == ','))
			path = at + strlen(keys[i]);
	}
	if (!path || path[0] != '/')
		return;
	snprintf(buf, sizeof(buf), "%.*s", (int)strcspn(path, ","), path);
	if (stat(buf, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		json_array_append_new(files, json_pack("{s:s,s:I}", "path", buf,
						       "size",
						       (json_int_t)st.st_size));
}

static json_t *files_of(const struct definition *d)
{
	json_t *files = json_array();

	for (size_t i = 0; i < d->arguments.count; i++)
		add_files(files, d->arguments.at[i]);
	return files;
}

static json_t *devices_of(const struct definition *d)
{
	json_t *devices = json_array();

	for (size_t i = 0; i + 1 < d->arguments.count; i++) {
		const char *value = d->arguments.at[i + 1];

		if (strcmp(d->arguments.at[i], "-device") != 0 ||
		    value[0] == '{')
			continue;
		json_array_append_new(devices,
				      json_stringn(value, strcspn(value, ",")));
	}
	return devices;
}

/* The alias in the definition gives way to the type that it meant here. */
static void name_type_as_run(struct definition *d, const char *type)
{
	const char *comma = strchr(d->machine, ',');
	char *machine = NULL;

	if (type[0] &&
	    asprintf(&machine, "%s%s", type, comma ? comma : "") >= 0) {
		free(d->machine);
		d->machine = machine;
	}
}

static int uses_kvm(struct qmp *q, bool *ret, struct error *e)
{
	json_t *kvm;

	if (qmp_run(q, "query-kvm", NULL, &kvm, e) < 0)
		return error_code(e);
	*ret = json_is_true(json_object_get(kvm, "enabled"));
	json_decref(kvm);
	return 0;
}

static char *cpu_flags(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL, *flags = NULL;
	size_t cap = 0;

	while (f && !flags && getline(&line, &cap, f) > 0)
		if (!strncmp(line, "flags", 5) && strchr(line, ':'))
			flags = strdup(strchr(line, ':') + 1);
	free(line);
	if (f)
		fclose(f);
	if (flags)
		flags[strcspn(flags, "\n")] = '\0';
	return flags;
}

static json_t *blockers(struct qmp *q)
{
	json_t *info = NULL, *list;
	struct error ignored;

	if (qmp_run(q, "query-migrate", NULL, &info, &ignored) < 0)
		return json_array();
	list = json_incref(json_object_get(info, "blocked-reasons"));
	json_decref(info);
	return list ? list : json_array();
}

int compare_describe(struct qmp *q, const struct move_machine *m, json_t **ret,
		     struct disk_marks **ret_marks, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	AUTO_FREE char *text = NULL, *full = NULL, *flags = NULL;
	json_t *capabilities, *blocked, *disks;
	char type[128];
	bool kvm = false;
	int major, minor, micro;

	if (definition_parse(&d, m->name, m->definition, e) < 0 ||
	    definition_check(&d, e) < 0 ||
	    monitor_machine_type(q, type, sizeof(type), e) < 0 ||
	    uses_kvm(q, &kvm, e) < 0 ||
	    monitor_capabilities(q, &capabilities, e) < 0)
		return error_code(e);
	blocked = blockers(q);
	if (disks_describe(q, &d, &disks, blocked, ret_marks, e) < 0) {
		json_decref(capabilities);
		json_decref(blocked);
		return error_code(e);
	}
	qmp_version(q, &major, &minor, &micro);
	name_type_as_run(&d, type);
	text = definition_text_for_peers(&d);
	full = definition_text(&d);
	flags = kvm ? cpu_flags() : NULL;
	*ret = json_pack("{s:s,s:s*,s:s*,s:s*,s:s,s:[i,i,i],s:I,s:b,s:s*,s:o,"
			 "s:o,s:o,s:o,s:o}",
			 "name", m->name, "uuid", d.uuid, "definition", text,
			 "full_definition", full, "type", type, "qemu", major,
			 minor, micro, "memory", (json_int_t)d.memory_bytes,
			 "kvm", kvm, "cpu_flags", flags, "files", files_of(&d),
			 "disks", disks, "devices", devices_of(&d), "blockers",
			 blocked, "capabilities",
			 shared_capabilities(capabilities));
	json_decref(capabilities);
	return *ret ? 0 : error_set(e, ENOMEM, "no memory");
}

/* --- the destination: can it run here? */

/* A peer of a newer version may use keys that only it knows: then what every
 * version knows has to do. */
static int parse_definition(struct definition *ret, const json_t *machine,
			    struct error *e)
{
	const char *full =
		json_string_value(json_object_get(machine, "full_definition"));
	const char *text =
		json_string_value(json_object_get(machine, "definition"));

	if (full && definition_parse(ret, "definition", full, e) == 0)
		return 0;
	if (!text)
		return error_set(e, EBADMSG, "a machine without a definition");
	return definition_parse(ret, "definition", text, e);
}

int compare_read_definition(struct definition *ret, const json_t *machine,
			    struct error *e)
{
	const char *uuid = json_string_value(json_object_get(machine, "uuid"));

	if (parse_definition(ret, machine, e) < 0)
		return error_code(e);
	if (!uuid || (ret->uuid && !strcmp(uuid, ret->uuid)))
		return 0;
	error_set(e, EBADMSG,
		  "the uuid of %s is %.40s, and another one in its definition",
		  ret->name, uuid);
	definition_done(ret);
	return error_code(e);
}

const char *compare_program(const struct move_host *host,
			    const struct definition *d)
{
	for (size_t i = 0; d->qemu && i < host->programs->count; i++)
		if (!strcmp(host->programs->at[i], d->qemu) &&
		    access(d->qemu, X_OK) == 0)
			return host->programs->at[i];
	return host->qemu;
}

void compare_finding(json_t *all, const char *severity, const char *fmt, ...)
{
	char text[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(all, json_pack("{s:s,s:s}", "severity", severity,
					     "text", text));
}

struct check {
	const struct move_host *host;
	const json_t *machine;
	const struct definition *definition;
	const struct qemu_facts *qemu;
	json_t *findings;
};

static const char *text_of(const struct check *c, const char *key)
{
	const char *text = json_string_value(json_object_get(c->machine, key));

	return text ? text : "";
}

static void check_machine_type(const struct check *c)
{
	const char *type = text_of(c, "type");
	const json_t *version = json_object_get(c->machine, "qemu");
	int major = (int)json_integer_value(json_array_get(version, 0));

	if (type[0] && !facts_machine(c->qemu, type))
		compare_finding(
			c->findings, "error",
			"QEMU %d.%d on %s does not know the machine type %s: "
			"install QEMU %d there, or start the machine with an "
			"older type",
			c->qemu->major, c->qemu->minor, c->host->own_name, type,
			major);
	else if (c->qemu->major < major)
		compare_finding(
			c->findings, "warning",
			"%s has QEMU %d.%d, older than the source's %d: going "
			"back to older versions is not tested by QEMU's "
			"developers",
			c->host->own_name, c->qemu->major, c->qemu->minor,
			major);
}

static void check_devices(const struct check *c)
{
	const json_t *devices = json_object_get(c->machine, "devices");
	json_t *device;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)devices, i, device) {
		const char *name = json_string_value(device);

		if (name && !facts_has_device(c->qemu, name))
			compare_finding(
				c->findings, "error",
				"QEMU on %s has no device %s: install the "
				"package that brings it, or remove the device",
				c->host->own_name, name);
	}
}

/* What QEMU reads at its start, a kernel say: the disks are looked at by
 * themselves, but for those of an older version, which does not list them. */
static void check_files(const struct check *c)
{
	const json_t *disks = json_object_get(c->machine, "disks");
	const json_t *files = json_object_get(c->machine, "files");
	json_t *file;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)files, i, file) {
		const char *path =
			json_string_value(json_object_get(file, "path"));
		json_int_t size =
			json_integer_value(json_object_get(file, "size"));
		struct stat st;

		if (!path || disks_have(disks, path))
			continue;
		if (stat(path, &st) < 0)
			compare_finding(c->findings, "error",
					"%s is not on %s: put it on storage "
					"that both hosts share, under the same "
					"path",
					path, c->host->own_name);
		else if (S_ISREG(st.st_mode) && st.st_size != size)
			compare_finding(c->findings, "error",
					"%s on %s is another file (%jd bytes, "
					"not %jd): share it, or copy it there",
					path, c->host->own_name,
					(intmax_t)st.st_size, (intmax_t)size);
		else if (!disks)
			compare_finding(
				c->findings, "warning",
				"whether %s is the same on %s cannot be told: "
				"the source has an older version of Drover",
				path, c->host->own_name);
	}
}

static void check_disks(const struct check *c)
{
	disks_check(json_object_get(c->machine, "disks"), c->definition,
		    c->host->own_name, c->findings);
}

static bool has_flag(const char *flags, const char *flag, size_t len)
{
	for (const char *at = flags; (at = strstr(at, flag)); at += len)
		if ((at == flags || at[-1] == ' ') &&
		    (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

/* Only a processor that is handed through shows the host's flags. */
static void check_processor(const struct check *c)
{
	AUTO_FREE char *here = cpu_flags();
	AUTO_FREE char *there = strdup(text_of(c, "cpu_flags"));
	const char *cpu = c->definition->cpu;
	char *save = NULL;

	if (!json_is_true(json_object_get(c->machine, "kvm")))
		return;
	if (access("/dev/kvm", R_OK | W_OK) < 0)
		compare_finding(
			c->findings, "error",
			"the machine runs with KVM and %s has none: switch on "
			"virtualisation in its firmware, or load kvm_intel or "
			"kvm_amd",
			c->host->own_name);
	if (!cpu || (strncmp(cpu, "host", 4) && strncmp(cpu, "max", 3)) ||
	    !here || !there)
		return;
	for (char *f = strtok_r(there, " ", &save); f;
	     f = strtok_r(NULL, " ", &save)) {
		if (has_flag(here, f, strlen(f)))
			continue;
		compare_finding(
			c->findings, "error",
			"the processor of %s lacks '%s': start the machine "
			"with a CPU model that both hosts have, not '%s'",
			c->host->own_name, f, cpu);
		return;
	}
}

static void check_blockers(const struct check *c)
{
	const json_t *list = json_object_get(c->machine, "blockers");
	json_t *why;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)list, i, why)
		compare_finding(c->findings, "error",
				"this machine cannot be moved: %s",
				json_string_value(why));
}

/* Checks that need this host's QEMU. */
static void check_qemu(struct check *c)
{
	const char *path = compare_program(c->host, c->definition);
	const char *named = c->definition->qemu;
	struct error e;

	if (named && strcmp(named, path) != 0)
		compare_finding(c->findings, "warning",
				"%s starts it with %s, not with %s: where only "
				"that one will do, install it and set "
				"allow-qemu = %s in the drover.conf of %s",
				c->host->own_name, path, named, named,
				c->host->own_name);
	if (probe_qemu(&c->qemu, path, &e) < 0) {
		compare_finding(c->findings, "error",
				"%s cannot start a QEMU (%s): install one, or "
				"set 'qemu' in its drover.conf",
				c->host->own_name, e.text);
		return;
	}
	check_machine_type(c);
	check_devices(c);
}

int compare_check(const struct move_host *host, const json_t *machine,
		  const char *unwelcome, json_t **ret, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct check c = { .host = host, .machine = machine, .definition = &d };

	if (compare_read_definition(&d, machine, e) < 0)
		return error_code(e);
	c.findings = json_array();
	if (unwelcome)
		compare_finding(c.findings, "error", "%s", unwelcome);
	check_blockers(&c);
	check_qemu(&c);
	check_files(&c);
	check_disks(&c);
	check_processor(&c);
	*ret = c.findings;
	return 0;
}

int compare_verdict(const json_t *findings, struct error *e)
{
	json_t *f;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)findings, i, f) {
		const char *severity =
			json_string_value(json_object_get(f, "severity"));
		const char *text =
			json_string_value(json_object_get(f, "text"));

		if (severity && text && !strcmp(severity, "error"))
			return error_set(e, EPERM, "%s", text);
	}
	return 0;
}
