/* SPDX-License-Identifier: MIT */

/* drover vm: the machines of this host. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/watch.h"

enum { PATH_CAP = 128, DEFINITION_MAX = 1 << 20, URL_CAP = 900 };

static void format_outdated(char buf[static OUTPUT_CELL], const json_t *value)
{
	snprintf(buf, OUTPUT_CELL, "%s",
		 json_is_true(value)    ? "an older one"
		 : json_is_false(value) ? "as installed"
					: "-");
}

static const struct output_field list_fields[] = {
	{ "NAME", "name", format_text, false },
	{ "STATE", "state", format_text, false },
	{ "MEMORY", "memory", format_bytes, true },
	{ "CPUS", "vcpus", format_text, true },
	{ "PID", "pid", format_text, true },
	{ "QEMU", "outdated", format_outdated, false },
	{ "JOB", "job", format_text, false },
	{ NULL, NULL, NULL, false },
};

static const struct output_field show_fields[] = {
	{ "Name", "name", format_text, false },
	{ "UUID", "uuid", format_text, false },
	{ "State", "state", format_text, false },
	{ "QEMU says", "status", format_text, false },
	{ "Lost", "lost", format_text, false },
	{ "Process", "pid", format_text, false },
	{ "Memory", "memory", format_bytes, false },
	{ "In huge pages", "huge_pages", format_bytes, false },
	{ "None because", "why_small", format_text, false },
	{ "Processors", "vcpus", format_text, false },
	{ "Machine type", "machine", format_text, false },
	{ "QEMU", "qemu", format_text, false },
	{ "Runs in", "outdated", format_outdated, false },
	{ "Job", "job", format_text, false },
	{ "Adopted", "adopted", format_yes_no, false },
	{ "Run folder", "run_dir", format_text, false },
	{ NULL, NULL, NULL, false },
};

static void print_machine(const struct call *c, const json_t *machine)
{
	if (c->json)
		output_json(stdout, machine);
	else
		output_fields(stdout, show_fields, machine);
}

static int run_list(struct call *c, struct error *e)
{
	return call_list(c, "/v1/machines", list_fields,
			 "There are no machines here.", e);
}

enum { SHOW_DEFINITION };

static const struct command_option show_options[] = {
	[SHOW_DEFINITION] = { "definition", NULL,
			      "its definition, as vm define reads it" },
	{ NULL, NULL, NULL },
};

static int print_definition(const struct call *c, const json_t *machine,
			    struct error *e)
{
	const char *text =
		json_string_value(json_object_get(machine, "definition"));

	if (!text)
		return error_set(e, ENODATA,
				 "its definition cannot be read, or has not "
				 "come here yet");
	if (c->json)
		output_json(stdout, json_object_get(machine, "definition"));
	else
		fputs(text, stdout);
	return 0;
}

static int run_show(struct call *c, struct error *e)
{
	AUTO_JSON json_t *machine = NULL;
	char path[PATH_CAP];
	int r;

	if ((r = call_path(path, sizeof(path), "/v1/machines/", c->words[0], "",
			   e)) < 0 ||
	    (r = client_get(c->client, path, &machine, e)) < 0)
		return r;
	if (c->options[SHOW_DEFINITION])
		return print_definition(c, machine, e);
	print_machine(c, machine);
	return 0;
}

/* A request, and one line that says how the machine is. */
static int change_with(struct call *c, const char *verb, const char *after,
		       const json_t *body, const char *did, struct error *e)
{
	AUTO_JSON json_t *machine = NULL;
	char path[PATH_CAP];
	const struct client_request rq = { .verb = verb,
					   .path = path,
					   .body = body };
	int r;

	if ((r = call_path(path, sizeof(path), "/v1/machines/", c->words[0],
			   after, e)) < 0 ||
	    (r = client_call(c->client, &rq, &machine, e)) < 0)
		return r;
	if (c->json)
		output_json(stdout, machine);
	else
		printf("%s %s.\n", c->words[0],
		       json_is_true(json_object_get(machine, "unchanged"))
			       ? "runs already"
			       : did);
	return 0;
}

static int change(struct call *c, const char *verb, const char *after,
		  const char *did, struct error *e)
{
	return change_with(c, verb, after, NULL, did, e);
}

/* With @option: 1, and said, where there is no such machine.  It is asked for
 * by itself: a service of before knows not all that is asked then. */
static int skips(struct call *c, int option, struct error *e)
{
	AUTO_JSON json_t *machine = NULL;
	char path[PATH_CAP];
	int r;

	if (!c->options[option])
		return 0;
	if ((r = call_path(path, sizeof(path), "/v1/machines/", c->words[0], "",
			   e)) < 0)
		return r;
	r = client_get(c->client, path, &machine, e);
	if (!client_found_none(c->client, r))
		return r;
	if (c->json)
		puts("null");
	else
		printf("There is no machine called %s here.\n", c->words[0]);
	return 1;
}

enum { START_ANYWAY };

static const struct command_option start_options[] = {
	[START_ANYWAY] = { "anyway", NULL,
			   "also if it may run where it was last seen" },
	{ NULL, NULL, NULL },
};

