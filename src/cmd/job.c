/* SPDX-License-Identifier: MIT */

/* drover job: moves and relays, running and ended. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/watch.h"

enum { PATH_CAP = 128, ID_CAP = 65 };

static void format_day(char buf[static OUTPUT_CELL], const json_t *value)
{
	char wall[OUTPUT_CELL];

	format_wall(wall, value);
	/* Without the year and the seconds. */
	snprintf(buf, OUTPUT_CELL, "%.11s", strlen(wall) > 5 ? wall + 5 : wall);
}

static void format_took(char buf[static OUTPUT_CELL], const json_t *value)
{
	progress_time(buf, OUTPUT_CELL, json_number_value(value) * 1000);
}

static void format_limit(char buf[static OUTPUT_CELL], const json_t *value)
{
	json_int_t rate = json_integer_value(value);

	if (rate > 0)
		text_exact_rate(buf, OUTPUT_CELL, (uint64_t)rate);
	else
		snprintf(buf, OUTPUT_CELL, "none");
}

static const struct output_field list_fields[] = {
	{ "ID", "id", format_text, false },
	{ "KIND", "kind", format_text, false },
	{ "MACHINE", "machine", format_text, false },
	{ "ROLE", "role", format_text, false },
	{ "PEER", "peer", format_text, false },
	{ "STATE", "now", format_text, false },
	{ "PLACE", "queue.place", format_text, true },
	{ "DONE", "progress.percent", format_percent, true },
	{ "STARTED", "started", format_day, false },
	{ "TOOK", "took", format_took, true },
	{ NULL, NULL, NULL, false },
};

static const struct output_field show_fields[] = {
	{ "Job", "id", format_text, false },
	{ "Kind", "kind", format_text, false },
	{ "Machine", "machine", format_text, false },
	{ "Role here", "role", format_text, false },
	{ "Peer", "peer", format_text, false },
	{ "State", "state", format_text, false },
	{ "Stage", "stage", format_text, false },
	{ "Priority", "priority", format_text, false },
	{ "Waits for", "waits_for", format_text, false },
	{ "Starts", "starts", format_text, false },
	{ "Again of", "after", format_text, false },
	{ "Now job", "again", format_text, false },
	{ "Weight", "weight", format_text, false },
	{ "Limit", "limit", format_limit, false },
	{ "Started", "started", format_wall, false },
	{ "Ended", "ended", format_wall, false },
	{ "Took", "took", format_took, false },
	{ NULL, NULL, NULL, false },
};

/* Of one that waits: where, why, and how long probably. */
static void add_queue(json_t *job, double now)
{
	const json_t *at = output_find(job, "queue");
	const json_t *start = output_find(at, "expected_start");
	char text[OUTPUT_CELL], in[32];

	if (!json_is_object(at))
		return;
	snprintf(text, sizeof(text), "place %.0f of %.0f: %s",
		 output_number(at, "place"), output_number(at, "of"),
		 output_string(at, "why"));
	json_object_set_new(job, "waits_for", output_text(text));
	if (!json_is_number(start))
		return;
	progress_time(in, sizeof(in), (json_number_value(start) - now) * 1000);
	snprintf(text, sizeof(text), "in about %s", in);
	json_object_set_new(job, "starts", json_string(text));
}

/* For people: of one that runs, its stage; how long until its end, or now. */
static void add_words(json_t *job)
{
	const char *state = output_string(job, "state");
	bool runs = state && !strcmp(state, "running");
	const json_t *ended = output_find(job, "ended");
	double now = (double)clock_wall_us() / USEC_PER_SEC;
	double end = json_is_number(ended) ? json_number_value(ended) : now;

	json_object_set_new(job, "now",
			    json_string(runs ? output_string(job, "stage")
					     : state));
	add_queue(job, now);
	json_object_set_new(job, "took",
			    json_real(end - output_number(job, "started")));
}

static int run_list(struct call *c, struct error *e)
{
	AUTO_JSON json_t *list = NULL;
	json_t *job;
	size_t i;
	int r = client_get(c->client, "/v1/jobs", &list, e);

	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, list);
	json_array_foreach (list, i, job)
		add_words(job);
	if (!c->json)
		output_table(stdout, list_fields, list, "There are no jobs.");
	return 0;
}

