/* SPDX-License-Identifier: MIT */

/* drover debug: why the service does what it does, in detail. */
#include <stdio.h>

#include "base/text.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/paths.h"

enum { PATH_CAP = 128, TITLE_WIDTH = 16, WIDTH = 80, TEXT_CAP = 512 };

static void format_rate(char buf[static OUTPUT_CELL], const json_t *value)
{
	char bytes[OUTPUT_CELL];

	format_bytes(bytes, value);
	snprintf(buf, OUTPUT_CELL, "%.16s/s", bytes);
}

static void format_us(char buf[static OUTPUT_CELL], const json_t *value)
{
	if (!json_is_integer(value))
		snprintf(buf, OUTPUT_CELL, "-");
	else
		text_duration(buf, OUTPUT_CELL,
			      (uint64_t)json_integer_value(value));
}

static const struct output_field flow_fields[] = {
	{ "CHANNEL", "channel", format_text, true },
	{ "FROM", "from", format_text, false },
	{ "RATE", "flow.rate", format_rate, true },
	{ "RTT", "flow.rtt_us", format_us, true },
	{ "LIMIT", "flow.limit", format_bytes, true },
	{ "IN FLIGHT", "flow.in_flight", format_bytes, true },
	{ NULL, NULL, NULL, false },
};

/* Of channels that are there. */
static void print_flows(const json_t *paths)
{
	AUTO_JSON json_t *rows = json_array();
	json_t *channels, *channel;
	size_t k;

	for (size_t i = 0; i < json_array_size(paths); i++) {
		channels =
			json_object_get(json_array_get(paths, i), "channels");
		json_array_foreach (channels, k, channel)
			if (json_is_object(output_find(channel, "flow")))
				json_array_append(rows, channel);
	}
	output_table(stdout, flow_fields, rows, "There are no channels.");
}

static void print_codec(const json_t *press)
{
	const json_t *tried = output_find(press, "tried");
	char text[TEXT_CAP], cell[OUTPUT_CELL];
	const char *why = output_string(press, "why");
	const char *codec = output_string(press, "codec");

	if (!codec)
		return;
	snprintf(text, sizeof(text), "%.16s: %.400s", codec, why ? why : "");
	output_wrapped(stdout, "Codec", TITLE_WIDTH, text, WIDTH);
	for (size_t i = 0; i < json_array_size(tried); i++) {
		const json_t *one = json_array_get(tried, i);

		codec = output_string(one, "codec");
		format_rate(cell, output_find(one, "rate"));
		snprintf(text, sizeof(text),
			 "%.16s level %.0f: ratio %.2f, %.24s of one worker, "
			 "%.0f batches",
			 codec ? codec : "", output_number(one, "level"),
			 output_number(one, "ratio"), cell,
			 output_number(one, "frames"));
		output_wrapped(stdout, i ? "" : "Measured", TITLE_WIDTH, text,
			       WIDTH);
	}
}

static void print_job(const json_t *debug)
{
	char id[OUTPUT_CELL], machine[OUTPUT_CELL], state[OUTPUT_CELL];

	format_text(id, output_find(debug, "job.id"));
	format_text(machine, output_find(debug, "job.machine"));
	format_text(state, output_find(debug, "job.state"));
	printf("Job %s of %s: %s\n", id, machine, state);
	paths_print_report(stdout, debug);
	print_codec(output_find(debug, "press"));
	print_flows(output_find(debug, "paths"));
}

static void print_settings(const json_t *settings)
{
	char text[TEXT_CAP], name[OUTPUT_CELL], values[OUTPUT_CELL];

	for (size_t i = 0; i < json_array_size(settings); i++) {
		const json_t *one = json_array_get(settings, i);
		const char *file = output_string(one, "file");

		/* Defaults are in drover.conf(5). */
		if (!file)
			continue;
		format_text(name, output_find(one, "setting"));
		format_list(values, output_find(one, "values"));
		snprintf(text, sizeof(text), "%s = %s (%.128s:%.0f)", name,
			 values, file, output_number(one, "line"));
		output_wrapped(stdout, "", 2, text, WIDTH);
	}
}

static void print_all(const json_t *debug)
{
	const json_t *jobs = output_find(debug, "jobs");
	char version[OUTPUT_CELL], level[OUTPUT_CELL];

	format_text(version, output_find(debug, "version"));
	format_text(level, output_find(debug, "log_level"));
	printf("droverd %s, log level %s\nSettings that are not the default:\n",
	       version, level);
	print_settings(output_find(debug, "settings"));
	if (json_array_size(jobs) == 0)
		printf("No job is running.\n");
	for (size_t i = 0; i < json_array_size(jobs); i++)
		print_job(json_array_get(jobs, i));
}

static int run_debug(struct call *c, struct error *e)
{
	AUTO_JSON json_t *debug = NULL;
	char path[PATH_CAP] = "/v1/debug";
	int r = 0;

	if (c->words[0])
		r = call_path(path, sizeof(path), "/v1/debug/", c->words[0], "",
			      e);
	if (r == 0)
		r = client_get(c->client, path, &debug, e);
	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, debug);
	else if (c->words[0])
		print_job(debug);
	else
		print_all(debug);
	return 0;
}

const struct command debug_commands[] = {
	{ NULL, "debug", "[JOB]", "Shows why things are done as they are",
	  "Settings and where they come from; of a job, or of all that run: "
	  "the "
	  "paths\nand why each is used or not, the flow of each channel, and "
	  "the "
	  "codec with\nthe numbers behind its choice.",
	  NULL, run_debug },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
