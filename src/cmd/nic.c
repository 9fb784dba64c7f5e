/* SPDX-License-Identifier: MIT */

/* drover nic: the network cards of this host. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/paths.h"

enum { PATH_CAP = 256, MODE_MAX = 40, PURPOSE_MAX = 120 };

/* The lines under a card's first have only an address. */
static void format_or_blank(char buf[static OUTPUT_CELL], const json_t *value)
{
	buf[0] = '\0';
	if (value)
		format_text(buf, value);
}

static void format_use(char buf[static OUTPUT_CELL], const json_t *value)
{
	buf[0] = '\0';
	if (value)
		format_yes_no(buf, value);
}

static void format_speed(char buf[static OUTPUT_CELL], const json_t *value)
{
	buf[0] = '\0';
	if (value)
		paths_format_speed(buf, OUTPUT_CELL, value);
}

static void format_reason(char buf[static OUTPUT_CELL], const json_t *value)
{
	if (!json_is_string(value))
		snprintf(buf, OUTPUT_CELL, "yes");
	else
		snprintf(buf, OUTPUT_CELL, "no: %s", json_string_value(value));
}

static void format_hash(char buf[static OUTPUT_CELL], const json_t *value)
{
	size_t entries = json_array_size(json_object_get(value, "table"));

	if (entries == 0)
		snprintf(buf, OUTPUT_CELL, "not told by the driver");
	else
		snprintf(buf, OUTPUT_CELL, "%s, a table of %zu entries, %s",
			 json_is_true(json_object_get(value, "toeplitz"))
				 ? "Toeplitz"
				 : "not Toeplitz",
			 entries,
			 json_is_string(json_object_get(value, "key"))
				 ? "key known"
				 : "key not known");
}

static const struct output_field list_fields[] = {
	{ "NAME", "name", format_or_blank, false },
	{ "KIND", "kind", format_or_blank, false },
	{ "SPEED", "speed_mbit", format_speed, true },
	{ "USE", "usable", format_use, false },
	{ "ADDRESS", "address", format_text, false },
	{ NULL, NULL, NULL, false },
};

static const struct output_field show_fields[] = {
	{ "Name", "name", format_text, false },
	{ "Kind", "kind", format_text, false },
	{ "Usable", "reason", format_reason, false },
	{ "Up", "up", format_yes_no, false },
	{ "Carrier", "carrier", format_yes_no, false },
	{ "Speed", "speed_mbit", format_speed, false },
	{ "MTU", "mtu", format_text, false },
	{ "MAC", "mac", format_text, false },
	{ "Addresses", "addresses", format_list, false },
	{ "Driver", "driver", format_text, false },
	{ "Receive queues", "rx_queues", format_text, false },
	{ "Send queues", "tx_queues", format_text, false },
	{ "Queues at most", "queues_most", format_text, false },
	{ "Receive ring", "rx_ring", format_text, false },
	{ "At most", "rx_ring_most", format_text, false },
	{ "Send ring", "tx_ring", format_text, false },
	{ "At most", "tx_ring_most", format_text, false },
	{ "RSS", "rss", format_yes_no, false },
	{ "Receive hash", "hash", format_hash, false },
	{ "Features", "features", format_list, false },
	{ "NUMA node", "numa_node", format_text, false },
	{ "Virtual functions", "vfs", format_text, false },
	{ "At most", "vfs_most", format_text, false },
	{ "RDMA device", "rdma", format_text, false },
	{ "Part of", "master", format_text, false },
	{ "Stands on", "lower", format_text, false },
	{ "VLAN", "vlan", format_text, false },
	{ "Wire", "wire", format_text, false },
	{ "Members", "members", format_list, false },
	{ NULL, NULL, NULL, false },
};

static const struct output_field rdma_fields[] = {
	{ "RDMA port", "port", format_text, false },
	{ "RDMA kind", "kind", format_text, false },
	{ "RDMA state", "state", format_text, false },
	{ "GIDs", "gids", format_list, false },
	{ NULL, NULL, NULL, false },
};

