/* SPDX-License-Identifier: MIT */

/* drover host: this host and the ones it knows. */
#include <stdio.h>

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

static int run_show(struct call *c, struct error *e)
{
	AUTO_JSON json_t *host = NULL;
	int r = client_get(c->client, "/v1/host", &host, e);

	if (r < 0)
		return r;
	if (c->json) {
		output_json(stdout, host);
		return 0;
	}
	output_fields(stdout, show_fields, host);
	putchar('\n');
	output_table(stdout, peer_fields, output_find(host, "peers"),
		     "No peers are configured.");
	return 0;
}

const struct command host_commands[] = {
	{ "host", "show", "", "Shows this host and its peers", NULL, NULL,
	  run_show },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
