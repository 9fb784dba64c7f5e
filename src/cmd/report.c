/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cmd/output.h"
#include "cmd/paths.h"
#include "cmd/progress.h"

enum { TITLE_WIDTH = 16, WIDTH = 80, TEXT_CAP = 256 };

static void row(FILE *to, const char *title, const char *text)
{
	output_wrapped(to, title, TITLE_WIDTH, text, WIDTH);
}

static const char *bytes_at(char buf[static OUTPUT_CELL], const json_t *o,
			    const char *key)
{
	format_bytes(buf, output_find(o, key));
	return buf;
}

static const char *time_at(char buf[static OUTPUT_CELL], const json_t *o,
			   const char *key)
{
	double ms = output_number(o, key);

	text_duration(buf, OUTPUT_CELL,
		      ms > 0 ? (uint64_t)(ms * USEC_PER_MS) : 0);
	return buf;
}

/* What it was made of, where it is known. */
static void print_downtime(FILE *to, const json_t *r)
{
	static const char *const parts[][2] = {
		{ "last_pass_ms", "last pass" }, { "backlog_ms", "backlog" },
		{ "device_ms", "device state" }, { "load_ms", "load" },
		{ "commit_ms", "commit" },       { "cont_ms", "cont" },
	};
	char text[TEXT_CAP], cell[OUTPUT_CELL];
	const json_t *pause = output_find(r, "pause");
	size_t used;

	used = (size_t)snprintf(text, sizeof(text), "%.32s",
				time_at(cell, r, "downtime_ms"));
	for (size_t i = 0; json_is_object(pause) && i < ARRAY_SIZE(parts); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s%.16s %.16s", i == 0 ? ": " : ", ",
					 parts[i][1],
					 time_at(cell, pause, parts[i][0]));
	row(to, "Downtime", text);
}

static void print_times(FILE *to, const json_t *r)
{
	char text[TEXT_CAP], a[OUTPUT_CELL], b[OUTPUT_CELL];
	double rounds = output_number(r, "rounds");

	/* A relay has none. */
	if (!json_is_number(output_find(r, "rounds")))
		snprintf(text, sizeof(text), "%.32s",
			 time_at(a, r, "total_ms"));
	else
		snprintf(text, sizeof(text),
			 "%.32s in %.0f round%s, set-up %.32s",
			 time_at(a, r, "total_ms"), rounds,
			 rounds == 1 ? "" : "s", time_at(b, r, "setup_ms"));
	row(to, "Total time", text);
	if (json_is_number(output_find(r, "downtime_ms")))
		print_downtime(to, r);
}

static void print_bytes(FILE *to, const json_t *r)
{
	bool placed =
		output_number(r, "bytes.zero") + output_number(r, "bytes.raw") >
		0;
	const struct output_field kinds[] = {
		{ "zero pages", "bytes.zero" },
		{ "other pages", "bytes.raw" },
		{ placed ? "device state and the rest of QEMU's stream"
			 : "QEMU's stream, with the memory in it",
		  "bytes.stream" },
		{ "on the wire", "bytes.wire" },
		{ "of that, sent again after a path failed", "bytes.resent" },
		{ "received twice and dropped", "bytes.duplicates" },
	};
	char line[TEXT_CAP], cell[OUTPUT_CELL];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!json_is_number(output_find(r, kinds[i].key)))
			continue;
		snprintf(line, sizeof(line), "%10.16s  %s",
			 bytes_at(cell, r, kinds[i].key), kinds[i].title);
		fprintf(to, "%-*s%s\n", TITLE_WIDTH, i == 0 ? "Bytes" : "",
			line);
	}
}

/* In which form they left; nothing where all left whole or as zeros. */
static void print_pages(FILE *to, const json_t *r)
{
	char text[TEXT_CAP], cell[OUTPUT_CELL];
	double filled = output_number(r, "pages.filled");
	double unchanged = output_number(r, "pages.unchanged");
	double delta = output_number(r, "pages.delta");

	if (filled + unchanged + delta <= 0)
		return;
	snprintf(text, sizeof(text),
		 "%.0f whole, %.0f zero, %.0f of one repeated word, %.0f that "
		 "had not changed, %.0f as what had changed in them (%.32s)",
		 output_number(r, "pages.data"), output_number(r, "pages.zero"),
		 filled, unchanged, delta,
		 bytes_at(cell, r, "pages.delta_bytes"));
	row(to, "Pages", text);
}