static const struct output_field bond_fields[] = {
	{ "Bond mode", "mode", format_text, false },
	{ "Hash policy", "policy", format_text, false },
	{ "Sending members", "members", format_text, false },
	{ "Active member", "active", format_text, false },
	{ "Receives on one", "receives_on_one", format_yes_no, false },
	{ "Flows", "flows", format_text, false },
	{ NULL, NULL, NULL, false },
};

/* Without its prefix length, the longest address just fits. */
static json_t *plain_address(const json_t *address)
{
	const char *text = json_string_value(address);

	if (!text)
		return json_null();
	return json_stringn(text, strcspn(text, "/"));
}

/* A row for each address, the first of them with all the rest. */
static void add_rows(json_t *rows, json_t *nic)
{
	const json_t *addresses = json_object_get(nic, "addresses");
	json_t *first = json_copy(nic);

	json_object_set_new(first, "address",
			    plain_address(json_array_get(addresses, 0)));
	json_array_append_new(rows, first);
	for (size_t i = 1; i < json_array_size(addresses); i++)
		json_array_append_new(
			rows,
			json_pack("{s:o}", "address",
				  plain_address(json_array_get(addresses, i))));
}

static void print_list(const json_t *nics)
{
	AUTO_JSON json_t *rows = json_array();
	const char *separator = "\n";

	for (size_t i = 0; i < json_array_size(nics); i++)
		add_rows(rows, json_array_get(nics, i));
	output_table(stdout, list_fields, rows, "There are no network cards.");
	for (size_t i = 0; i < json_array_size(nics); i++) {
		const char *why =
			output_string(json_array_get(nics, i), "reason");

		if (!why)
			continue;
		fputs(separator, stdout);
		output_wrapped(stdout, "", 0, why, output_width());
		separator = "";
	}
}

static int run_list(struct call *c, struct error *e)
{
	AUTO_JSON json_t *nics = NULL;
	int r = client_get(c->client, "/v1/nics", &nics, e);

	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, nics);
	else
		print_list(nics);
	return 0;
}

static int run_show(struct call *c, struct error *e)
{
	AUTO_JSON json_t *nic = NULL;
	const json_t *bond, *rdma;
	char path[PATH_CAP];
	int r;

	if ((r = call_path(path, sizeof(path), "/v1/nics/", c->words[0], "",
			   e)) < 0 ||
	    (r = client_get(c->client, path, &nic, e)) < 0)
		return r;
	if (c->json) {
		output_json(stdout, nic);
		return 0;
	}
	output_fields(stdout, show_fields, nic);
	bond = output_find(nic, "bond");
	if (json_is_object(bond)) {
		putchar('\n');
		output_fields(stdout, bond_fields, bond);
	}
	rdma = output_find(nic, "rdma_port");
	if (json_is_object(rdma)) {
		putchar('\n');
		output_fields(stdout, rdma_fields, rdma);
	}
	return 0;
}

enum { PLAN_MODE, PLAN_OPTION };

static const struct command_option plan_options[] = {
	[PLAN_MODE] = { "mode", "MODE",
			"plan for tcp, compression, multichannel or\n"
			"auto, not for what the configuration says" },
	[PLAN_OPTION] = { "option", "MODE", .now = "mode" },
	{ NULL, NULL, NULL },
};

static int plan_path(char path[static PATH_CAP], const struct call *c,
		     struct error *e)
{
	const char *mode = c->options[PLAN_MODE];
	AUTO_FREE char *escaped = NULL;
	size_t used;
	int r;

	r = call_path(path, PATH_CAP, "/v1/nics/plan/", c->words[0], "", e);
	if (r < 0 || !mode)
		return r;
	if (strlen(mode) > MODE_MAX)
		return error_set(e, EINVAL, "--mode: '%.40s...' is not a mode",
				 mode);
	escaped = client_escape(mode);
	if (!escaped)
		return error_set(e, ENOMEM, "no memory for the request");
	used = strlen(path);
	/* 0.1 knows the parameter by this name only. */
	snprintf(path + used, PATH_CAP - used, "?option=%s", escaped);
	return 0;
}

