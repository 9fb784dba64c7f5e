/* SPDX-License-Identifier: MIT */

/* drover move: a running machine goes to another host. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "cmd/command.h"
#include "cmd/watch.h"

enum {
	MOVE_DOWNTIME_LIMIT,
	MOVE_TIMEOUT,
	MOVE_ON_TIMEOUT,
	MOVE_CONVERGE,
	MOVE_PAUSED,
	MOVE_MODE,
	MOVE_NETWORK,
	MOVE_CONNECTIONS,
	MOVE_PRIORITY,
	MOVE_BACKGROUND,
	MOVE_ANY,
	MOVE_OPTION, /* until the next version */
};

static const struct command_option move_options[] = {
	[MOVE_DOWNTIME_LIMIT] = { "downtime-limit", "DURATION",
				  "how long the guest may be paused,\n"
				  "such as 300ms" },
	[MOVE_TIMEOUT] = { "timeout", "DURATION",
			   "how long the move may take, such as 10min" },
	[MOVE_ON_TIMEOUT] = { "on-timeout", "WHAT",
			      "then: abort (the guest stays) or\n"
			      "force (as --converge pause)" },
	[MOVE_CONVERGE] = { "converge", "WHAT",
			    "about a guest that is too fast: none, or\n"
			    "throttle (it is slowed down), pause (it is\n"
			    "paused at the time-out), throttle,pause" },
	[MOVE_PAUSED] = { "paused", NULL,
			  "leave the machine paused after the move" },
	[MOVE_MODE] = { "mode", "MODE",
			"tcp or compression, over one pair of cards\n"
			"at a time; multichannel or auto, over all" },
	[MOVE_NETWORK] = { "network", "LINE",
			   "use only these networks, such as\n"
			   "'10.0.0.0/24 eth1'; give it again for those\n"
			   "that are less preferred",
			   .repeatable = true },
	[MOVE_CONNECTIONS] = { "connections", "NUMBER",
			       "at most, over all cards" },
	[MOVE_PRIORITY] = { "priority", "NUMBER",
			    "in the queue, where it waits: 0 to 100,\n"
			    "the highest first (50)" },
	[MOVE_BACKGROUND] = { "background", NULL, "do not wait for the end" },
	[MOVE_ANY] = { "any", NULL, "to the host that a drain would choose" },
	[MOVE_OPTION] = { "option", "MODE", .now = "mode" },
	{ NULL, NULL, NULL },
};

static int fill_body(json_t *body, const struct call *c, struct error *e)
{
	const char *const *o = c->options;
	int r;

	if (!c->words[1] && !o[MOVE_ANY])
		return error_set(e, EINVAL, "HOST is missing");
	if (c->words[1] && o[MOVE_ANY])
		return error_set(e, EINVAL,
				 "HOST and --any exclude each other");
	call_set_text(body, "host", c->words[1]);
	if (o[MOVE_ANY])
		json_object_set_new(body, "any", json_true());
	if ((r = call_set_ms(body, "downtime_limit_ms", o[MOVE_DOWNTIME_LIMIT],
			     e)) < 0 ||
	    (r = call_set_ms(body, "timeout_ms", o[MOVE_TIMEOUT], e)) < 0 ||
	    (r = call_set_number(body, "connections", o[MOVE_CONNECTIONS], e)) <
		    0 ||
	    (r = call_set_number(body, "priority", o[MOVE_PRIORITY], e)) < 0)
		return r;
	if (o[MOVE_ON_TIMEOUT] && strcmp(o[MOVE_ON_TIMEOUT], "abort") != 0 &&
	    strcmp(o[MOVE_ON_TIMEOUT], "force") != 0)
		return error_set(e, EINVAL,
				 "--on-timeout is abort or force, not '%.64s'",
				 o[MOVE_ON_TIMEOUT]);
	call_set_text(body, "on_timeout", o[MOVE_ON_TIMEOUT]);
	if ((r = call_set_words(body, "converge", o[MOVE_CONVERGE], e)) < 0)
		return r;
	/* 0.1 knows the field by this name only. */
	call_set_text(body, "option", o[MOVE_MODE]);
	call_set_list(body, "networks", c, MOVE_NETWORK);
	if (o[MOVE_PAUSED])
		json_object_set_new(body, "paused", json_true());
	return 0;
}

static int run_move(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body = json_object();
	json_t *job = NULL;
	char path[128];
	int r;

	if ((r = call_path(path, sizeof(path), "/v1/machines/", c->words[0],
			   "/move", e)) < 0 ||
	    (r = fill_body(body, c, e)) < 0)
		return r;
	if (!c->options[MOVE_BACKGROUND])
		watch_prepare();
	if ((r = client_post(c->client, path, body, &job, e)) < 0)
		return r;
	return watch_new_job(c, job, c->options[MOVE_BACKGROUND] != NULL, e);
}

const struct command move_commands[] = {
	{ NULL, "move", "VM [HOST]", "Moves a running machine to another host",
	  "Shows how far the move is, then its report.  Ctrl-C cancels the "
	  "move;\nthe guest then goes on running here.  So many move at once "
	  "(max-moves), the\nrest waits for its turn.",
	  move_options, run_move },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
