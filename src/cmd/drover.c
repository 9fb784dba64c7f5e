/* SPDX-License-Identifier: MIT */

/*
 * drover: finds the command in the tables, parses its options, runs it, and
 * turns what it gives into one line and an exit status.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "cmd/command.h"
#include "cmd/output.h"

#define DEFAULT_SOCKET "/run/drover/drover.sock"

enum { OPTIONS_MAX = 24, OPTION_BASE = 256, TEXT_CAP = 160 };

static const struct command *const tables[] = {
	vm_commands,      move_commands,    compare_commands, disk_commands,
	pool_commands,    drain_commands,   job_commands,     host_commands,
	trust_commands,   nic_commands,     relay_commands,   log_commands,
	debug_commands,   version_commands, copy_commands,    metrics_commands,
	history_commands, top_commands,
};

static void print_usage_of(FILE *to, const struct command *c)
{
	fprintf(to, "drover %s%s%s%s%s", c->group ? c->group : "",
		c->group ? " " : "", c->name, c->words[0] ? " " : "", c->words);
}

static void print_line(const struct command *c)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s%s%s%s", c->group ? c->group : "",
		 c->group ? " " : "", c->name, c->words[0] ? " " : "",
		 c->words);
	printf("  %-26s %s\n", name, c->summary);
}

/* All commands, or those of one group. */
static int print_commands(const char *group)
{
	printf("Usage: drover [-S SOCKET] %s [OPTION]...\n\n",
	       group ? group : "COMMAND");
	if (!group)
		printf("Moves running virtual machines between hosts, by way "
		       "of droverd.\n\n");
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct command *c = tables[t]; c->name; c++)
			if (!group || (c->group && !strcmp(c->group, group)))
				print_line(c);
	printf("\n"
	       "  -S, --socket SOCKET   the service's socket, else "
	       "$DROVER_SOCKET, else\n"
	       "                        %s\n"
	       "      --json            output for machines\n"
	       "      --help            what a command does and its options\n",
	       DEFAULT_SOCKET);
	return 0;
}

static void print_option(const char *name, const char *argument,
			 const char *help)
{
	char left[40];

	snprintf(left, sizeof(left), "--%s%s%s", name, argument ? " " : "",
		 argument ? argument : "");
	printf("  %-26s ", left);
	for (; *help; help++) {
		putchar(*help);
		if (*help == '\n')
			printf("%29s", "");
	}
	putchar('\n');
}

static int print_help(const struct command *c)
{
	printf("Usage: ");
	print_usage_of(stdout, c);
	printf(" [OPTION]...\n\n%s.\n", c->summary);
	if (c->text)
		printf("\n%s\n", c->text);
	printf("\n");
	for (const struct command_option *o = c->options; o && o->name; o++)
		if (!o->now)
			print_option(o->name, o->argument, o->help);
	print_option("json", NULL, "output for machines");
	print_option("socket", "SOCKET", "the service's socket (also -S)");
	print_option("help", NULL, "this text");
	return 0;
}

static int wrong_usage(const struct call *call, const struct command *c,
		       const char *group, const char *text)
{
	char whole[512];

	if (c)
		group = c->group;
	snprintf(whole, sizeof(whole), "%s; try 'drover %s%s%s%s--help'", text,
		 group ? group : "", group ? " " : "", c ? c->name : "",
		 c ? " " : "");
	return call_fail(call, outcome_of_code(-EINVAL), whole, NULL);
}

/* The command that argv[0] (and argv[1], for a group) names. */
static const struct command *find_command(char **argv, const char **ret_group)
{
	*ret_group = NULL;
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		for (const struct command *c = tables[t]; c->name; c++) {
			if (!c->group && !strcmp(c->name, argv[0]))
				return c;
			if (!c->group || strcmp(c->group, argv[0]) != 0)
				continue;
			*ret_group = c->group;
			if (argv[1] && !strcmp(c->name, argv[1]))
				return c;
		}
	}
	return NULL;
}

