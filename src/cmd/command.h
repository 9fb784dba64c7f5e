/* SPDX-License-Identifier: MIT */

/*
 * What a command of drover is: an entry of a const table, one table per group,
 * each in its own file.  drover.c finds the entry, parses the options that it
 * names, opens the client and calls run().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cmd/client.h"
#include "cmd/outcome.h"

struct error;
struct output_field;

struct command_option {
	const char *name;     /* "downtime-limit" */
	const char *argument; /* "DURATION"; NULL: a switch */
	const char *help;     /* lines parted by '\n', at most 50 wide */
	bool repeatable;      /* all its values are kept, in order */
	const char *now;      /* of before: what it is called now */
};

enum { CALL_REPEATS_MAX = 64 };

struct call {
	struct client *client;
	char title[160];      /* "move web1", in front of complaints */
	char **words;         /* as the command asks for; ends with NULL */
	const char **options; /* by place in the table; NULL: not given */
	struct {
		int option;
		const char *value;
	} repeat[CALL_REPEATS_MAX]; /* of those that are repeatable */
	size_t repeats;
	const char *socket;
	bool json;
};

/* run() gives 0, another enum status when it has said itself what failed, or a
 * negative errno value with the error's text; -EINVAL stands for wrong usage
 * (what the service refuses is -EREMOTEIO). */
struct command {
	const char *group; /* NULL: a command of one word */
	const char *name;
	const char *words;   /* "VM [HOST]", "SETTING VALUE..." */
	const char *summary; /* one line */
	const char *text;    /* more for --help, or NULL */
	const struct command_option *options; /* ends with a NULL name */
	int (*run)(struct call *c, struct error *e);
};

/* Each ends with an entry without a name. */
extern const struct command vm_commands[];
extern const struct command move_commands[];
extern const struct command compare_commands[];
extern const struct command copy_commands[];
extern const struct command disk_commands[];
extern const struct command pool_commands[];
extern const struct command drain_commands[];
extern const struct command job_commands[];
extern const struct command host_commands[];
extern const struct command nic_commands[];
extern const struct command relay_commands[];
extern const struct command trust_commands[];
extern const struct command log_commands[];
extern const struct command debug_commands[];
extern const struct command metrics_commands[];
extern const struct command history_commands[];
extern const struct command top_commands[];
extern const struct command version_commands[];

/* What the user should know besides: one line on standard error, "drover:
 * TITLE: ...", with --json {"warning": "..."}. */
void call_warn(const struct call *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Why the command fails, likewise; with --json an object with error, kind,
 * status, command and advice.  @advice may be NULL.  Gives the status. */
int call_fail(const struct call *c, const struct outcome *o, const char *text,
	      const char *advice);

/* @before, @name and @after in a row, once @name is known to be a name. */
int call_path(char *buf, size_t cap, const char *before, const char *name,
	      const char *after, struct error *e);

/* What the API lists at @path, as a table, or @none where there is nothing. */
int call_list(const struct call *c, const char *path,
	      const struct output_field *fields, const char *none,
	      struct error *e);

/* Option values into @body; an option that was not given is left out. */
int call_set_text(json_t *body, const char *key, const char *value);
int call_set_list(json_t *body, const char *key, const struct call *c,
		  int option);
/* "a,b" or "a b" as a list. */
int call_set_words(json_t *body, const char *key, const char *value,
		   struct error *e);
int call_set_ms(json_t *body, const char *key, const char *value,
		struct error *e);
/* "500Mbit" as bytes a second. */
int call_set_rate(json_t *body, const char *key, const char *value,
		  struct error *e);
int call_set_number(json_t *body, const char *key, const char *value,
		    struct error *e);
