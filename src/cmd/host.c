/* SPDX-License-Identifier: MIT */

/* drover host: this host and the ones it knows. */
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "cmd/command.h"
#include "cmd/output.h"

static const struct output_field show_fields[] = {
	{ "Name", "name", format_text, false },
	{ "Version", "version", format_text, false },
	{ "Wire version", "wire.version", format_text, false },
	{ "Lowest spoken", "wire.lowest", format_text, false },
	{ "Listens on", "listen", format_list, false },
	{ "Port", "port", format_text, false },
	{ "Networks", "networks", format_list, false },
	{ "Processors", "cpus", format_text, false },
	{ "Memory", "memory.total", format_bytes, false },
	{ "Available", "memory.available", format_bytes, false },
	{ "Copies kept", "kept.count", format_text, false },
	{ "In memory", "kept.memory", format_bytes, false },
	{ "On disk", "kept.disk", format_bytes, false },
	{ "QEMU", "qemu", format_text, false },
	{ "Machines", "machines", format_text, false },
	{ "Jobs", "jobs", format_text, false },
	{ NULL, NULL, NULL, false },
};

static const struct output_field peer_fields[] = {
	{ "PEER", "name", format_text, false },
	{ "PORT", "port", format_text, true },
	{ "TLS", "tls", format_yes_no, false },
	{ "ADDRESSES", "addresses", format_list, false },
	{ NULL, NULL, NULL, false },
};

static void format_values(char buf[static OUTPUT_CELL], const json_t *value)
{
	if (json_array_size(value) == 0)
		snprintf(buf, OUTPUT_CELL, "-");
	else
		format_list(buf, value);
}

static const struct output_field setting_fields[] = {
	{ "SETTING", "setting", format_text, false },
	{ "VALUE", "values", format_values, false },
	{ "FROM", "from", format_text, false },
	{ "CHANGES", "changes", format_text, false },
	{ NULL, NULL, NULL, false },
};

/* Where a setting comes from, and when a change of it counts. */
static void add_columns(json_t *setting)
{
	const char *file = output_string(setting, "file");
	json_int_t line = json_integer_value(json_object_get(setting, "line"));
	const char *changes = "at once";

	if (json_is_true(json_object_get(setting, "pending")))
		changes = "wait for a restart";
	else if (json_is_true(json_object_get(setting, "restart")))
		changes = "at a restart";
	json_object_set_new(setting, "from",
			    file ? json_sprintf("%s:%d", file, (int)line)
				 : json_string("default"));
	json_object_set_new(setting, "changes", json_string(changes));
}

static int show_settings(struct call *c, struct error *e)
{
	AUTO_JSON json_t *all = NULL;
	json_t *one;
	size_t i;
	int r = client_get(c->client, "/v1/host/settings", &all, e);

	if (r < 0)
		return r;
	if (c->json) {
		output_json(stdout, all);
		return 0;
	}
	json_array_foreach (all, i, one)
		add_columns(one);
	output_table(stdout, setting_fields, all, "There are no settings.");
	return 0;
}

enum { SHOW_SETTINGS };
enum { POWER_WIDTH = 15 };

static const struct command_option show_options[] = {
	[SHOW_SETTINGS] = { "settings", NULL,
			    "all settings, which file and line each is from,\n"
			    "and whether a change of it needs a restart" },
	{ NULL, NULL, NULL },
};

/* What its processors' settings cost moves. */
static void print_power(const json_t *host)
{
	const json_t *says = output_find(host, "power");

	for (size_t i = 0; i < json_array_size(says); i++)
		output_wrapped(stdout, "Power", POWER_WIDTH,
			       json_string_value(json_array_get(says, i)),
			       output_width());
}

static int run_show(struct call *c, struct error *e)
{
	AUTO_JSON json_t *host = NULL;
	int r;

	if (c->options[SHOW_SETTINGS])
		return show_settings(c, e);
	r = client_get(c->client, "/v1/host", &host, e);
	if (r < 0)
		return r;
	if (c->json) {
		output_json(stdout, host);
		return 0;
	}
	output_fields(stdout, show_fields, host);
	print_power(host);
	putchar('\n');
	output_table(stdout, peer_fields, output_find(host, "peers"),
		     "No peers are configured.");
	return 0;
}

/* What counts now, which a later file may have said. */
static void print_set(const struct call *c, const json_t *setting)
{
	const char *file = output_string(setting, "file");
	const char *name = file ? strrchr(file, '/') : NULL;
	char values[OUTPUT_CELL];

	format_values(values, json_object_get(setting, "values"));
	if (file)
		printf("%s is %s (%s:%d)\n", output_string(setting, "setting"),
		       values, file,
		       (int)json_integer_value(
			       json_object_get(setting, "line")));
	else
		printf("%s is %s (default)\n",
		       output_string(setting, "setting"), values);
	if (c->words[1] && (!name || strcmp(name, "/90-set.conf") != 0))
		printf("It was written, but %s is read later, and counts.\n",
		       file ? file : "nothing");
	if (json_is_true(json_object_get(setting, "pending")))
		printf("This counts once droverd is restarted: systemctl "
		       "restart droverd; machines run on.\n");
}

/* The words behind the first one are the values. */
static int run_set(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body =
		json_pack("{s:s,s:[]}", "setting", c->words[0], "values");
	AUTO_JSON json_t *setting = NULL;
	json_t *values = json_object_get(body, "values");
	int r;

	for (char **word = c->words + 1; *word; word++)
		json_array_append_new(values, json_string(*word));
	r = client_post(c->client, "/v1/host/settings", body, &setting, e);
	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, setting);
	else
		print_set(c, setting);
	return 0;
}

const struct command host_commands[] = {
	{ "host", "show", "", "Shows this host and its peers", NULL,
	  show_options, run_show },
	{ "host", "set", "SETTING VALUE...", "Changes a setting of this host",
	  "SETTING is SECTION.KEY, as move.timeout, or SECTION.NAME.KEY, as\n"
	  "peer.beta.address; drover host show --settings lists all.  A key\n"
	  "that may stand several times takes all its values at once.  It is\n"
	  "written to drover.d/90-set.conf once all settings are known to be\n"
	  "good, and counts from now on, or from the next start of droverd.",
	  NULL, run_set },
	{ "host", "unset", "SETTING", "Takes back what 'host set' has set",
	  "What the other files say of the setting counts again, or the\n"
	  "default.",
	  NULL, run_set },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
