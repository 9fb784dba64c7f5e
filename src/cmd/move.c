/* SPDX-License-Identifier: MIT */

/* drover move: a running machine goes to another host. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/watch.h"

enum { TITLE_WIDTH = 15, WIDTH = 80 };

enum {
	MOVE_DOWNTIME_LIMIT,
	MOVE_TIMEOUT,
	MOVE_ON_TIMEOUT,
	MOVE_CONVERGE,
	MOVE_DISKS,
	MOVE_DISK,
	MOVE_PAUSED,
	MOVE_MODE,
	MOVE_RDMA,
	MOVE_NETWORK,
	MOVE_CONNECTIONS,
	MOVE_PRIORITY,
	MOVE_WEIGHT,
	MOVE_LIMIT,
	MOVE_BACKGROUND,
	MOVE_ANY,
	MOVE_ESTIMATE,
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
	[MOVE_DISKS] = { "disks", NULL,
			 "its disks go with it, those that the definition\n"
			 "does not call shared" },
	[MOVE_DISK] = { "disk", "NAME=PATH",
			"with --disks: where this one lies there; a\n"
			"pool of that host's is NAME=POOL:",
			.repeatable = true },
	[MOVE_PAUSED] = { "paused", NULL,
			  "leave the machine paused after the move" },
	[MOVE_MODE] = { "mode", "MODE",
			"tcp or compression, over one pair of cards\n"
			"at a time; multichannel or auto, over all" },
	[MOVE_RDMA] = { "rdma", "WHAT",
			"pages by RDMA: prefer, where both hosts can;\n"
			"require; off" },
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
	[MOVE_WEIGHT] = { "weight", "NUMBER",
			  "its part beside the host's other moves, by\n"
			  "default 100" },
	[MOVE_LIMIT] = { "limit", "RATE",
			 "what it sends at most, such as 500Mbit" },
	[MOVE_BACKGROUND] = { "background", NULL, "do not wait for the end" },
	[MOVE_ANY] = { "any", NULL, "to the host that a drain would choose" },
	[MOVE_ESTIMATE] = { "estimate", NULL,
			    "say how long it would take, and start nothing" },
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
	    (r = call_set_number(body, "priority", o[MOVE_PRIORITY], e)) < 0 ||
	    (r = call_set_number(body, "weight", o[MOVE_WEIGHT], e)) < 0 ||
	    (r = call_set_rate(body, "limit", o[MOVE_LIMIT], e)) < 0)
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
	call_set_text(body, "rdma", o[MOVE_RDMA]);
	call_set_list(body, "networks", c, MOVE_NETWORK);
	if (o[MOVE_DISKS])
		json_object_set_new(body, "disks", json_true());
	call_set_list(body, "disk_paths", c, MOVE_DISK);
	if (o[MOVE_PAUSED])
		json_object_set_new(body, "paused", json_true());
	return 0;
}

/* --- before it */

static void print_line(const char *title, const char *text)
{
	output_wrapped(stdout, title, TITLE_WIDTH, text, WIDTH);
}

static void print_memory(const json_t *found)
{
	char all[OUTPUT_CELL], used[OUTPUT_CELL], text[2 * OUTPUT_CELL + 32];

	format_bytes(all, output_find(found, "memory"));
	format_bytes(used, output_find(found, "used"));
	snprintf(text, sizeof(text), "%s, of which %s hold something", all,
		 used);
	print_line("Memory", text);
}

static void print_rates(const json_t *found)
{
	const json_t *dirty = output_find(found, "dirty_rate");
	const json_t *rate = output_find(found, "rate");
	char cell[OUTPUT_CELL], text[OUTPUT_CELL + 64];

	format_bytes(cell, dirty);
	if (json_is_number(dirty))
		snprintf(text, sizeof(text), "%s/s, sampled", cell);
	else
		snprintf(text, sizeof(text), "not known: QEMU does not say");
	print_line("Guest dirties", text);
	format_bytes(cell, rate);
	if (!json_is_number(rate))
		snprintf(text, sizeof(text), "not known");
	else if (json_is_true(output_find(found, "rate_measured")))
		snprintf(text, sizeof(text), "%s/s, as in moves before", cell);
	else
		snprintf(text, sizeof(text),
			 "%s/s, by what the cards say: no move has been there "
			 "since droverd was started",
			 cell);
	print_line("Paths carry", text);
}

static void time_text(char *buf, size_t cap, const json_t *ms)
{
	if (json_is_number(ms))
		progress_time(buf, cap, json_number_value(ms));
	else
		snprintf(buf, cap, "?");
}

static void print_time(const json_t *found)
{
	const char *ends = output_string(found, "ends");
	const char *sure = output_string(found, "sure");
	char least[16], likely[16], most[16], text[128];

	time_text(least, sizeof(least), output_find(found, "time_least_ms"));
	time_text(likely, sizeof(likely), output_find(found, "time_ms"));
	time_text(most, sizeof(most), output_find(found, "time_most_ms"));
	snprintf(text, sizeof(text), "%s, %s to %s", likely, least, most);
	print_line("Takes",
		   json_is_number(output_find(found, "time_ms")) ? text : "?");
	time_text(likely, sizeof(likely), output_find(found, "downtime_ms"));
	print_line("Stands still", likely);
	print_line("Ends", ends ? ends : "?");
	print_line("Sure", sure ? sure : "?");
}

static void show_estimate(struct call *c, const json_t *found)
{
	const char *advice = output_string(found, "advice");

	if (c->json) {
		output_json(stdout, found);
		return;
	}
	print_memory(found);
	print_rates(found);
	print_time(found);
	if (advice)
		print_line("Advice", advice);
}

static int ask_estimate(struct call *c, json_t *body, struct error *e)
{
	AUTO_JSON json_t *found = NULL;
	char path[128];
	int r;

	if ((r = call_path(path, sizeof(path), "/v1/machines/", c->words[0],
			   "/estimate", e)) < 0 ||
	    (r = client_post(c->client, path, body, &found, e)) < 0)
		return r;
	show_estimate(c, found);
	return STATUS_DONE;
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
	if (c->options[MOVE_ESTIMATE])
		return ask_estimate(c, body, e);
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