static int run_plan(struct call *c, struct error *e)
{
	AUTO_JSON json_t *plan = NULL;
	char path[PATH_CAP];
	int r;

	if ((r = plan_path(path, c, e)) < 0 ||
	    (r = client_get(c->client, path, &plan, e)) < 0)
		return r;
	if (c->json)
		output_json(stdout, plan);
	else
		paths_print_plan(stdout, plan);
	return 0;
}

static void format_relation(char buf[static OUTPUT_CELL], const json_t *value)
{
	const char *relation = json_string_value(value);

	snprintf(buf, OUTPUT_CELL, "%s", relation ? relation : "");
}

static void format_here(char buf[static OUTPUT_CELL], const json_t *value)
{
	buf[0] = '\0';
	if (value)
		snprintf(buf, OUTPUT_CELL, "%s %s",
			 output_string(value, "card"),
			 output_string(value, "holds"));
}

/* At most 16, 16, 8 and 8 wide, and a card's name with 8 more. */
static const struct output_field matrix_fields[] = {
	{ "FEATURE", "feature", format_or_blank, false },
	{ "OTHER", "other", format_or_blank, false },
	{ "WINDOWS", "windows.relation", format_relation, false },
	{ "LINUX", "linux.relation", format_relation, false },
	{ "HERE", "here", format_here, false },
	{ NULL, NULL, NULL, false },
};

/* A row for each card that an entry is true of, the first with all the rest. */
static void add_entry(json_t *rows, json_t *entry)
{
	const json_t *cards = json_object_get(entry, "cards");
	json_t *first = json_copy(entry);
	json_t *card = json_array_get(cards, 0);

	if (card)
		json_object_set(first, "here", card);
	json_array_append_new(rows, first);
	for (size_t i = 1; i < json_array_size(cards); i++)
		json_array_append_new(rows,
				      json_pack("{s:O}", "here",
						json_array_get(cards, i)));
}

static void print_saying(const char *column, const json_t *says)
{
	char text[3 * OUTPUT_CELL];

	if (!json_is_object(says))
		return;
	snprintf(text, sizeof(text), "%s. %s [%s]",
		 output_string(says, "relation"), output_string(says, "why"),
		 output_string(says, "source"));
	output_wrapped(stdout, column, 11, text, output_width());
}

static void print_entry(const json_t *entry)
{
	const json_t *cards = json_object_get(entry, "cards");
	char here[OUTPUT_CELL];

	printf("%s, %s\n", output_string(entry, "feature"),
	       output_string(entry, "other"));
	print_saying("  Windows", json_object_get(entry, "windows"));
	print_saying("  Linux", json_object_get(entry, "linux"));
	for (size_t i = 0; i < json_array_size(cards); i++) {
		format_here(here, json_array_get(cards, i));
		output_wrapped(stdout, i ? "" : "  Here", 11, here,
			       output_width());
	}
}

static bool is_about(const json_t *entry, const char *feature)
{
	return !strcmp(output_string(entry, "feature"), feature) ||
	       !strcmp(output_string(entry, "other"), feature);
}

static int print_feature(const json_t *entries, const char *feature,
			 struct error *e)
{
	bool found = false;

	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);

		if (!is_about(entry, feature))
			continue;
		if (found)
			putchar('\n');
		print_entry(entry);
		found = true;
	}
	if (!found)
		return error_set(e, EINVAL,
				 "there is no feature '%.40s' in the matrix: "
				 "'drover nic matrix' lists them",
				 feature);
	return 0;
}

static int run_matrix(struct call *c, struct error *e)
{
	AUTO_JSON json_t *entries = NULL;
	AUTO_JSON json_t *rows = json_array();
	int r = client_get(c->client, "/v1/nic-matrix", &entries, e);

	if (r < 0)
		return r;
	if (c->json) {
		output_json(stdout, entries);
		return 0;
	}
	if (c->words[0])
		return print_feature(entries, c->words[0], e);
	for (size_t i = 0; i < json_array_size(entries); i++)
		add_entry(rows, json_array_get(entries, i));
	output_table(stdout, matrix_fields, rows, "The matrix is empty.");
	return 0;
}

