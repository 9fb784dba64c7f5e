/* SPDX-License-Identifier: MIT */
#include "cmd/paths.h"

#include <stdbool.h>
#include <string.h>

#include "cmd/output.h"

enum {
	TITLE_WIDTH = 16,
	WIDTH = 80,
	TEXT_CAP = 4 * OUTPUT_CELL,
	MBIT_PER_GBIT = 1000,
};

void paths_format_speed(char *buf, size_t cap, const json_t *mbit)
{
	double v = json_number_value(mbit);

	if (!json_is_integer(mbit) || v <= 0)
		snprintf(buf, cap, "-");
	else if (v < MBIT_PER_GBIT)
		snprintf(buf, cap, "%.0fM", v);
	else
		snprintf(buf, cap, "%gG", v / MBIT_PER_GBIT);
}

/* "eth0 10.0.0.1"; the address alone when its card is not known. */
static void format_end(char buf[static OUTPUT_CELL], const json_t *path,
		       const char *nic_key, const char *address_key)
{
	char address[OUTPUT_CELL];
	const char *nic = output_string(path, nic_key);

	format_text(address, output_find(path, address_key));
	snprintf(buf, OUTPUT_CELL, "%.16s%s%.64s", nic ? nic : "",
		 nic ? " " : "", address);
}

static void format_ends(char buf[static TEXT_CAP], const json_t *path)
{
	char from[OUTPUT_CELL], until[OUTPUT_CELL];

	format_end(from, path, "from_nic", "from");
	format_end(until, path, "to_nic", "to");
	snprintf(buf, TEXT_CAP, "%s to %s", from, until);
}

/* A row whose title stands only in front of the first one. */
static void row(FILE *to, const char **title, const char *text)
{
	output_wrapped(to, *title, TITLE_WIDTH, text, WIDTH);
	*title = "";
}

/* --- what is not used */

static bool is_used(const json_t *path)
{
	const char *state = output_string(path, "state");

	return !state || !strcmp(state, "used") || !strcmp(state, "given");
}

/* Also one that has failed since. */
static bool has_carried(const json_t *path)
{
	return is_used(path) || output_number(path, "bytes") > 0 ||
	       output_number(path, "received") > 0;
}

static void print_spare(FILE *to, const json_t *path, const char **title)
{
	char text[TEXT_CAP], ends[TEXT_CAP], why[OUTPUT_CELL];

	format_ends(ends, path);
	format_text(why, output_find(path, "why"));
	snprintf(text, sizeof(text), "%s: %s", ends, why);
	row(to, title, text);
}

/* Reasons mostly begin with the name of the card. */
static void print_card(FILE *to, const json_t *card, const char **title)
{
	char text[TEXT_CAP], side[OUTPUT_CELL], nic[OUTPUT_CELL];
	char why[OUTPUT_CELL];
	bool named;

	format_text(side, output_find(card, "side"));
	format_text(nic, output_find(card, "nic"));
	format_text(why, output_find(card, "why"));
	named = !strncmp(why, nic, strlen(nic)) && why[strlen(nic)] == ' ';
	snprintf(text, sizeof(text), "%s: %s%s%s", side, named ? "" : nic,
		 named ? "" : ": ", why);
	row(to, title, text);
}

/* @told: those of which enough has been said. */
static void print_unused(FILE *to, const json_t *of,
			 bool (*told)(const json_t *path))
{
	const json_t *paths = output_find(of, "paths");
	const json_t *cards = output_find(of, "cards");
	const char *title = "Not used";
	const json_t *path;
	size_t i;

	json_array_foreach (paths, i, path)
		if (!told(path))
			print_spare(to, path, &title);
	for (i = 0; i < json_array_size(cards); i++)
		print_card(to, json_array_get(cards, i), &title);
}

/* --- a report */

static void format_count(char buf[static OUTPUT_CELL], const json_t *path,
			 const char *key, const char *what)
{
	double n = output_number(path, key);

	snprintf(buf, OUTPUT_CELL, "%.0f %s%s", n, what, n == 1 ? "" : "s");
}

static void print_carried(FILE *to, const json_t *path, const char **title)
{
	/* The other way go little more than acknowledgements. */
	bool sent =
		output_number(path, "bytes") >= output_number(path, "received");
	char text[TEXT_CAP], bytes[OUTPUT_CELL], rate[OUTPUT_CELL];
	char again[OUTPUT_CELL], drops[OUTPUT_CELL], rdma[OUTPUT_CELL] = "";
	const char *why = output_string(path, "why");
	const char *reason = output_string(path, "reason");

	format_ends(text, path);
	row(to, title, text);
	format_bytes(bytes, output_find(path, sent ? "bytes" : "received"));
	format_bytes(rate, output_find(path, "rate"));
	if (output_number(path, "rdma") > 0)
		format_bytes(rdma, output_find(path, "rdma"));
	format_count(again, path, "retransmissions", "retransmission");
	format_count(drops, path, "drops", "drop");
	snprintf(text, sizeof(text),
		 "%.0f of %.0f connections, %s %s, %s%s%s/s, %s, %s",
		 output_number(path, "connections"),
		 output_number(path, "connections_asked"), bytes,
		 sent ? "sent" : "received", rdma, rdma[0] ? " by RDMA, " : "",
		 rate, again, drops);
	output_wrapped(to, "", TITLE_WIDTH + 2, text, WIDTH);
	if (reason && is_used(path))
		output_wrapped(to, "", TITLE_WIDTH + 2, reason, WIDTH);
	if (why)
		output_wrapped(to, "", TITLE_WIDTH + 2, why, WIDTH);
}

