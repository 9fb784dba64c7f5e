/* SPDX-License-Identifier: MIT */

/* drover drain, return, capacity: a host is emptied, and filled again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cmd/command.h"
#include "cmd/output.h"

enum { POLL_NS = 200000000, LINE = 700 };

/* --- a plan */

static void format_seconds(char buf[static OUTPUT_CELL], const json_t *value)
{
	const double s = json_number_value(value);

	text_duration(buf, OUTPUT_CELL,
		      s > 0 ? (uint64_t)(s * USEC_PER_SEC) : 0);
}

static const struct output_field goes_fields[] = {
	{ "MACHINE", "name", format_text, false },
	{ "TO", "to", format_text, false },
	{ "BEGINS AFTER", "starts", format_seconds, true },
	{ "THERE AFTER", "ends", format_seconds, true },
	{ NULL, NULL, NULL, false },
};

static bool has_fate(const json_t *machine, const char *fate)
{
	const char *is = output_string(machine, "fate");

	return is && !strcmp(is, fate);
}

static json_t *with_fate(const json_t *record, const char *fate)
{
	json_t *some = json_array(), *one;
	size_t i;

	json_array_foreach (json_object_get(record, "machines"), i, one)
		if (has_fate(one, fate))
			json_array_append(some, one);
	return some;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = output_string(object, key);

	return text ? text : "";
}

/* "after this, " */
static void print_spare(const json_t *spare, const char *when)
{
	const char *host = output_string(spare, "host");
	const int n = (int)output_number(spare, "machines");
	char bytes[32], line[LINE];

	if (!spare || json_is_null(spare))
		return;
	text_bytes(bytes, sizeof(bytes),
		   (uint64_t)output_number(spare, "memory"));
	if (!host)
		snprintf(line, sizeof(line), "No host has machines.");
	else if (json_is_true(json_object_get(spare, "enough")))
		snprintf(line, sizeof(line),
			 "%sany one host could fail: its machines would find "
			 "room on the others.",
			 when);
	else
		snprintf(line, sizeof(line),
			 "%s%s must not fail: %d of its machines (%s) would "
			 "find no room; %s.",
			 when, host, n, bytes, text_of(spare, "why"));
	output_wrapped(stdout, "", 0, line, output_width());
}

static void print_plan(const json_t *record)
{
	AUTO_JSON json_t *go = with_fate(record, "waits");
	AUTO_JSON json_t *stay = with_fate(record, "stays");
	char took[OUTPUT_CELL];
	json_t *one;
	size_t i;

	json_array_foreach (stay, i, one)
		printf("%s stays: %s\n", text_of(one, "name"),
		       text_of(one, "why"));
	if (json_array_size(stay) > 0)
		putchar('\n');
	output_table(stdout, goes_fields, go, "No machine is to be moved.");
	if (json_array_size(go) > 0) {
		format_seconds(took, json_object_get(record, "seconds"));
		printf("\nAbout %s for all of them, if their memory does not "
		       "change meanwhile.\n",
		       took);
	}
	print_spare(json_object_get(record, "spare"), "After this, ");
	fflush(stdout);
}

/* --- how it goes on */

static bool is_same(const json_t *m, const json_t *before, const char *key)
{
	return json_equal(json_object_get(m, key),
			  json_object_get(before, key));
}

/* One line for each machine whose fate is another one, or that stays for
 * another reason. */
static void print_change(const json_t *m, const json_t *before)
{
	const char *name = text_of(m, "name"), *why = text_of(m, "why");

	if (before && is_same(m, before, "fate") &&
	    (!has_fate(m, "stays") || is_same(m, before, "why"))) {
		if (json_is_true(json_object_get(m, "asked")) &&
		    !is_same(m, before, "asked"))
			printf("%s is asked to power off\n", name);
		return;
	}
	if (has_fate(m, "moves"))
		printf("%s moves to %s: job %s\n", name, text_of(m, "to"),
		       text_of(m, "job"));
	else if (has_fate(m, "moved") && !why[0])
		printf("%s is on %s\n", name, text_of(m, "to"));
	else if (has_fate(m, "comes"))
		printf("%s comes back from %s\n", name, text_of(m, "to"));
	else if (has_fate(m, "back"))
		printf("%s is back\n", name);
	else if (has_fate(m, "stopped"))
		printf("%s is stopped\n", name);
	else if (has_fate(m, "stays"))
		printf("%s stays: %s\n", name, why);
	else if (why[0])
		printf("%s waits: %s\n", name, why);
}

