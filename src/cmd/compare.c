/* SPDX-License-Identifier: MIT */

/* drover compare: could this machine move to that host? */
#include <stdio.h>
#include <string.h>

#include "cmd/command.h"
#include "cmd/output.h"

enum { TITLE_WIDTH = 9, WIDTH = 80 };

static void print_findings(const struct call *c, const json_t *result)
{
	const json_t *findings = output_find(result, "findings");

	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);
		const char *severity = output_string(finding, "severity");
		const char *text = output_string(finding, "text");

		output_wrapped(stdout, severity ? severity : "", TITLE_WIDTH,
			       text ? text : "", WIDTH);
	}
	printf("%s %s to %s.\n", c->words[0],
	       json_is_true(output_find(result, "ok")) ? "can move"
						       : "cannot move",
	       c->words[1]);
}

static int run_compare(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body = json_object();
	AUTO_JSON json_t *result = NULL;
	char path[128];
	int r;

	call_set_text(body, "host", c->words[1]);
	if ((r = call_path(path, sizeof(path), "/v1/machines/", c->words[0],
			   "/compare", e)) < 0 ||
	    (r = client_post(c->client, path, body, &result, e)) < 0)
		return r;
	if (c->json)
		output_json(stdout, result);
	else
		print_findings(c, result);
	return json_is_true(output_find(result, "ok")) ? STATUS_DONE
						       : STATUS_REFUSED;
}

const struct command compare_commands[] = {
	{ NULL, "compare", "VM HOST", "Says whether a machine could move there",
	  "Ends with status 8 when it could not.", NULL, run_compare },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
