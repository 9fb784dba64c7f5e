/* SPDX-License-Identifier: MIT */

/* drover log: who did what, and how much the service writes to its log. */
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "control/calls.h"

static int run_level(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body = NULL, *log = NULL;
	struct client_request rq = { .verb = "GET", .path = "/v1/log" };
	const char *level;
	int r;

	if (c->words[0]) {
		body = json_pack("{s:o}", "level", output_text(c->words[0]));
		rq.verb = "PUT";
		rq.body = body;
	}
	if ((r = client_call(c->client, &rq, &log, e)) < 0)
		return r;
	level = output_string(log, "level");
	if (c->json)
		output_json(stdout, log);
	else
		printf("The log level is %s.\n", level ? level : "not told");
	return 0;
}

enum { LOG_LAST };

static const struct command_option calls_options[] = {
	[LOG_LAST] = { "last", "NUMBER", "so many, 1 to 1000; else 100", false,
		       NULL },
	{ NULL, NULL, NULL, false, NULL },
};

static const struct output_field calls_fields[] = {
	{ "TIME", "time", format_wall, false },
	{ "USER", "who", format_text, false },
	{ "PROCESS", "from", format_text, false },
	{ "WHAT", "what", format_text, false },
	{ "RESULT", "result", format_text, false },
	{ NULL, NULL, NULL, false },
};

/* @row gets @a and, if there is a @b, that behind it. */
static void join(json_t *row, const char *key, const char *a, const char *b)
{
	json_object_set_new(row, key,
			    json_sprintf("%s%s%s", a ? a : "",
					 b && b[0] ? " " : "", b ? b : ""));
}

/* For people. */
static void add_words(json_t *row)
{
	const char *login = output_string(row, "login");
	const char *error = output_string(row, "error");
	char pid[24], brackets[64];

	snprintf(pid, sizeof(pid), "%.0f", output_number(row, "pid"));
	snprintf(brackets, sizeof(brackets), "(%s)", login ? login : "");
	join(row, "who", output_string(row, "user"), login ? brackets : NULL);
	join(row, "from", pid, output_string(row, "process"));
	join(row, "what", output_string(row, "action"),
	     output_string(row, "name"));
	join(row, "what", output_string(row, "what"),
	     output_string(row, "details"));
	join(row, "result", error ? error : "done", NULL);
}

static int run_calls(struct call *c, struct error *e)
{
	AUTO_JSON json_t *calls = NULL;
	uint64_t last = CALLS_LAST;
	char path[64];
	json_t *row;
	size_t i;

	if (c->options[LOG_LAST] &&
	    text_parse_number(&last, c->options[LOG_LAST], 1, CALLS_LAST_MAX,
			      e) < 0)
		return error_in(e, "--last");
	snprintf(path, sizeof(path), "/v1/log/calls?last=%u", (unsigned)last);
	if (client_get(c->client, path, &calls, e) < 0)
		return error_code(e);
	if (c->json) {
		output_json(stdout, calls);
		return 0;
	}
	json_array_foreach (calls, i, row)
		add_words(row);
	output_table(stdout, calls_fields, calls,
		     "Nobody has changed anything yet.");
	return 0;
}

const struct command log_commands[] = {
	{ "log", "level", "[LEVEL]", "Shows or sets how much is logged",
	  "LEVEL is error, warning, info or debug, each of which includes "
	  "those "
	  "before it.\nIt holds at once, until droverd ends.",
	  NULL, run_level },
	/* The last one: whatever follows is its own. */
	{ NULL, "log", "", "Shows who did what",
	  "Each call that changed something, or was to, the newest last: when "
	  "it was\nanswered, the user, in brackets who logged in when that was "
	  "another, the\nprocess, and what came of it.",
	  calls_options, run_calls },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
