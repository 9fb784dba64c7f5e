/* SPDX-License-Identifier: MIT */

/* drover host: this host and the ones it knows. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
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

/* --- host list */

enum { ANSWERS_TURNS = 60, TURN_NS = 100000000 };

static void format_load(char buf[static OUTPUT_CELL], const json_t *value)
{
	snprintf(buf, OUTPUT_CELL, "%.0f%%", json_number_value(value) * 100);
}

static const struct output_field list_fields[] = {
	{ "HOST", "name", format_text, false },
	{ "RUNNING", "running", format_text, true },
	{ "LEFT", "memory.available", format_bytes, true },
	{ "MEMORY", "memory.total", format_bytes, true },
	{ "CPUS", "cpus", format_text, true },
	{ "LOAD", "load", format_load, true },
	{ "SEEN", "seen", format_wall, false },
	{ "STATE", "state", format_text, false },
	{ NULL, NULL, NULL, false },
};

static void add_state(json_t *one)
{
	const char *why = output_string(one, "why");
	const char *closed = output_string(one, "closed");
	const char *state = closed ? closed : "-";

	if (why)
		json_object_set_new(one, "state", json_sprintf("old: %s", why));
	else if (json_is_true(output_find(one, "old")))
		json_object_set_new(one, "state", json_string("old"));
	else
		json_object_set_new(one, "state", json_string(state));
}

/* What the peers say now: the service asks them while we look. */
static int run_list(struct call *c, struct error *e)
{
	json_t *all = NULL, *one;
	size_t i;

	for (int turn = 0; turn < ANSWERS_TURNS; turn++) {
		json_decref(all);
		all = NULL;
		if (client_get(c->client, "/v1/hosts", &all, e) < 0)
			return error_code(e);
		if (!json_is_true(output_find(all, "asking")))
			break;
		nanosleep(&(struct timespec){ .tv_nsec = TURN_NS }, NULL);
	}
	if (c->json) {
		output_json(stdout, output_find(all, "hosts"));
	} else {
		json_array_foreach (output_find(all, "hosts"), i, one)
			add_state(one);
		output_table(stdout, list_fields, output_find(all, "hosts"),
			     "No host has told anything yet.");
	}
	json_decref(all);
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
	{ "host", "list", "", "Lists this host and its peers, as they are now",
	  "Each peer is asked, for 5 s at most; what it told before is shown "
	  "where it\ndoes not answer, and called old.",
	  NULL, run_list },
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