static void print_rate(FILE *to, const json_t *r)
{
	double wire = output_number(r, "bytes.wire");
	double pages =
		output_number(r, "bytes.zero") + output_number(r, "bytes.raw");
	char text[TEXT_CAP], cell[OUTPUT_CELL];

	snprintf(text, sizeof(text), "%.32s/s", bytes_at(cell, r, "rate"));
	row(to, "Rate", text);
	if (wire <= 0)
		return;
	snprintf(text, sizeof(text),
		 "%.2f bytes of guest memory for one on "
		 "the wire",
		 pages / wire);
	row(to, "Ratio", text);
}

/* What the workers did, and why not more. */
static void print_press(FILE *to, const json_t *r)
{
	char text[TEXT_CAP], a[OUTPUT_CELL], b[OUTPUT_CELL], c[OUTPUT_CELL];
	char level[16];
	const char *codec = output_string(r, "press.codec");
	double before = output_number(r, "press.before");
	double after = output_number(r, "press.after");
	double raw = output_number(r, "press.raw_link_free");
	double dense = output_number(r, "press.dense");
	double all = before + raw + dense;

	if (!codec || all <= 0)
		return;
	if (after > 0) {
		level[0] = '\0';
		if (strcmp(codec, "none") != 0)
			snprintf(level, sizeof(level), " level %.0f",
				 output_number(r, "press.level"));
		snprintf(text, sizeof(text),
			 "%.16s to %.16s, ratio %.2f, last by %.16s%s, "
			 "in %.32s of processor time",
			 bytes_at(a, r, "press.before"),
			 bytes_at(b, r, "press.after"), before / after, codec,
			 level, time_at(c, r, "press.processor_ms"));
		row(to, "Compressed", text);
	}
	snprintf(text, sizeof(text),
		 "%.0f%% of the pages because the link took them before an "
		 "idle processor did, %.0f%% because they do not get smaller",
		 100 * raw / all, 100 * dense / all);
	row(to, "Sent raw", text);
}

/* @key: "asked" or "got".  0.1 calls a mode an option. */
static const char *mode_at(const json_t *r, const char *key)
{
	const char *mode;
	char name[16];

	snprintf(name, sizeof(name), "mode_%s", key);
	mode = output_string(r, name);
	if (mode)
		return mode;
	snprintf(name, sizeof(name), "option_%s", key);
	return output_string(r, name);
}

static void print_mode(FILE *to, const json_t *r)
{
	const char *asked = mode_at(r, "asked");
	const char *got = mode_at(r, "got");
	char text[TEXT_CAP];

	if (!asked && !got)
		return;
	if (!asked || !got || !strcmp(asked, got))
		snprintf(text, sizeof(text), "%.64s", got ? got : asked);
	else
		snprintf(text, sizeof(text), "%.64s (asked for: %.64s)", got,
			 asked);
	row(to, "Mode", text);
}

/* What the user wanted to hear, before all figures. */
static void print_outcome(FILE *to, const json_t *job)
{
	char machine[OUTPUT_CELL], peer[OUTPUT_CELL];
	const char *state = output_string(job, "state");
	const char *kind = output_string(job, "kind");
	const char *role = output_string(job, "role");

	if (!state || strcmp(state, "done") != 0 || !kind)
		return;
	format_text(machine, output_find(job, "machine"));
	if (!strcmp(kind, "update"))
		fprintf(to, "%s runs in the QEMU that is installed.\n",
			machine);
	if (strcmp(kind, "move") != 0)
		return;
	format_text(peer, output_find(job, "peer"));
	fprintf(to, "%s moved %s %s.\n", machine,
		role && !strcmp(role, "destination") ? "here from" : "to",
		peer);
}

void report_print(FILE *to, const json_t *job)
{
	const json_t *r = output_find(job, "report");
	const json_t *reasons = output_find(r, "reasons");
	const char *text;

	if (!json_is_object(r))
		return;
	print_outcome(to, job);
	print_times(to, r);
	print_bytes(to, r);
	print_pages(to, r);
	print_rate(to, r);
	print_press(to, r);
	print_mode(to, r);
	paths_print_report(to, r);
	for (size_t i = 0; i < json_array_size(reasons); i++) {
		text = json_string_value(json_array_get(reasons, i));
		row(to, i == 0 ? "Reasons" : "", text ? text : "");
	}
}
