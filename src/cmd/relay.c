/* SPDX-License-Identifier: MIT */

/* drover relay: carries a migration that somebody else manages. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cmd/command.h"
#include "cmd/watch.h"

enum { ACCEPT_QEMU, ACCEPT_PID, ACCEPT_BACKGROUND };

static const struct command_option accept_options[] = {
	[ACCEPT_QEMU] = { "qemu", "PATH",
			  "the socket of qemu -incoming unix:PATH, or\n"
			  "tcp:127.0.0.1:PORT (needed)" },
	[ACCEPT_PID] = { "pid", "PID",
			 "the process that it should be: any other is\n"
			 "refused" },
	[ACCEPT_BACKGROUND] = { "background", NULL, "do not wait for the end" },
	{ NULL, NULL, NULL },
};

enum {
	CONNECT_LISTEN,
	CONNECT_USER,
	CONNECT_MODE,
	CONNECT_DOWNTIME_LIMIT,
	CONNECT_BACKGROUND
};

static const struct command_option connect_options[] = {
	[CONNECT_LISTEN] = { "listen", "PATH",
			     "the socket to make, or tcp:127.0.0.1:PORT; then\n"
			     "give QEMU the command: migrate unix:PATH "
			     "(needed)" },
	[CONNECT_USER] = { "socket-user", "NAME",
			   "the user that QEMU runs as, who gets the\n"
			   "socket" },
	[CONNECT_MODE] = { "socket-mode", "MODE",
			   "the mode of the socket, such as 0660;\n"
			   "0600 by default" },
	[CONNECT_DOWNTIME_LIMIT] = { "downtime-limit", "DURATION",
				     "has no effect any more: QEMU's own "
				     "limit\n"
				     "counts" },
	[CONNECT_BACKGROUND] = { "background", NULL,
				 "do not wait for the end" },
	{ NULL, NULL, NULL },
};

/* The service has another working folder than the user. */
static int set_path(json_t *body, const char *key, const char *value,
		    struct error *e)
{
	char folder[PATH_MAX], whole[2 * PATH_MAX];

	if (!value || !value[0])
		return error_set(e, EINVAL, "--%s PATH is missing", key);
	if (value[0] == '/' || !strncmp(value, "tcp:", 4) ||
	    !strncmp(value, "unix:", 5))
		return call_set_text(body, key, value);
	if (!getcwd(folder, sizeof(folder)))
		return error_sys(e, "find the working folder");
	if (snprintf(whole, sizeof(whole), "%s/%s", folder, value) >=
	    (int)sizeof(whole))
		return error_set(e, EINVAL, "--%s: the path is too long", key);
	return call_set_text(body, key, whole);
}

static int start(struct call *c, const json_t *body, bool background,
		 struct error *e)
{
	json_t *job = NULL;
	int r;

	if (!background)
		watch_prepare();
	if ((r = client_post(c->client, "/v1/relays", body, &job, e)) < 0)
		return r;
	return watch_new_job(c, job, background, e);
}

static int run_accept(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body = json_object();
	int r;

	call_set_text(body, "role", "accept");
	call_set_text(body, "name", c->words[0]);
	if ((r = set_path(body, "qemu", c->options[ACCEPT_QEMU], e)) < 0 ||
	    (r = call_set_number(body, "pid", c->options[ACCEPT_PID], e)) < 0)
		return r;
	return start(c, body, c->options[ACCEPT_BACKGROUND] != NULL, e);
}

static int run_connect(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body = json_object();
	int r;

	call_set_text(body, "role", "connect");
	call_set_text(body, "name", c->words[0]);
	call_set_text(body, "host", c->words[1]);
	if ((r = set_path(body, "listen", c->options[CONNECT_LISTEN], e)) < 0 ||
	    (r = call_set_text(body, "socket_user", c->options[CONNECT_USER])) <
		    0 ||
	    (r = call_set_text(body, "socket_mode", c->options[CONNECT_MODE])) <
		    0)
		return r;
	if (c->options[CONNECT_DOWNTIME_LIMIT])
		fprintf(stderr, "drover: --downtime-limit has no effect on a "
				"relay: QEMU's own downtime-limit counts\n");
	return start(c, body, c->options[CONNECT_BACKGROUND] != NULL, e);
}

const struct command relay_commands[] = {
	{ "relay", "accept", "NAME", "Carries a migration to a QEMU here",
	  "Run this on the destination, where QEMU waits with -incoming.",
	  accept_options, run_accept },
	{ "relay", "connect", "NAME HOST", "Carries a migration from here",
	  "Run this on the source; NAME is what 'drover relay accept' on HOST "
	  "was given.",
	  connect_options, run_connect },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
