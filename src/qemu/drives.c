/* SPDX-License-Identifier: MIT */
#include "qemu/drives.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "qemu/qmp.h"

enum { CHAIN_MAX = 64 };

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static uint64_t number_of(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static int copy(char **ret, const char *text, size_t len, struct error *e)
{
	*ret = text ? strndup(text, len) : NULL;
	if (text && !*ret)
		return error_set(e, ENOMEM, "no memory for a list of disks");
	return 0;
}

/* "/machine/peripheral/vd0/virtio-backend" is vd0.  What nobody has named is
 * called as its drive, or as its node. */
static int find_name(struct drive *d, const json_t *o, struct error *e)
{
	static const char named[] = "/machine/peripheral/";
	const char *qdev = text_of(o, "qdev"), *device = text_of(o, "device");
	const char *node = text_of(json_object_get(o, "inserted"), "node-name");

	if (qdev && !strncmp(qdev, named, sizeof(named) - 1)) {
		qdev += sizeof(named) - 1;
		return copy(&d->name, qdev, strcspn(qdev, "/"), e);
	}
	/* Without a slash it is the id of a device. */
	if (qdev && *qdev && !strchr(qdev, '/'))
		return copy(&d->name, qdev, strlen(qdev), e);
	if (!device || !*device)
		device = node ? node : "";
	return copy(&d->name, device, strlen(device), e);
}

static int read_chain(struct drive *d, const json_t *image, struct error *e)
{
	for (int i = 0; i < CHAIN_MAX; i++) {
		const char *file;

		image = json_object_get(image, "backing-image");
		file = text_of(image, "filename");
		if (!file)
			return 0;
		if (words_add(&d->chain, file, e) < 0)
			return error_code(e);
	}
	return 0;
}

static int read_drive(struct drive *d, const json_t *o, struct error *e)
{
	static const char *const filters[] = { "throttle",   "copy-on-read",
					       "blkdebug",   "preallocate",
					       "mirror_top", "compress" };
	const json_t *in = json_object_get(o, "inserted");
	const json_t *image = json_object_get(in, "image");
	const char *driver = text_of(in, "drv"),
		   *node = text_of(in, "node-name");
	const char *file = text_of(image, "filename");

	d->read_only = json_is_true(json_object_get(in, "ro"));
	d->size = number_of(image, "virtual-size");
	d->allocated = number_of(image, "actual-size");
	d->snapshots =
		(unsigned)json_array_size(json_object_get(image, "snapshots"));
	for (size_t i = 0; driver && i < ARRAY_SIZE(filters); i++)
		d->filtered |= !strcmp(driver, filters[i]);
	if (!file)
		file = text_of(in, "file");
	if (find_name(d, o, e) < 0 ||
	    copy(&d->node, node, SIZE_MAX / 2, e) < 0 ||
	    copy(&d->file, file, SIZE_MAX / 2, e) < 0 ||
	    copy(&d->format, driver, SIZE_MAX / 2, e) < 0)
		return error_code(e);
	return read_chain(d, image, e);
}

int drives_read(const json_t *list, struct drives *ret, struct error *e)
{
	size_t n = json_array_size(list);
	struct drives all = { .count = 0 };

	if (n > DRIVES_MAX)
		return error_set(e, E2BIG,
				 "QEMU names %zu drives, more than %d", n,
				 DRIVES_MAX);
	all.at = calloc(n ? n : 1, sizeof(*all.at));
	if (!all.at)
		return error_set(e, ENOMEM, "no memory for a list of disks");
	for (size_t i = 0; i < n; i++) {
		const json_t *o = json_array_get(list, i);

		if (!json_is_object(json_object_get(o, "inserted")))
			continue;
		if (read_drive(&all.at[all.count++], o, e) < 0) {
			drives_done(&all);
			return error_code(e);
		}
	}
	*ret = all;
	return 0;
}

int drives_list(struct qmp *q, struct drives *ret, struct error *e)
{
	json_t *list;
	int r;

	if (qmp_run(q, "query-block", NULL, &list, e) < 0)
		return error_code(e);
	r = drives_read(list, ret, e);
	json_decref(list);
	return r;
}

void drives_done(struct drives *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->at[i].name);
		free(d->at[i].node);
		free(d->at[i].file);
		free(d->at[i].format);
		words_done(&d->at[i].chain);
	}
	free(d->at);
	*d = (struct drives){ .count = 0 };
}