void paths_print_report(FILE *to, const json_t *report)
{
	const json_t *paths = output_find(report, "paths");
	const char *title = "Paths";
	const json_t *path;
	size_t i;

	json_array_foreach (paths, i, path)
		if (has_carried(path))
			print_carried(to, path, &title);
	print_unused(to, report, has_carried);
}

/* --- a plan */

static void format_or_blank(char buf[static OUTPUT_CELL], const json_t *value)
{
	buf[0] = '\0';
	if (value)
		format_text(buf, value);
}

static const struct output_field plan_fields[] = {
	{ "", "place", format_or_blank, false },
	{ "NIC", "nic", format_or_blank, false },
	{ "ADDRESS", "address", format_or_blank, false },
	{ "NET", "network", format_or_blank, true },
	{ "STATE", "state", format_or_blank, false },
	{ "CONN", "connections", format_or_blank, true },
	{ "SPEED", "speed", format_or_blank, true },
	{ NULL, NULL, NULL, false },
};

static json_t *speed_cell(const json_t *path)
{
	char text[OUTPUT_CELL];

	paths_format_speed(text, sizeof(text), output_find(path, "speed_mbit"));
	return json_string(text);
}

static json_t *text_cell(const json_t *path, const char *key)
{
	char text[OUTPUT_CELL];

	format_text(text, output_find(path, key));
	return json_string(text);
}

/* Lines of a list count from 1. */
static json_t *rank_cell(const json_t *path)
{
	const json_t *rank = output_find(path, "network");

	if (!json_is_integer(rank))
		return json_string("-");
	return json_integer(json_integer_value(rank) + 1);
}

/* Two rows: our end with all the rest, and the other end. */
static void add_rows(json_t *rows, size_t place, const json_t *path)
{
	json_array_append_new(rows,
			      json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o}",
					"place", (json_int_t)place, "nic",
					text_cell(path, "from_nic"), "address",
					text_cell(path, "from"), "network",
					rank_cell(path), "state",
					text_cell(path, "state"), "connections",
					text_cell(path, "connections_asked"),
					"speed", speed_cell(path)));
	json_array_append_new(rows,
			      json_pack("{s:s,s:o,s:o}", "place", "to", "nic",
					text_cell(path, "to_nic"), "address",
					text_cell(path, "to")));
}

static void print_reasons(FILE *to, const json_t *paths)
{
	const json_t *path;
	char text[TEXT_CAP];
	size_t i;

	json_array_foreach (paths, i, path) {
		const char *reason = output_string(path, "reason");

		if (!reason || !is_used(path))
			continue;
		snprintf(text, sizeof(text), "%zu: %.250s", i + 1, reason);
		output_wrapped(to, "Used", TITLE_WIDTH, text, WIDTH);
	}
}

static void print_flows(FILE *to, const json_t *paths)
{
	const json_t *path;
	char text[TEXT_CAP];
	size_t i;

	json_array_foreach (paths, i, path) {
		const char *flows = output_string(path, "flows");

		if (!flows)
			continue;
		snprintf(text, sizeof(text), "%zu: %.250s", i + 1, flows);
		output_wrapped(to, "Flows", TITLE_WIDTH, text, WIDTH);
	}
}

static void print_rdma(FILE *to, const json_t *plan)
{
	const json_t *rdma = json_object_get(plan, "rdma");
	const char *title = "RDMA";

	if (json_is_null(rdma))
		row(to, &title, "pages would go by it");
	else if (rdma) /* 0.1 says nothing of it */
		row(to, &title, json_string_value(rdma));
}

static const char *tc_state(const json_t *card)
{
	const char *state = output_string(card, "state");

	if (state && !strcmp(state, "set"))
		return ": set already";
	return state && !strcmp(state, "other")
		       ? ": other queues are there, which these replace"
		       : "";
}

/* Commands stand in lines of their own, so that they can be copied. */
static void print_tc(FILE *to, const json_t *plan)
{
	const json_t *tc = output_find(plan, "tc");
	const char *title = "For tc";
	char text[TEXT_CAP];
	const json_t *card, *command;
	size_t i, k;

	json_array_foreach (tc, i, card) {
		const char *why = output_string(card, "why");

		snprintf(text, sizeof(text), "%s, of [network %s]%s%s",
			 output_string(card, "nic"),
			 output_string(card, "network"), why ? ": " : "",
			 why ? why : tc_state(card));
		row(to, &title, text);
		json_array_foreach (output_find(card, "commands"), k, command)
			fprintf(to, "%s\n", json_string_value(command));
	}
}

void paths_print_plan(FILE *to, const json_t *plan)
{
	const json_t *paths = output_find(plan, "paths");
	json_t *rows = json_array();
	const json_t *path;
	size_t i;

	json_array_foreach (paths, i, path)
		add_rows(rows, i + 1, path);
	output_table(to, plan_fields, rows, "No path leads there.");
	json_decref(rows);
	print_reasons(to, paths);
	print_flows(to, paths);
	print_unused(to, plan, is_used);
	print_rdma(to, plan);
	print_tc(to, plan);
}