static const json_t *same_machine(const json_t *record, const json_t *m)
{
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(record, "machines"), i, one)
		if (!strcmp(text_of(one, "uuid"), text_of(m, "uuid")))
			return one;
	return NULL;
}

static void print_changes(const struct call *c, const json_t *now,
			  const json_t *before)
{
	json_t *one;
	size_t i;

	if (json_equal(now, before))
		return;
	if (c->json) {
		output_json_line(stdout, now);
	} else {
		json_array_foreach (json_object_get(now, "machines"), i, one)
			print_change(one, same_machine(before, one));
	}
	fflush(stdout);
}

static bool is_state(const json_t *record, const char *state)
{
	return !strcmp(text_of(record, "state"), state);
}

static int conclude(const struct call *c, const json_t *record,
		    const char *good, const char *advice)
{
	AUTO_JSON json_t *stay = with_fate(record, "stays");
	AUTO_JSON json_t *away = with_fate(record, "moved");
	const size_t n = json_array_size(strcmp(good, "none") ? stay : away);
	char text[80];

	if (is_state(record, good))
		return STATUS_DONE;
	if (n == 0) /* what is here, and does not run */
		snprintf(text, sizeof(text), "its state is '%s'",
			 text_of(record, "state"));
	else
		snprintf(text, sizeof(text), "its state is '%s': %zu machine%s",
			 text_of(record, "state"), n, n == 1 ? "" : "s");
	return call_fail(c, outcome_of_code(-EIO), text, advice);
}

/* Takes the reference @record, of a drain or a return that has begun. */
static int follow(struct call *c, json_t *record, const char *good,
		  const char *advice, struct error *e)
{
	AUTO_JSON json_t *now = record;

	while (is_state(now, "draining") || is_state(now, "returning")) {
		AUTO_JSON json_t *before = now;
		int r;

		now = NULL;
		if (ferror(stdout))
			return STATUS_DONE;
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
		r = client_get(c->client, "/v1/drain", &now, e);
		if (r < 0)
			return r;
		print_changes(c, now, before);
	}
	return conclude(c, now, good, advice);
}

/* --- the commands */

enum {
	DRAIN_TO,
	DRAIN_PLAN,
	DRAIN_STOP,
	DRAIN_BACKGROUND,
	DRAIN_RESUME,
	DRAIN_CANCEL,
	DRAIN_SHOW,
};

static const struct command_option drain_options[] = {
	[DRAIN_TO] = { "to", "HOST",
		       "only to this host; give it again for more",
		       .repeatable = true },
	[DRAIN_PLAN] = { "plan", NULL, "show what would be, and do nothing" },
	[DRAIN_STOP] = { "stop-the-rest", NULL,
			 "ask the guests of those that cannot be moved\n"
			 "to power off, once the others have gone" },
	[DRAIN_BACKGROUND] = { "background", NULL, "do not wait for the end" },
	[DRAIN_RESUME] = { "resume", NULL,
			   "go on with one that has ended too early" },
	[DRAIN_CANCEL] = { "cancel", NULL,
			   "end it: machines come and start here again;\n"
			   "what has left stays where it is" },
	[DRAIN_SHOW] = { "show", NULL, "how far it is" },
	{ NULL, NULL, NULL },
};

static const char resume_advice[] =
	"'drover drain --resume' tries again, 'drover drain --show' says why";

static const struct output_field show_fields[] = {
	{ "MACHINE", "name", format_text, false },
	{ "FATE", "fate", format_text, false },
	{ "HOST", "to", format_text, false },
	{ "WHY", "why", format_text, false },
	{ NULL, NULL, NULL, false },
};

static int show(const struct call *c, const json_t *record)
{
	if (c->json) {
		output_json(stdout, record);
		return 0;
	}
	printf("State: %s\n\n", text_of(record, "state"));
	output_table(stdout, show_fields, json_object_get(record, "machines"),
		     "No machine has been moved.");
	return 0;
}

