/* SPDX-License-Identifier: MIT */

/* drover disk: the disks of a machine. */
#include <stdio.h>

#include "base/error.h"
#include "cmd/command.h"
#include "cmd/output.h"

static void format_access(char buf[static OUTPUT_CELL], const json_t *value)
{
	snprintf(buf, OUTPUT_CELL, "%s",
		 json_is_null(value)   ? "-"
		 : json_is_true(value) ? "read"
				       : "write");
}

static const struct output_field list_fields[] = {
	{ "NAME", "name", format_text, false },
	{ "FORMAT", "format", format_text, false },
	{ "SIZE", "size", format_bytes, true },
	{ "ALLOCATED", "allocated", format_bytes, true },
	{ "ACCESS", "read_only", format_access, false },
	{ "STORAGE", "storage", format_text, false },
	{ "PATH", "path", format_text, false },
	{ NULL, NULL, NULL, false },
};

/* What stands in the way of a copy, and what it is made of. */
static void print_more(const json_t *disk)
{
	const char *name = output_string(disk, "name");
	const json_t *chain = output_find(disk, "chain");
	double snapshots = output_number(disk, "snapshots");
	char below[OUTPUT_CELL];

	if (json_array_size(chain) > 0) {
		format_list(below, chain);
		printf("%s stands on %s\n", name ? name : "-", below);
	}
	if (snapshots > 0)
		printf("%s has snapshots inside: %.0f\n", name ? name : "-",
		       snapshots);
}

static int run_list(struct call *c, struct error *e)
{
	AUTO_JSON json_t *disks = NULL;
	char path[256];
	int r;

	if ((r = call_path(path, sizeof(path), "/v1/machines/", c->words[0],
			   "/disks", e)) < 0 ||
	    (r = client_get(c->client, path, &disks, e)) < 0)
		return r;
	if (c->json) {
		output_json(stdout, disks);
		return 0;
	}
	output_table(stdout, list_fields, disks,
		     "The machine has no disks, or they stand among its "
		     "arguments and it does not run.");
	for (size_t i = 0; i < json_array_size(disks); i++)
		print_more(json_array_get(disks, i));
	return 0;
}

const struct command disk_commands[] = {
	{ "disk", "list", "VM", "Lists the disks of a machine",
	  "Of a machine that runs its QEMU is asked; of one that does not, the "
	  "keys 'disk'\nof its definition are shown.",
	  NULL, run_list },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
