/* SPDX-License-Identifier: MIT */

/* drover copy: what machines that went away have left on this host. */
#include <stdio.h>

#include "base/error.h"
#include "cmd/command.h"
#include "cmd/output.h"

static const struct output_field list_fields[] = {
	{ "MACHINE", "machine", format_text, false },
	{ "WENT TO", "host", format_text, false },
	{ "KEPT", "kept", format_text, false },
	{ "SIZE", "bytes", format_bytes, true },
	{ "SINCE", "since", format_wall, false },
	{ NULL, NULL, NULL, false },
};

static int run_list(struct call *c, struct error *e)
{
	return call_list(c, "/v1/copies", list_fields, "No copies are kept.",
			 e);
}

static int run_remove(struct call *c, struct error *e)
{
	AUTO_JSON json_t *gone = NULL;
	char path[256];
	const struct client_request rq = { .verb = "DELETE", .path = path };
	int r;

	if ((r = call_path(path, sizeof(path), "/v1/copies/", c->words[0], "",
			   e)) < 0 ||
	    (r = client_call(c->client, &rq, &gone, e)) < 0)
		return r;
	if (c->json)
		output_json(stdout, gone);
	else
		printf("The copy of %s is removed.\n",
		       output_string(gone, "machine"));
	return 0;
}

const struct command copy_commands[] = {
	{ "copy", "list", "", "Lists what machines that went away left here",
	  "With 'keep-copy' in [move] a machine that moves away leaves its "
	  "memory here, so\nthat its way back is short.",
	  NULL, run_list },
	{ "copy", "remove", "VM", "Removes what a machine has left here", NULL,
	  NULL, run_remove },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