/* Only one of these is a command of its own. */
static int check_options(const struct call *c, struct error *e)
{
	static const int alone[] = { DRAIN_PLAN, DRAIN_RESUME, DRAIN_CANCEL,
				     DRAIN_SHOW };
	const char *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(alone); i++) {
		const char *name = drain_options[alone[i]].name;

		if (!c->options[alone[i]])
			continue;
		if (first)
			return error_set(e, EINVAL,
					 "--%s and --%s exclude each other",
					 first, name);
		first = name;
	}
	if (first && strcmp(first, "plan") != 0 &&
	    (c->options[DRAIN_TO] || c->options[DRAIN_STOP]))
		return error_set(e, EINVAL,
				 "--%s goes by what the drain began with: "
				 "leave --to and --stop-the-rest out",
				 first);
	return 0;
}

static int cancel(struct call *c, struct error *e)
{
	const struct client_request rq = { .verb = "DELETE",
					   .path = "/v1/drain" };
	AUTO_JSON json_t *record = NULL;
	int r = client_call(c->client, &rq, &record, e);

	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, record);
	else
		printf("This host is not drained any more.\n");
	return 0;
}

static int plan(struct call *c, const json_t *body, struct error *e)
{
	AUTO_JSON json_t *record = NULL;
	int r = client_post(c->client, "/v1/drain/plan", body, &record, e);

	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, record);
	else
		print_plan(record);
	return 0;
}

static int begin(struct call *c, const char *path, const json_t *body,
		 struct error *e)
{
	json_t *record = NULL;
	int r = client_post(c->client, path, body, &record, e);

	if (r < 0)
		return r;
	if (c->json)
		output_json_line(stdout, record);
	else
		print_plan(record);
	if (c->options[DRAIN_BACKGROUND]) {
		json_decref(record);
		return 0;
	}
	return follow(c, record, "drained", resume_advice, e);
}

static int run_drain(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body = json_object();
	AUTO_JSON json_t *record = NULL;
	int r = check_options(c, e);

	if (r < 0)
		return r;
	if (c->options[DRAIN_CANCEL])
		return cancel(c, e);
	if (c->options[DRAIN_SHOW]) {
		r = client_get(c->client, "/v1/drain", &record, e);
		return r < 0 ? r : show(c, record);
	}
	if (c->options[DRAIN_RESUME])
		return begin(c, "/v1/drain/resume", NULL, e);
	call_set_list(body, "to", c, DRAIN_TO);
	if (c->options[DRAIN_STOP])
		json_object_set_new(body, "stop_the_rest", json_true());
	return c->options[DRAIN_PLAN] ? plan(c, body, e)
				      : begin(c, "/v1/drain", body, e);
}

enum { RETURN_BACKGROUND };

static const struct command_option return_options[] = {
	[RETURN_BACKGROUND] = { "background", NULL, "do not wait for the end" },
	{ NULL, NULL, NULL },
};

static int run_return(struct call *c, struct error *e)
{
	json_t *record = NULL;
	int r = client_post(c->client, "/v1/return", NULL, &record, e);

	if (r < 0)
		return r;
	if (c->json)
		output_json_line(stdout, record);
	if (c->options[RETURN_BACKGROUND]) {
		json_decref(record);
		return 0;
	}
	return follow(c, record, "none",
		      "'drover return' tries again, 'drover drain --show' "
		      "says why",
		      e);
}

static int run_capacity(struct call *c, struct error *e)
{
	AUTO_JSON json_t *spare = NULL;
	int r = client_get(c->client, "/v1/capacity", &spare, e);

	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, spare);
	else
		print_spare(spare, "Now ");
	return json_is_true(json_object_get(spare, "enough")) ? STATUS_DONE
							      : STATUS_FAILED;
}

const struct command drain_commands[] = {
	{ NULL, "drain", "", "Moves all machines away from this host",
	  "Says first what goes where, and what cannot go and why.  The host\n"
	  "takes and starts no machine until 'drover return', or --cancel.\n"
	  "Ctrl-C ends the command and not the drain.",
	  drain_options, run_drain },
	{ NULL, "return", "", "Brings back what a drain has moved away",
	  "The hosts that have those machines move them back.  From then on\n"
	  "this host takes and starts machines again.",
	  return_options, run_return },
	{ NULL, "capacity", "", "Says whether any one host could fail",
	  "Would the machines of each host find room on the others?  The exit\n"
	  "status is 1 if not.",
	  NULL, run_capacity },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