enum { ADVISE_FOR };

static const struct command_option advise_options[] = {
	[ADVISE_FOR] = { "for", "PURPOSE",
			 "what the cards are to be good at: migration,\n"
			 "machines, storage or mixed (the default)" },
	{ NULL, NULL, NULL },
};

static void print_line(const char *title, const char *text)
{
	output_wrapped(stdout, title, 11, text, output_width());
}

static void print_finding(const json_t *f)
{
	const json_t *commands = json_object_get(f, "commands");
	const char *gain = output_string(f, "gain");
	char why[4 * OUTPUT_CELL];

	printf("%s, %s\n", output_string(f, "card"),
	       output_string(f, "feature"));
	print_line("  Now", output_string(f, "now"));
	print_line("  Better", output_string(f, "better"));
	snprintf(why, sizeof(why), "%s [%s]", output_string(f, "why"),
		 output_string(f, "source"));
	print_line("  Why", why);
	if (gain)
		print_line("  Measured", gain);
	/* Not wrapped: they are there to be copied. */
	for (size_t i = 0; i < json_array_size(commands); i++)
		printf("%-11s%s\n", i ? "" : "  Do",
		       json_string_value(json_array_get(commands, i)));
	putchar('\n');
}

static void print_advice(const json_t *advice)
{
	const json_t *findings = json_object_get(advice, "findings");
	const json_t *unknown = json_object_get(advice, "unknown");

	for (size_t i = 0; i < json_array_size(findings); i++)
		print_finding(json_array_get(findings, i));
	if (json_array_size(findings) == 0)
		puts("There is nothing to advise on the cards of this host.");
	for (size_t i = 0; i < json_array_size(unknown); i++)
		print_line(i ? "" : "Not known",
			   json_string_value(json_array_get(unknown, i)));
}

static int run_advise(struct call *c, struct error *e)
{
	static const char path[] = "/v1/nic-advice";
	const char *purpose = c->options[ADVISE_FOR];
	AUTO_JSON json_t *advice = NULL;
	AUTO_FREE char *escaped = client_escape(purpose ? purpose : "mixed");
	char with[PATH_CAP];
	int r;

	if (!escaped)
		return error_set(e, ENOMEM, "no memory for the request");
	if (strlen(escaped) > PURPOSE_MAX)
		return error_set(e, EINVAL,
				 "--for: '%.40s...' is not a purpose", purpose);
	snprintf(with, sizeof(with), "%s?for=%s", path, escaped);
	r = client_get(c->client, with, &advice, e);
	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, advice);
	else
		print_advice(advice);
	return 0;
}

const struct command nic_commands[] = {
	{ "nic", "list", "", "Lists the network cards of this host",
	  "USE says whether a card may carry migrations; for those that may\n"
	  "not, the reasons follow.",
	  NULL, run_list },
	{ "nic", "show", "NIC", "Shows one network card", NULL, NULL,
	  run_show },
	{ "nic", "matrix", "[FEATURE]",
	  "Shows which feature of a card excludes which",
	  "Which feature needs, excludes, weakens or combines with which, on "
	  "Windows and\non Linux; HERE are the cards that it is true of.  With "
	  "FEATURE, such as rss:\nwhy, and by what source.",
	  NULL, run_matrix },
	{ "nic", "advise", "",
	  "Says what would be better about this host's cards",
	  "By rules, each with its reason and its source; what it would bring, "
	  "as far as a\nsecond of looking tells; and the commands that do it, "
	  "none of which is run.",
	  advise_options, run_advise },
	{ "nic", "plan", "HOST", "Shows the paths that lead to a host",
	  "Connects to the host over each pair of cards, and says which of "
	  "them a move\nwould use, in which order, with how many connections, "
	  "and why not the others.\nNET is the line of the setting 'networks' "
	  "that allows the pair.",
	  plan_options, run_plan },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