static void print_job(const struct call *c, json_t *job)
{
	const char *error = output_string(job, "error");
	const char *advice = output_string(job, "advice");
	const char *state = output_string(job, "state");
	char line[128];

	if (c->json) {
		output_json(stdout, job);
		return;
	}
	add_words(job);
	output_fields(stdout, show_fields, job);
	if (error)
		output_wrapped(stdout, "Error", 11, error, 80);
	if (advice)
		output_wrapped(stdout, "Advice", 11, advice, 80);
	if (state && !strcmp(state, "running")) {
		progress_line(line, sizeof(line), job, 80);
		puts(line);
	}
	report_print(stdout, job);
}

static int run_show(struct call *c, struct error *e)
{
	AUTO_JSON json_t *job = NULL;
	char path[PATH_CAP];
	int r;

	if ((r = call_path(path, sizeof(path), "/v1/jobs/", c->words[0], "",
			   e)) < 0 ||
	    (r = client_get(c->client, path, &job, e)) < 0)
		return r;
	print_job(c, job);
	return 0;
}

/* Of the machine @name: the last that has not ended, else the last.  NULL:
 * there is none. */
static const char *id_of_machine(const json_t *jobs, const char *name)
{
	const char *found = NULL;
	bool goes_on = false;
	const json_t *job;
	size_t i;

	json_array_foreach (jobs, i, job) { /* the oldest first */
		const char *machine = output_string(job, "machine");
		const bool ended = !json_is_null(json_object_get(job, "ended"));

		if (!machine || strcmp(machine, name) != 0 ||
		    (goes_on && ended))
			continue;
		found = output_string(job, "id");
		goes_on = !ended;
	}
	return found;
}

/* Where @r says that there is no such job: that of the machine of this name. */
static bool is_machine(struct call *c, int r, char id[static ID_CAP])
{
	AUTO_JSON json_t *jobs = NULL;
	struct error ignored;
	const char *found;

	if (!client_found_none(c->client, r) ||
	    client_get(c->client, "/v1/jobs", &jobs, &ignored) < 0)
		return false;
	found = id_of_machine(jobs, c->words[0]);
	if (found)
		snprintf(id, ID_CAP, "%s", found);
	return found != NULL;
}

static int follow(struct call *c, enum watch_interrupt interrupt,
		  struct error *e)
{
	char id[ID_CAP];
	int r;

	watch_prepare();
	r = watch_job(c, c->words[0], interrupt, e);
	return is_machine(c, r, id) ? watch_job(c, id, interrupt, e) : r;
}

static int run_watch(struct call *c, struct error *e)
{
	return follow(c, WATCH_LEAVES, e);
}

static int run_wait(struct call *c, struct error *e)
{
	return follow(c, WATCH_WAITS, e);
}

static int cancel(struct call *c, const char *id, json_t **ret, struct error *e)
{
	char path[PATH_CAP];
	int r = call_path(path, sizeof(path), "/v1/jobs/", id, "/cancel", e);

	return r < 0 ? r : client_post(c->client, path, NULL, ret, e);
}

static int run_cancel(struct call *c, struct error *e)
{
	AUTO_JSON json_t *job = NULL;
	char id[ID_CAP];
	int r;

	snprintf(id, sizeof(id), "%s", c->words[0]);
	r = cancel(c, id, &job, e);
	if (is_machine(c, r, id))
		r = cancel(c, id, &job, e);
	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, job);
	else
		printf("Job %s is being cancelled.\n", id);
	return 0;
}

enum { RESOLVE_RUN_HERE, RESOLVE_GIVE_UP };

static const struct command_option resolve_options[] = {
	[RESOLVE_RUN_HERE] = { "run-here", NULL,
			       "this host keeps the machine and continues\n"
			       "it: only if it does not run on the peer" },
	[RESOLVE_GIVE_UP] = { "give-up", NULL,
			      "this host gives the machine up: it runs,\n"
			      "or will run, on the peer" },
	{ NULL, NULL, NULL },
};

