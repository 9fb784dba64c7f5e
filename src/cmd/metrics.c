/* SPDX-License-Identifier: MIT */

/* drover metrics: what Prometheus reads, for a person or in a file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/scope.h"
#include "base/text.h"
#include "cmd/client.h"
#include "cmd/command.h"

enum { METRICS_WRITE };

static const struct command_option metrics_options[] = {
	[METRICS_WRITE] = { "write", "FILE",
			    "into it, replaced as a whole, for\n"
			    "node_exporter's textfile collector",
			    false, NULL },
	{ NULL, NULL, NULL, false, NULL },
};

/* Its reader runs as somebody else. */
static int write_file(const char *path, const char *text, struct error *e)
{
	AUTO_FREE char *folder = file_folder(path);

	if (!folder)
		return error_set(e, ENOMEM, "no memory for %s", path);
	if (access(folder, F_OK) < 0)
		return error_sys(e, "write %s: the folder %s", path, folder);
	return file_save(folder, strrchr(path, '/') + 1, text, 0644, e);
}

static int run_metrics(struct call *c, struct error *e)
{
	const char *path = c->options[METRICS_WRITE];
	AUTO_FREE char *text = NULL;

	if (path && text_check_path("write", path, e) < 0)
		return error_code(e);
	if (client_get_text(c->client, "/metrics", &text, e) < 0)
		return error_code(e);
	if (path)
		return write_file(path, text, e);
	fputs(text, stdout);
	return 0;
}

const struct command metrics_commands[] = {
	{ NULL, "metrics", "", "Shows what Prometheus reads",
	  "Cards, moves, guests and memory of this host, as the service saw "
	  "them within\nthe last second: docs/metrics.md has the names.",
	  metrics_options, run_metrics },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
