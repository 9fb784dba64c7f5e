/* SPDX-License-Identifier: MIT */

/* drover log: how much the service writes to its log. */
#include <stdio.h>

#include "base/error.h"
#include "cmd/command.h"
#include "cmd/output.h"

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

const struct command log_commands[] = {
	{ "log", "level", "[LEVEL]", "Shows or sets how much is logged",
	  "LEVEL is error, warning, info or debug, each of which includes "
	  "those "
	  "before it.\nIt holds at once, until droverd ends.",
	  NULL, run_level },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
