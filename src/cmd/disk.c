/* SPDX-License-Identifier: MIT */

/* drover disk, drover pool: the disks of machines, and where they lie. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

enum { OLD_REMOVE };

static const struct command_option old_options[] = {
	[OLD_REMOVE] = { "remove", NULL, "removes those of VM", false, NULL },
	{ NULL, NULL, NULL, false, NULL },
};

static const struct output_field old_fields[] = {
	{ "MACHINE", "machine", format_text, false },
	{ "WENT TO", "host", format_text, false },
	{ "AT", "left", format_wall, false },
	{ "ALLOCATED", "allocated", format_bytes, true },
	{ "STATE", "state", format_text, false },
	{ "PATH", "path", format_text, false },
	{ NULL, NULL, NULL, false },
};

/* Those of @machine in the place of all. */
static json_t *only_of(const json_t *all, const char *machine)
{
	json_t *some = json_array();
	const json_t *disk;
	size_t i;

	json_array_foreach (all, i, disk) {
		const char *its = output_string(disk, "machine");

		if (!machine || (its && !strcmp(its, machine)))
			json_array_append_new(some, json_deep_copy(disk));
	}
	return some;
}

static int ask_old(struct call *c, json_t **ret, struct error *e)
{
	char path[256];
	const struct client_request rq = { .verb = "DELETE", .path = path };
	int r;

	if (!c->options[OLD_REMOVE])
		return client_get(c->client, "/v1/old-disks", ret, e);
	if (!c->words[0])
		return error_set(e, EINVAL,
				 "--remove needs the machine whose disks go");
	r = call_path(path, sizeof(path), "/v1/old-disks/", c->words[0], "", e);
	return r < 0 ? r : client_call(c->client, &rq, ret, e);
}

static int run_old(struct call *c, struct error *e)
{
	AUTO_JSON json_t *all = NULL;
	AUTO_JSON json_t *shown = NULL;
	int r = ask_old(c, &all, e);

	if (r < 0)
		return r;
	shown = only_of(all, c->words[0]);
	if (c->json)
		output_json(stdout, shown);
	else
		output_table(stdout, old_fields, shown,
			     "This host keeps no disks of machines that have "
			     "left.");
	return 0;
}

const struct command disk_commands[] = {
	{ "disk", "old", "[VM]", "Lists disks of machines that have left",
	  "A machine that moves with --disks leaves its files here, as "
	  "PATH.old-UUID.  With\n--remove those of VM go, but for one that "
	  "was changed since (state 'changed').",
	  old_options, run_old },
	{ "disk", "list", "VM", "Lists the disks of a machine",
	  "Of a machine that runs its QEMU is asked; of one that does not, the "
	  "keys 'disk'\nof its definition are shown.",
	  NULL, run_list },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};

static const struct output_field pool_fields[] = {
	{ "NAME", "name", format_text, false },
	{ "USED", "used", format_bytes, true },
	{ "LIMIT", "limit", format_bytes, true },
	{ "FREE", "free", format_bytes, true },
	{ "SIZE", "size", format_bytes, true },
	{ "PATH", "path", format_text, false },
	{ NULL, NULL, NULL, false },
};

static int run_pools(struct call *c, struct error *e)
{
	return call_list(c, "/v1/pools", pool_fields,
			 "This host has no folders for images.", e);
}

const struct command pool_commands[] = {
	{ "pool", "list", "", "Lists the folders for images of this host",
	  "Those of image-directories, and those that a section [pool NAME] of "
	  "drover.conf\nnames.  FREE and SIZE are of the file system.",
	  NULL, run_pools },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