/* How many words a command needs; @ret_most: and may have, those in brackets
 * too. */
static int count_words(const char *words, int *ret_most)
{
	int n = words[0] != '\0', optional = 0;

	for (; *words; words++) {
		n += *words == ' ';
		optional += *words == '[';
	}
	*ret_most = n;
	return n - optional;
}

/* "VALUE..." stands for one or more.  False: @text says what is wrong. */
static bool words_fit(char text[static TEXT_CAP], const char *words,
		      char **given, int count)
{
	const size_t len = strlen(words);
	const bool more = len > 3 && !strcmp(words + len - 3, "...");
	int most, least = count_words(words, &most);

	if (count > most && !more) {
		snprintf(text, TEXT_CAP, "'%.64s' is one word too many",
			 given[most]);
		return false;
	}
	if (count >= least)
		return true;
	for (; count > 0; count--)
		words += strcspn(words, " ") + 1;
	snprintf(text, TEXT_CAP, "%.*s is missing", (int)strcspn(words, " ."),
		 words);
	return false;
}

enum parsed {
	PARSED_RUN,
	PARSED_HELP,
	PARSED_UNKNOWN,
	PARSED_BARE,
	PARSED_MANY,
};

/* The place of an option of before is that of what it is called now. */
static int place_now(const struct call *call, const struct command *c,
		     int place)
{
	const char *now = c->options[place].now;

	if (!now)
		return place;
	call_warn(call,
		  "--%s is called --%s now; the next version will not know it",
		  c->options[place].name, now);
	for (place = 0; strcmp(c->options[place].name, now) != 0;)
		place++;
	return place;
}

/* False when that is one too many. */
static bool keep_option(struct call *call, const struct command *c, int place,
			const char *value)
{
	assert(c->options);
	place = place_now(call, c, place);
	call->options[place] = value;
	if (!c->options[place].repeatable)
		return true;
	if (call->repeats == CALL_REPEATS_MAX)
		return false;
	call->repeat[call->repeats].option = place;
	call->repeat[call->repeats++].value = value;
	return true;
}

/* getopt_long() with the command's own options and those that all have. */
static enum parsed parse_options(const struct command *c, struct call *call,
				 int argc, char **argv)
{
	struct option all[OPTIONS_MAX + 4] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "socket", required_argument, NULL, 'S' },
	};
	int n = 3, o;

	for (int i = 0; c->options && c->options[i].name; i++) {
		assert(i < OPTIONS_MAX);
		all[n++] = (struct option){
			.name = c->options[i].name,
			.has_arg = c->options[i].argument ? required_argument
							  : no_argument,
			.val = OPTION_BASE + i,
		};
	}
	optind = 0;
	opterr = 0;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads */
	while ((o = getopt_long(argc, argv, ":hS:", all, NULL)) != -1) {
		if (o == 'j')
			call->json = true;
		else if (o == 'S')
			call->socket = optarg;
		else if (o == 'h')
			return PARSED_HELP;
		else if (o < OPTION_BASE)
			return o == ':' ? PARSED_BARE : PARSED_UNKNOWN;
		else if (!keep_option(call, c, o - OPTION_BASE,
				      optarg ? optarg : ""))
			return PARSED_MANY;
	}
	return PARSED_RUN;
}

static int say_wrong_option(const struct call *call, const struct command *c,
			    enum parsed p, const char *option)
{
	static const struct {
		const char *before, *after;
	} wrong[] = {
		[PARSED_UNKNOWN] = { "there is no option ", "" },
		[PARSED_BARE] = { "", " needs a value" },
		[PARSED_MANY] = { "an option is given too often, at ", "" },
	};
	char text[TEXT_CAP];

	snprintf(text, sizeof(text), "%s%.100s%s", wrong[p].before, option,
		 wrong[p].after);
	return wrong_usage(call, c, NULL, text);
}