static int run_resolve(struct call *c, struct error *e)
{
	bool here = c->options[RESOLVE_RUN_HERE] != NULL;
	AUTO_JSON json_t *body = json_object();
	AUTO_JSON json_t *job = NULL;
	char path[PATH_CAP];
	int r;

	if (here == (c->options[RESOLVE_GIVE_UP] != NULL))
		return error_set(e, EINVAL,
				 "say either --run-here or --give-up");
	json_object_set_new(body, "run_here", json_boolean(here));
	if ((r = call_path(path, sizeof(path), "/v1/jobs/", c->words[0],
			   "/resolve", e)) < 0 ||
	    (r = client_post(c->client, path, body, &job, e)) < 0)
		return r;
	if (c->json)
		output_json(stdout, job);
	else
		printf(here ? "Job %s is resolved: the machine runs here.\n"
			    : "Job %s is resolved: this host gave the machine "
			      "up.\n",
		       c->words[0]);
	return 0;
}

enum {
	SET_CONVERGE,
	SET_DOWNTIME_LIMIT,
	SET_TIMEOUT,
	SET_PRIORITY,
	SET_WEIGHT,
	SET_LIMIT
};

static const struct command_option set_options[] = {
	[SET_CONVERGE] = { "converge", "WHAT",
			   "about a guest that is too fast: none,\n"
			   "throttle, pause or throttle,pause" },
	[SET_DOWNTIME_LIMIT] = { "downtime-limit", "DURATION",
				 "how long the guest may be paused" },
	[SET_TIMEOUT] = { "timeout", "DURATION",
			  "how long it may take, since its begin" },
	[SET_PRIORITY] = { "priority", "NUMBER",
			   "in the queue, while it waits: 0 to 100" },
	[SET_WEIGHT] = { "weight", "NUMBER",
			 "its part beside the host's other moves" },
	[SET_LIMIT] = { "limit", "RATE",
			"what it sends at most, such as 500Mbit; 0 for\n"
			"no limit" },
	{ NULL, NULL, NULL },
};

static int run_set(struct call *c, struct error *e)
{
	const char *const *o = c->options;
	AUTO_JSON json_t *body = json_object();
	AUTO_JSON json_t *job = NULL;
	char path[PATH_CAP];
	int r;

	if ((r = call_set_words(body, "converge", o[SET_CONVERGE], e)) < 0 ||
	    (r = call_set_ms(body, "downtime_limit_ms", o[SET_DOWNTIME_LIMIT],
			     e)) < 0 ||
	    (r = call_set_ms(body, "timeout_ms", o[SET_TIMEOUT], e)) < 0 ||
	    (r = call_set_number(body, "priority", o[SET_PRIORITY], e)) < 0 ||
	    (r = call_set_number(body, "weight", o[SET_WEIGHT], e)) < 0 ||
	    (r = call_set_rate(body, "limit", o[SET_LIMIT], e)) < 0)
		return r;
	if (json_object_size(body) == 0)
		return error_set(e, EINVAL, "say what is to be set");
	if ((r = call_path(path, sizeof(path), "/v1/jobs/", c->words[0], "/set",
			   e)) < 0 ||
	    (r = client_post(c->client, path, body, &job, e)) < 0)
		return r;
	if (c->json)
		output_json(stdout, job);
	else
		printf("Job %s goes by that from here on.\n", c->words[0]);
	return 0;
}

const struct command job_commands[] = {
	{ "job", "list", "", "Lists moves and relays", NULL, NULL, run_list },
	{ "job", "show", "JOB", "Shows one job and its report", NULL, NULL,
	  run_show },
	{ "job", "watch", "JOB", "Follows a job until it ends",
	  "JOB is its id, or a machine's name: then its last job.\n"
	  "Ctrl-C only stops watching.",
	  NULL, run_watch },
	{ "job", "wait", "JOB", "Waits until a job ends, and says nothing else",
	  "JOB is its id, or a machine's name: then its last job.\n"
	  "The exit status is that of the job.  Ctrl-C only stops waiting.",
	  NULL, run_wait },
	{ "job", "cancel", "JOB", "Cancels a job",
	  "JOB is its id, or a machine's name: then its last job.\n"
	  "A move that is not committed is undone: the guest goes on running "
	  "at its\nsource.",
	  NULL, run_cancel },
	{ "job", "set", "JOB", "Changes what a move may do",
	  "As long as its guest still runs here; of one that waits, its "
	  "priority.",
	  set_options, run_set },
	{ "job", "resolve", "JOB", "Decides a job that is in doubt",
	  "When the hosts lost each other at the very moment of the hand-over, "
	  "only you\ncan know where the machine runs.  Look at both hosts "
	  "first: a machine that\nruns on two hosts destroys its disks.",
	  resolve_options, run_resolve },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