/* Without the option the request is as every version knows it. */
static int run_start(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body = c->options[START_ANYWAY]
					 ? json_pack("{s:b}", "anyway", 1)
					 : NULL;

	return change_with(c, "POST", "/start", body, "is started", e);
}

enum { STOP_NOW, STOP_TIMEOUT, STOP_IF_EXISTS };

static const struct command_option stop_options[] = {
	[STOP_NOW] = { "now", NULL, "cut the power; the guest is not asked" },
	[STOP_TIMEOUT] = { "timeout", "DURATION",
			   "how long the guest may take, else what the\n"
			   "definition says, or 90s" },
	[STOP_IF_EXISTS] = { "if-exists", NULL,
			     "it is no failure if there is none" },
	{ NULL, NULL, NULL },
};

static int set_wait(struct call *c, json_t *body, struct error *e)
{
	const char *timeout = c->options[STOP_TIMEOUT];

	if (c->options[STOP_NOW] && timeout)
		return error_set(e, EINVAL,
				 "--now does not wait: leave --timeout out");
	return call_set_ms(body, "timeout_ms", timeout, e);
}

/* A service of before knows no /shutdown, and cuts no power for it. */
static int run_stop(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body = json_object();
	int r;

	if ((r = set_wait(c, body, e)) < 0 ||
	    (r = skips(c, STOP_IF_EXISTS, e)) < 0)
		return r;
	if (r > 0)
		return STATUS_DONE;
	if (c->options[STOP_NOW])
		return change(c, "POST", "/stop", "is stopped", e);
	return change_with(c, "POST", "/shutdown", body, "is off", e);
}

static const struct command_option restart_options[] = {
	[STOP_NOW] = { "now", NULL, "cut the power; the guest is not asked" },
	[STOP_TIMEOUT] = { "timeout", "DURATION",
			   "how long the guest may take, else what the\n"
			   "definition says, or 90s" },
	{ NULL, NULL, NULL },
};

static int run_restart(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body = json_object();
	int r = set_wait(c, body, e);

	if (r < 0)
		return r;
	if (c->options[STOP_NOW])
		json_object_set_new(body, "now", json_true());
	return change_with(c, "POST", "/restart", body, "is started anew", e);
}

static int run_pause(struct call *c, struct error *e)
{
	return change(c, "POST", "/pause", "is paused", e);
}

static int run_resume(struct call *c, struct error *e)
{
	return change(c, "POST", "/resume", "goes on", e);
}

enum { FORGET_LEAVE, FORGET_IF_EXISTS };

static const struct command_option forget_options[] = {
	[FORGET_LEAVE] = { "leave-running", NULL,
			   "also if it runs: its QEMU runs on" },
	[FORGET_IF_EXISTS] = { "if-exists", NULL,
			       "it is no failure if there is none" },
	{ NULL, NULL, NULL },
};

static int run_forget(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body =
		c->options[FORGET_LEAVE]
			? json_pack("{s:b}", "leave_running", 1)
			: NULL;
	int r = skips(c, FORGET_IF_EXISTS, e);

	if (r != 0)
		return r < 0 ? r : STATUS_DONE;
	return change_with(c, "DELETE", "", body, "is forgotten", e);
}

static int read_stream(char **ret, FILE *from, const char *name,
		       struct error *e)
{
	AUTO_FREE char *text = malloc(DEFINITION_MAX + 1);
	size_t n;

	if (!text)
		return error_set(e, ENOMEM, "no memory for %s", name);
	n = fread(text, 1, DEFINITION_MAX + 1, from);
	if (ferror(from))
		return error_sys(e, "read %s", name);
	if (n > DEFINITION_MAX)
		return error_set(e, EFBIG, "%s is longer than 1 MiB", name);
	text[n] = '\0';
	if (strlen(text) != n)
		return error_set(e, EBADMSG, "%s is not a text file", name);
	*ret = take_ptr(&text);
	return 0;
}

static int read_definition(char **ret, const char *name, struct error *e)
{
	FILE *f;
	int r;

	if (!strcmp(name, "-"))
		return read_stream(ret, stdin, "standard input", e);
	f = fopen(name, "re");
	if (!f)
		return error_sys(e, "open %s", name);
	r = read_stream(ret, f, name, e);
	fclose(f);
	return r;
}

static int run_define(struct call *c, struct error *e)
{
	const char *name = c->words[0];
	AUTO_FREE char *text = NULL, *escaped = NULL;
	AUTO_JSON json_t *machine = NULL;
	char path[URL_CAP];
	struct client_request rq = { .verb = "PUT", .path = path };
	int r;

	if ((r = read_definition(&text, name, e)) < 0)
		return r;
	escaped = client_escape(strcmp(name, "-") ? name : "standard input");
	if (!escaped)
		return error_set(e, ENOMEM, "no memory for the request");
	snprintf(path, sizeof(path), "/v1/machines?file=%s", escaped);
	rq.text = text;
	if ((r = client_call(c->client, &rq, &machine, e)) < 0)
		return r;
	print_machine(c, machine);
	return 0;
}