static int report_failure(struct call *call, const struct command *c, int r,
			  const struct error *e)
{
	if (r >= 0)
		return r;
	if (r == -EINVAL)
		return wrong_usage(call, c, NULL, e->text);
	if (r == -EREMOTEIO)
		return call_fail(call, client_refusal(call->client), e->text,
				 NULL);
	/* Whatever the command was. */
	if (r == -ENOTCONN)
		call->title[0] = '\0';
	return call_fail(call, outcome_of_code(r), e->text, NULL);
}

static int parse_and_run(struct call *call, const struct command *c, int argc,
			 char **argv)
{
	struct error e = { 0 };
	char text[TEXT_CAP];
	enum parsed p;
	int r;

	p = parse_options(c, call, argc, argv);
	if (p == PARSED_HELP)
		return print_help(c);
	if (p != PARSED_RUN)
		return say_wrong_option(call, c, p, argv[optind - 1]);
	if (!words_fit(text, c->words, argv + optind, argc - optind))
		return wrong_usage(call, c, NULL, text);
	call->words = argv + optind;
	snprintf(call->title, sizeof(call->title), "%s%s%s%s%.64s",
		 c->group ? c->group : "", c->group ? " " : "", c->name,
		 call->words[0] ? " " : "",
		 call->words[0] ? call->words[0] : "");
	r = client_new(&call->client, call->socket, &e);
	if (r == 0)
		r = c->run(call, &e);
	r = report_failure(call, c, r, &e);
	client_free(call->client);
	return r;
}

static int run_command(struct call *call, const struct command *c, int argc,
		       char **argv)
{
	const char *options[OPTIONS_MAX] = { NULL };
	int r;

	call->options = options;
	r = parse_and_run(call, c, argc, argv);
	call->options = NULL;
	return r;
}

static int dispatch(struct call *call, int argc, char **argv)
{
	const struct command *c;
	const char *group;
	char text[TEXT_CAP];

	if (argc == 0)
		return wrong_usage(call, NULL, NULL, "the command is missing");
	c = find_command(argv, &group);
	/* getopt skips the first word: for a group, its second one. */
	if (c)
		return run_command(call, c, argc - (c->group != NULL),
				   argv + (c->group != NULL));
	if (!strcmp(argv[0], "help"))
		return print_commands(NULL);
	if (group && argc > 1 &&
	    (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return print_commands(group);
	if (group && argc == 1)
		snprintf(text, sizeof(text),
			 "what 'drover %s' shall do is missing", group);
	else
		snprintf(text, sizeof(text),
			 "there is no command '%.40s%s%.40s'", argv[0],
			 group ? " " : "", group ? argv[1] : "");
	return wrong_usage(call, NULL, group, text);
}

/* Also of a command line that cannot be parsed. */
static bool asks_for_json(char **argv)
{
	for (; *argv && strcmp(*argv, "--") != 0; argv++)
		if (!strcmp(*argv, "--json"))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static const struct option global[] = {
		{ "socket", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads */
	const char *socket = getenv("DROVER_SOCKET");
	struct call call = { .json = asks_for_json(argv),
			     .socket = DEFAULT_SOCKET };
	int o;

	if (socket && socket[0])
		call.socket = socket;
	opterr = 0;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads */
	while ((o = getopt_long(argc, argv, "+:S:hV", global, NULL)) != -1) {
		if (o == 'S') {
			call.socket = optarg;
		} else if (o == 'h') {
			return output_end(print_commands(NULL));
		} else if (o == 'V') {
			printf("drover %s\n", DROVER_VERSION);
			return output_end(STATUS_DONE);
		} else {
			return wrong_usage(&call, NULL, NULL,
					   "there is no such option, or its "
					   "value is missing");
		}
	}
	return output_end(dispatch(&call, argc - optind, argv + optind));
}
