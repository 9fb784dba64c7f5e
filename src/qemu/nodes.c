/* SPDX-License-Identifier: MIT */
#include "qemu/nodes.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "qemu/qmp.h"

static int copy_text(char **ret, const char *text, struct error *e)
{
	*ret = text ? strdup(text) : NULL;
	if (text && !*ret)
		return error_set(e, ENOMEM, "no memory for a list of disks");
	return 0;
}

static int copy_member(char **ret, const json_t *o, const char *key,
		       struct error *e)
{
	return copy_text(ret, json_string_value(json_object_get(o, key)), e);
}

/* QEMU shows what a path does not say as "json:{...}". */
static int find_path(char **ret, const char *file, struct error *e)
{
	json_t *o = NULL;
	int r;

	if (file && !strncmp(file, "json:", 5)) {
		o = json_loads(file + 5, 0, NULL);
		file = json_string_value(json_object_get(o, "filename"));
	}
	if (file && !strncmp(file, "file:", 5))
		file += 5;
	r = copy_text(ret, file, e);
	json_decref(o);
	return r;
}

static bool has_parts(const json_t *o, const char *driver)
{
	const json_t *image = json_object_get(o, "image");
	const json_t *format = json_object_get(image, "format-specific");
	const json_t *data = json_object_get(format, "data");

	return json_object_get(data, "data-file") ||
	       (driver && !strcmp(driver, "vmdk"));
}

static int read_node(struct block_node *n, const json_t *o, struct error *e)
{
	n->read_only = json_is_true(json_object_get(o, "ro"));
	if (copy_member(&n->name, o, "node-name", e) < 0 ||
	    copy_member(&n->driver, o, "drv", e) < 0 ||
	    copy_member(&n->file, o, "file", e) < 0 ||
	    copy_member(&n->backing, o, "backing_file", e) < 0)
		return error_code(e);
	n->has_parts = has_parts(o, n->driver);
	return find_path(&n->path, n->file, e);
}

static int read_all(struct block_nodes *all, const json_t *list,
		    struct error *e)
{
	size_t n = json_array_size(list);

	if (n > BLOCK_NODES_MAX)
		return error_set(e, E2BIG,
				 "QEMU names %zu block nodes, more than %d", n,
				 BLOCK_NODES_MAX);
	all->at = calloc(n ? n : 1, sizeof(*all->at));
	if (!all->at)
		return error_set(e, ENOMEM, "no memory for a list of disks");
	for (; all->count < n; all->count++)
		if (read_node(&all->at[all->count],
			      json_array_get(list, all->count), e) < 0) {
			all->count++; /* what it has is freed */
			return error_code(e);
		}
	return 0;
}

int nodes_list(struct qmp *q, struct block_nodes *ret, struct error *e)
{
	struct block_nodes all = { .count = 0 };
	json_t *list;
	int r;

	if (qmp_run(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1),
		    &list, e) < 0)
		return error_code(e);
	r = read_all(&all, list, e);
	json_decref(list);
	if (r < 0)
		nodes_done(&all);
	else
		*ret = all;
	return r;
}

void nodes_done(struct block_nodes *n)
{
	for (size_t i = 0; i < n->count; i++) {
		free(n->at[i].name);
		free(n->at[i].driver);
		free(n->at[i].file);
		free(n->at[i].path);
		free(n->at[i].backing);
	}
	free(n->at);
	*n = (struct block_nodes){ .count = 0 };
}