enum { ADOPT_NAME, ADOPT_USER };

static const struct command_option adopt_options[] = {
	[ADOPT_NAME] = { "name", "NAME",
			 "the machine's name, else QEMU's own" },
	[ADOPT_USER] = { "user", "NAME",
			 "the QEMU is this user's, and not ours" },
	{ NULL, NULL, NULL },
};

static int run_adopt(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body = json_object();
	AUTO_JSON json_t *machine = NULL;
	int r;

	if ((r = call_set_number(body, "pid", c->words[0], e)) < 0)
		return r;
	call_set_text(body, "name", c->options[ADOPT_NAME]);
	call_set_text(body, "user", c->options[ADOPT_USER]);
	if ((r = client_post(c->client, "/v1/adopt", body, &machine, e)) < 0)
		return r;
	print_machine(c, machine);
	return 0;
}

enum { UPDATE_ALL };

static const struct command_option update_options[] = {
	[UPDATE_ALL] = { "all", NULL,
			 "all machines whose QEMU is older than the\n"
			 "one installed, one after the other" },
	{ NULL, NULL, NULL },
};

/* STATUS_DONE, or what became of it. */
static int update_one(struct call *c, const char *name, struct error *e)
{
	json_t *job = NULL;
	char path[PATH_CAP];
	int r;

	if ((r = call_path(path, sizeof(path), "/v1/machines/", name, "/update",
			   e)) < 0 ||
	    (r = client_post(c->client, path, NULL, &job, e)) < 0)
		return r;
	return watch_new_job(c, job, false, e);
}

/* Why @m, which runs, is not updated. */
static void say_skipped(const struct call *c, const json_t *m, const char *name)
{
	if (c->json || !json_is_integer(json_object_get(m, "pid")))
		return;
	if (json_is_false(json_object_get(m, "outdated")))
		printf("%s has the QEMU that is installed.\n", name);
	else
		printf("%s is left out: whether its QEMU is older than the one "
		       "installed is not known.  'drover vm update %s' updates "
		       "it all the same.\n",
		       name, name);
}

/* One that fails goes on in its old QEMU; the others are no worse for it.
 * What stops one for good is said for it, and the first that failed counts. */
static int update_all(struct call *c, struct error *e)
{
	AUTO_JSON json_t *list = NULL;
	int r = client_get(c->client, "/v1/machines", &list, e);
	int status = STATUS_DONE;
	size_t i;
	json_t *m;

	if (r < 0)
		return r;
	json_array_foreach (list, i, m) {
		const char *name = output_string(m, "name");

		if (!name)
			continue;
		if (!json_is_true(json_object_get(m, "outdated"))) {
			say_skipped(c, m, name);
			continue;
		}
		r = update_one(c, name, e);
		if (r == STATUS_CANCELLED)
			return r;
		if (r < 0) {
			error_in(e, "%s", name);
			r = call_fail(c, outcome_of_code(r), e->text, NULL);
		}
		if (status == STATUS_DONE)
			status = r;
	}
	return status;
}

static int run_update(struct call *c, struct error *e)
{
	bool all = c->options[UPDATE_ALL];

	if (all == (c->words[0] != NULL))
		return error_set(e, EINVAL,
				 "name one machine, or use --all for those "
				 "whose QEMU is older than the one installed");
	watch_prepare();
	return all ? update_all(c, e) : update_one(c, c->words[0], e);
}

const struct command vm_commands[] = {
	{ "vm", "list", "", "Lists the machines of this host", NULL, NULL,
	  run_list },
	{ "vm", "show", "VM", "Shows one machine", NULL, show_options,
	  run_show },
	{ "vm", "define", "FILE", "Makes or changes a machine from a file",
	  "FILE holds the machine's definition; '-' reads standard input.",
	  NULL, run_define },
	{ "vm", "start", "VM", "Starts a machine", NULL, start_options,
	  run_start },
	{ "vm", "stop", "VM", "Asks a guest to power off, and waits for that",
	  "A guest that does not within the time runs on.", stop_options,
	  run_stop },
	{ "vm", "restart", "VM",
	  "Stops a machine as vm stop does, and starts it",
	  "Its definition is read anew, and the QEMU that is installed taken.\n"
	  "One that does not run is started.",
	  restart_options, run_restart },
	{ "vm", "pause", "VM", "Pauses the guest of a machine", NULL, NULL,
	  run_pause },
	{ "vm", "resume", "VM", "Continues a guest that is paused", NULL, NULL,
	  run_resume },
	{ "vm", "update", "[VM]", "Puts a new QEMU under a running guest",
	  "The QEMU that is installed now is started beside the machine's own, "
	  "and\nthe guest goes over to it.  Ctrl-C cancels that; the guest "
	  "then "
	  "goes on in\nthe old one.",
	  update_options, run_update },
	{ "vm", "adopt", "PID", "Takes over a QEMU that already runs",
	  "PID is the number of its process.  The guest does not notice.",
	  adopt_options, run_adopt },
	{ "vm", "forget", "VM", "Forgets a machine",
	  "One that runs has to be stopped first.", forget_options,
	  run_forget },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
