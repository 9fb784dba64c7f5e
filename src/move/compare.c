/* SPDX-License-Identifier: MIT */
#include "move/compare.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "move/disks.h"
#include "move/move.h"
#include "move/permit.h"
#include "qemu/confine.h"
#include "qemu/huge.h"
#include "qemu/monitor.h"
#include "qemu/probe.h"
#include "qemu/process.h"
#include "qemu/qmp.h"
#include "qemu/tap.h"

/* --- the source: what is it? */

/* Capabilities that change the stream and so have to be on at both ends. */
static int add_capabilities(struct words *to, struct qmp *q, struct error *e)
{
	static const char *const names[] = { "dirty-bitmaps" };
	SCOPED(migration_capabilities_done)
	struct migration_capabilities c = { 0 };

	if (monitor_capabilities(q, &c, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (words_have(&c.on, names[i]) &&
		    words_add(to, names[i], e) < 0)
			return error_code(e);
	return 0;
}

/* Arguments that name a file the machine was started with: "-kernel /x",
 * "-drive file=/x,...", "-blockdev ...,filename=/x". */
static int add_file(struct machine_description *to, const char *argument,
		    struct error *e)
{
	static const char *const keys[] = { "file=", "filename=" };
	const char *path = argument[0] == '/' ? argument : NULL;
	AUTO_FREE char *file = NULL;
	struct file_description *more;
	struct stat st;

	for (size_t i = 0; !path && i < ARRAY_SIZE(keys); i++) {
		const char *at = strstr(argument, keys[i]);

		if (at && (at == argument || at[-1] == ','))
			path = at + strlen(keys[i]);
	}
	if (!path || path[0] != '/')
		return 0;
	file = strndup(path, strcspn(path, ","));
	more = reallocarray(to->files, to->n_files + 1, sizeof(*more));
	if (more)
		to->files = more;
	if (!file || !more)
		return error_set(e, ENOMEM, "no memory");
	if (stat(file, &st) == 0 &&
	    (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		more[to->n_files++] =
			(struct file_description){ .path = take_ptr(&file),
						   .size = st.st_size };
	return 0;
}

static int add_files(struct machine_description *to, const struct definition *d,
		     struct error *e)
{
	for (size_t i = 0; i < d->arguments.count; i++)
		if (add_file(to, d->arguments.at[i], e) < 0)
			return error_code(e);
	return 0;
}

static int add_devices(struct words *devices, const struct definition *d,
		       struct error *e)
{
	for (size_t i = 0; i + 1 < d->arguments.count; i++) {
		const char *value = d->arguments.at[i + 1];

		if (!strcmp(d->arguments.at[i], "-device") && value[0] != '{' &&
		    words_addf(devices, e, "%.*s", (int)strcspn(value, ","),
			       value) < 0)
			return error_code(e);
	}
	return 0;
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

/* What its QEMU says of itself. */
static int ask_qemu(struct machine_description *to, struct qmp *q,
		    struct error *e)
{
	qmp_version(q, &to->qemu.major, &to->qemu.minor, &to->qemu.micro);
	if (monitor_machine_type(q, to->type, sizeof(to->type), e) < 0 ||
	    monitor_uses_kvm(q, &to->kvm, e) < 0 ||
	    add_capabilities(&to->capabilities, q, e) < 0)
		return error_code(e);
	return monitor_blockers(q, &to->blockers, e);
}

/* As the definition has it. */
static int copy_definition(struct machine_description *to, struct definition *d,
			   pid_t pid, struct error *e)
{
	name_type_as_run(d, to->type);
	snprintf(to->uuid, sizeof(to->uuid), "%s", d->uuid ? d->uuid : "");
	to->memory_bytes = d->memory_bytes;
	to->huge_bytes = pid > 0 ? process_huge_bytes(pid) : 0;
	to->small_pages = pid > 0 && huge_are_refused(pid);
	to->definition = definition_text_for_peers(d);
	to->full_definition = definition_text(d);
	to->cpu_flags = to->kvm ? cpu_flags() : NULL;
	if (!to->definition || !to->full_definition)
		return error_set(e, ENOMEM, "no memory");
	if (add_files(to, d, e) < 0)
		return error_code(e);
	return add_devices(&to->devices, d, e);
}

static int describe(struct machine_description *to, struct qmp *q,
		    const struct move_machine *m, struct disk_marks **ret_marks,
		    struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };

	snprintf(to->name, sizeof(to->name), "%s", m->name);
	if (definition_parse(&d, m->name, m->definition, e) < 0 ||
	    definition_check(&d, e) < 0 || ask_qemu(to, q, e) < 0 ||
	    copy_definition(to, &d, m->process.pid, e) < 0)
		return error_code(e);
	return disks_describe(q, &d, m, to, ret_marks, e);
}

int compare_describe(struct qmp *q, const struct move_machine *m,
		     struct machine_description *ret,
		     struct disk_marks **ret_marks, struct error *e)
{
	*ret = (struct machine_description){ 0 };
	if (describe(ret, q, m, ret_marks, e) == 0)
		return 0;
	shape_done(&machine_description_shape, ret);
	return error_code(e);
}

/* --- the destination: can it run here? */

/* A peer of a newer version may use keys that only it knows: then what every
 * version knows has to do. */
static int parse_definition(struct definition *ret,
			    const struct machine_description *machine,
			    struct error *e)
{
	if (machine->full_definition &&
	    definition_parse(ret, "definition", machine->full_definition, e) ==
		    0)
		return 0;
	if (!machine->definition)
		return error_set(e, EBADMSG, "a machine without a definition");
	return definition_parse(ret, "definition", machine->definition, e);
}

int compare_read_definition(struct definition *ret,
			    const struct machine_description *machine,
			    struct error *e)
{
	if (parse_definition(ret, machine, e) < 0)
		return error_code(e);
	if (!machine->uuid[0] ||
	    (ret->uuid && !strcmp(machine->uuid, ret->uuid)))
		return 0;
	error_set(e, EBADMSG,
		  "the uuid of %s is %s, and another one in its definition",
		  ret->name, machine->uuid);
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

struct check {
	const struct move_host *host;
	const struct machine_description *machine;
	const struct definition *definition;
	const struct qemu_facts *qemu;
	struct findings *findings;
};

static void check_machine_type(const struct check *c)
{
	const char *type = c->machine->type;
	int major = c->machine->qemu.major;

	if (type[0] && !facts_machine(c->qemu, type))
		findings_add(
			c->findings, SEVERITY_ERROR,
			"QEMU %d.%d on %s does not know the machine type %s: "
			"install QEMU %d there, or start the machine with an "
			"older type",
			c->qemu->major, c->qemu->minor, c->host->own_name, type,
			major);
	else if (c->qemu->major < major)
		findings_add(c->findings, SEVERITY_WARNING,
			     "%s has QEMU %d.%d, older than the source's %d: "
			     "going "
			     "back to older versions is not tested by QEMU's "
			     "developers",
			     c->host->own_name, c->qemu->major, c->qemu->minor,
			     major);
}

static void check_devices(const struct check *c)
{
	const struct words *devices = &c->machine->devices;

	for (size_t i = 0; i < devices->count; i++) {
		const char *name = devices->at[i];

		if (!facts_has_device(c->qemu, name))
			findings_add(c->findings, SEVERITY_ERROR,
				     "QEMU on %s has no device %s: install the "
				     "package that brings it, or remove the "
				     "device",
				     c->host->own_name, name);
	}
}

/* What QEMU reads at its start, a kernel say: the disks are looked at by
 * themselves, but for those of an older version, which does not list them. */
static void check_files(const struct check *c)
{
	const struct machine_description *m = c->machine;

	for (size_t i = 0; i < m->n_files; i++) {
		const char *path = m->files[i].path;
		const int64_t size = m->files[i].size;
		struct stat st;

		if (disks_have(m, path))
			continue;
		if (stat(path, &st) < 0)
			findings_add(c->findings, SEVERITY_ERROR,
				     "%s is not on %s: put it on storage "
				     "that both hosts share, under the same "
				     "path",
				     path, c->host->own_name);
		else if (S_ISREG(st.st_mode) && st.st_size != size)
			findings_add(c->findings, SEVERITY_ERROR,
				     "%s on %s is another file (%jd bytes, "
				     "not %jd): share it, or copy it there",
				     path, c->host->own_name,
				     (intmax_t)st.st_size, (intmax_t)size);
		else if (!m->has_disks)
			findings_add(
				c->findings, SEVERITY_WARNING,
				"whether %s is the same on %s cannot be told: "
				"the source has an older version of Drover",
				path, c->host->own_name);
	}
}

static void check_disks(const struct check *c)
{
	disks_check(c->machine, c->definition, c->host, c->findings);
}

/* Only a processor that is handed through shows the host's flags. */
static void check_processor(const struct check *c)
{
	AUTO_FREE char *here = cpu_flags();
	AUTO_FREE char *there =
		c->machine->cpu_flags ? strdup(c->machine->cpu_flags) : NULL;
	const char *cpu = c->definition->cpu;
	char *save = NULL;

	if (!c->machine->kvm)
		return;
	if (access("/dev/kvm", R_OK | W_OK) < 0)
		findings_add(
			c->findings, SEVERITY_ERROR,
			"the machine runs with KVM and %s has none: switch on "
			"virtualisation in its firmware, or load kvm_intel or "
			"kvm_amd",
			c->host->own_name);
	if (!cpu || (strncmp(cpu, "host", 4) && strncmp(cpu, "max", 3)) ||
	    !here || !there)
		return;
	for (char *f = strtok_r(there, " ", &save); f;
	     f = strtok_r(NULL, " ", &save)) {
		if (text_listed(here, f))
			continue;
		findings_add(c->findings, SEVERITY_ERROR,
			     "the processor of %s lacks '%s': start the "
			     "machine "
			     "with a CPU model that both hosts have, not '%s'",
			     c->host->own_name, f, cpu);
		return;
	}
}

static void check_blockers(const struct check *c)
{
	const struct words *blockers = &c->machine->blockers;

	for (size_t i = 0; i < blockers->count; i++)
		findings_add(c->findings, SEVERITY_ERROR,
			     "this machine cannot be moved: %s",
			     blockers->at[i]);
}

/* What a start here would be refused for. */
static void check_start(const struct check *c)
{
	const struct definition_nics *nics = &c->definition->nics;
	struct error e;

	if (confine_wanted(c->host->qemu_user) &&
	    definition_check_confined(c->definition, &e) < 0)
		findings_add(c->findings, SEVERITY_ERROR, "%s: %s",
			     c->host->own_name, e.text);
	for (size_t i = 0; i < nics->count; i++) {
		const char *bridge = nics->at[i].bridge;

		if (bridge_check(bridge_device(c->host->bridges, bridge),
				 bridge, &e) < 0)
			findings_add(c->findings, SEVERITY_ERROR,
				     "nic %s on %s: %s", nics->at[i].name,
				     c->host->own_name, e.text);
	}
}

/* With "auto" it has what it had, where that is to be had. */
static void check_pages(const struct check *c)
{
	if (c->definition->huge_pages == HUGE_PAGES_AUTO &&
	    c->machine->huge_bytes > 0 && huge_are_off())
		findings_add(c->findings, SEVERITY_WARNING,
			     "its memory is in huge pages and would not be on "
			     "%s, where they are switched off: write madvise "
			     "into " HUGE_SWITCH " there",
			     c->host->own_name);
}

/* Checks that need this host's QEMU. */
static void check_qemu(struct check *c)
{
	const char *path = compare_program(c->host, c->definition);
	const char *named = c->definition->qemu;
	struct error e;

	if (named && strcmp(named, path) != 0)
		findings_add(c->findings, SEVERITY_WARNING,
			     "%s starts it with %s, not with %s: where only "
			     "that one will do, install it and set "
			     "allow-qemu = %s in the drover.conf of %s",
			     c->host->own_name, path, named, named,
			     c->host->own_name);
	if (probe_qemu(&c->qemu, path, &e) < 0) {
		findings_add(c->findings, SEVERITY_ERROR,
			     "%s cannot start a QEMU (%s): install one, or "
			     "set 'qemu' in its drover.conf",
			     c->host->own_name, e.text);
		return;
	}
	check_machine_type(c);
	check_devices(c);
}

int compare_check(const struct move_host *host,
		  const struct machine_description *machine,
		  const char *unwelcome, struct findings *ret, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct check c = { .host = host,
			   .machine = machine,
			   .definition = &d,
			   .findings = ret };

	int refused;

	if (compare_read_definition(&d, machine, e) < 0)
		return error_code(e);
	*ret = (struct findings){ 0 };
	refused = permit_check(host, machine, &d, ret, e);
	if (refused < 0) {
		findings_done(ret);
		return refused;
	}
	if (unwelcome)
		findings_add(ret, SEVERITY_ERROR, "%s", unwelcome);
	check_blockers(&c);
	/* Nothing that it names is looked for then. */
	if (refused)
		return 0;
	check_start(&c);
	check_qemu(&c);
	check_files(&c);
	check_disks(&c);
	check_processor(&c);
	check_pages(&c);
	return 0;
}

int compare_verdict(const struct findings *findings, struct error *e)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->at[i].severity == SEVERITY_ERROR)
			return error_set(e, EPERM, "%s", findings->at[i].text);
	return 0;
}
