/* SPDX-License-Identifier: MIT */

/* drover history: jobs that have ended, also before the last restart. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cmd/client.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/progress.h"

static void format_took(char buf[static OUTPUT_CELL], const json_t *value)
{
	progress_time(buf, OUTPUT_CELL, json_number_value(value) * 1000);
}

static const struct output_field list_fields[] = {
	{ "ID", "id", format_text, false },
	{ "KIND", "kind", format_text, false },
	{ "MACHINE", "machine", format_text, false },
	{ "ROLE", "role", format_text, false },
	{ "PEER", "peer", format_text, false },
	{ "STATE", "state", format_text, false },
	{ "ENDED", "ended", format_wall, false },
	{ "TOOK", "took", format_took, true },
	{ NULL, NULL, NULL, false },
};

static const struct output_field show_fields[] = {
	{ "Job", "id", format_text, false },
	{ "Kind", "kind", format_text, false },
	{ "Machine", "machine", format_text, false },
	{ "Role here", "role", format_text, false },
	{ "Peer", "peer", format_text, false },
	{ "State", "state", format_text, false },
	{ "Started", "started", format_wall, false },
	{ "Ended", "ended", format_wall, false },
	{ NULL, NULL, NULL, false },
};

static int run_list(struct call *c, struct error *e)
{
	AUTO_JSON json_t *all = NULL;
	json_t *job;
	size_t i;
	int r = client_get(c->client, "/v1/finished", &all, e);

	if (r < 0)
		return r;
	if (c->json) {
		output_json(stdout, all);
		return 0;
	}
	json_array_foreach (all, i, job)
		json_object_set_new(job, "took",
				    json_real(output_number(job, "ended") -
					      output_number(job, "started")));
	output_table(stdout, list_fields, all, "No job has ended here yet.");
	return 0;
}

static int run_show(struct call *c, struct error *e)
{
	AUTO_JSON json_t *job = NULL;
	const char *error;
	char path[128];
	int r = call_path(path, sizeof(path), "/v1/finished/", c->words[0], "",
			  e);

	if (r == 0)
		r = client_get(c->client, path, &job, e);
	if (r < 0)
		return r;
	if (c->json) {
		output_json(stdout, job);
		return 0;
	}
	output_fields(stdout, show_fields, job);
	error = output_string(job, "error");
	if (error)
		output_wrapped(stdout, "Error", 11, error, 80);
	report_print(stdout, job);
	return 0;
}

const struct command history_commands[] = {
	{ "history", "show", "ID", "Shows one of them and its report", NULL,
	  NULL, run_show },
	/* The last one: whatever follows is its own. */
	{ NULL, "history", "", "Lists jobs that have ended",
	  "The last 1000 of this host, also those before its service was "
	  "started.",
	  NULL, run_list },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
