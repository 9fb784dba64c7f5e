/* SPDX-License-Identifier: MIT */
#include "wire/description.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/shape.h"

enum {
	/* What fits into a message bounds these long before. */
	PATH_MOST = 4096,
	TEXT_MOST = 128 * 1024,
	LIST_MOST = 8192,
};

#define DISK(member) SHAPE_AT(struct disk_description, member)
#define DISK_HAS(member) SHAPE_HAS(struct disk_description, member)

static const struct shape_field disk_fields[] = {
	{ "path", SHAPE_STRING, SHAPE_NEEDED, DISK(path), .most = PATH_MOST },
	{ "read_only", SHAPE_BOOL, SHAPE_OMIT, DISK(read_only) },
	{ "size", SHAPE_SIGNED, SHAPE_OMIT, DISK(size), DISK_HAS(has_size) },
	{ "inode", SHAPE_SIGNED, SHAPE_OMIT, DISK(inode), DISK_HAS(has_inode) },
	{ "lock", SHAPE_SIGNED, SHAPE_OMIT, DISK(lock), DISK_HAS(has_lock) },
	{ "mark", SHAPE_TEXT, SHAPE_OMIT, DISK(mark) },
	{ "id", SHAPE_STRING, SHAPE_OMIT, DISK(id), .most = PATH_MOST },
	{ "sum", SHAPE_TEXT, SHAPE_OMIT, DISK(sum) },
	{ "firmware", SHAPE_BOOL, SHAPE_OMIT, DISK(firmware) },
	{ "network", SHAPE_BOOL, SHAPE_OMIT, DISK(network) },
	{ "near", SHAPE_BOOL, SHAPE_OMIT, DISK(near) },
	{ "copy", SHAPE_TEXT, SHAPE_OMIT, DISK(copy) },
};
const struct shape disk_description_shape =
	SHAPE(struct disk_description, disk_fields);

static const struct shape_field file_fields[] = {
	{ "path", SHAPE_STRING, SHAPE_NEEDED,
	  SHAPE_AT(struct file_description, path), .most = PATH_MOST },
	{ "size", SHAPE_SIGNED, 0, SHAPE_AT(struct file_description, size) },
};
static const struct shape file_shape =
	SHAPE(struct file_description, file_fields);

#define OF(member) SHAPE_AT(struct machine_description, member)
#define OF_COUNT(member) SHAPE_COUNT(struct machine_description, member)

static const struct shape_field version_fields[] = {
	{ "major", SHAPE_SIGNED, 0, SHAPE_AT(struct qemu_version, major) },
	{ "minor", SHAPE_SIGNED, 0, SHAPE_AT(struct qemu_version, minor) },
	{ "micro", SHAPE_SIGNED, 0, SHAPE_AT(struct qemu_version, micro) },
};
static const struct shape version_shape = { sizeof(struct qemu_version),
					    version_fields, 3, SHAPE_TUPLE };

static const struct shape_field machine_fields[] = {
	{ "name", SHAPE_TEXT, 0, OF(name) },
	{ "uuid", SHAPE_TEXT, SHAPE_OMIT, OF(uuid) },
	{ "definition", SHAPE_STRING, SHAPE_OMIT, OF(definition),
	  .most = TEXT_MOST },
	{ "full_definition", SHAPE_STRING, SHAPE_OMIT, OF(full_definition),
	  .most = TEXT_MOST },
	{ "type", SHAPE_TEXT, 0, OF(type) },
	{ "qemu", SHAPE_OBJECT, 0, OF(qemu), .of = &version_shape },
	{ "memory", SHAPE_NUMBER, 0, OF(memory_bytes) },
	{ "huge", SHAPE_NUMBER, SHAPE_OMIT, OF(huge_bytes) },
	{ "small_pages", SHAPE_BOOL, SHAPE_OMIT, OF(small_pages) },
	{ "kvm", SHAPE_BOOL, 0, OF(kvm) },
	{ "cpu_flags", SHAPE_STRING, SHAPE_OMIT, OF(cpu_flags),
	  .most = TEXT_MOST },
	{ "files", SHAPE_LIST, 0, OF(files), OF_COUNT(n_files),
	  .most = LIST_MOST, .of = &file_shape },
	{ "disks", SHAPE_LIST, SHAPE_OMIT, OF(disks), OF_COUNT(n_disks),
	  SHAPE_HAS(struct machine_description, has_disks), .most = LIST_MOST,
	  .of = &disk_description_shape },
	{ "devices", SHAPE_WORDS, 0, OF(devices), .most = LIST_MOST },
	{ "blockers", SHAPE_WORDS, 0, OF(blockers), .most = LIST_MOST },
	{ "capabilities", SHAPE_WORDS, 0, OF(capabilities), .most = 64 },
};
const struct shape machine_description_shape =
	SHAPE(struct machine_description, machine_fields);

static const char *const severities[SEVERITIES] = {
	[SEVERITY_OK] = "ok",
	[SEVERITY_WARNING] = "warning",
	[SEVERITY_ERROR] = "error",
};

static const struct shape_field finding_fields[] = {
	{ "severity", SHAPE_NAME, SHAPE_NEEDED,
	  SHAPE_AT(struct finding, severity), .names = severities,
	  .most = SEVERITIES },
	{ "text", SHAPE_STRING, SHAPE_NEEDED, SHAPE_AT(struct finding, text),
	  .most = TEXT_MOST },
};
const struct shape finding_shape = SHAPE(struct finding, finding_fields);

void findings_add(struct findings *f, enum severity severity, const char *fmt,
		  ...)
{
	struct finding *more =
		reallocarray(f->at, f->count + 1, sizeof(f->at[0]));
	char *text = NULL;
	va_list ap;

	if (more)
		f->at = more;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (more && text) {
		f->at[f->count++] = (struct finding){ text, severity };
		return;
	}
	free(text);
	assert(severity != SEVERITY_ERROR);
}

void findings_done(struct findings *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->at[i].text);
	free(f->at);
	*f = (struct findings){ 0 };
}
