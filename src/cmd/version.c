/* SPDX-License-Identifier: MIT */

/* drover version: of this program, and of the service when it answers. */
#include <stdio.h>

#include "base/error.h"
#include "cmd/command.h"
#include "cmd/output.h"

static int run_version(struct call *c, struct error *e)
{
	AUTO_JSON json_t *host = NULL;
	AUTO_JSON json_t *both = NULL;
	const char *service = NULL;
	int r = client_get(c->client, "/v1/host", &host, e);

	if (r == 0)
		service = output_string(host, "version");
	if (c->json) {
		both = json_pack("{s:s, s:s?}", "drover", DROVER_VERSION,
				 "droverd", service);
		output_json(stdout, both);
		return 0;
	}
	printf("drover %s\n", DROVER_VERSION);
	if (service)
		printf("droverd %s\n", service);
	else
		printf("droverd: %s\n", e->text);
	return 0;
}

const struct command version_commands[] = {
	{ NULL, "version", "", "Shows the versions of client and service", NULL,
	  NULL, run_version },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
