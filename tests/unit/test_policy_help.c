/* SPDX-License-Identifier: MIT */

/* The policy against what real QEMUs say of themselves. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "qemu.h"
#include "qemu/policy.h"

typedef void each_name(const char *program, const char *name);

static FILE *run(const char *program, const char *arguments)
{
	char command[8500];
	FILE *out;

	snprintf(command, sizeof(command), "timeout 20 %s %s </dev/null",
		 program, arguments);
	out = popen(command, "r");
	assert_non_null(out);
	return out;
}

static bool complains(const char *program, const char *arguments,
		      const char *words)
{
	char line[8300];
	FILE *out;
	bool found = false;

	snprintf(line, sizeof(line), "%s 2>&1", arguments);
	out = run(program, line);
	while (fgets(line, sizeof(line), out))
		found |= strstr(line, words) != NULL;
	pclose(out);
	return found;
}

static char with_values[8192];

static void option_is_known(const char *program, const char *name)
{
	size_t used = strlen(with_values);
	char arguments[128];

	if (policy_class_of(name) == POLICY_UNKNOWN)
		fail_msg("%s has an option -%s, which "
			 "src/qemu/policy_options.c does not know",
			 program, name);
	/* A value that is taken for an option, or the other way round, would
	 * be a way around all the rest. */
	if (policy_takes_value(name)) {
		snprintf(with_values + used, sizeof(with_values) - used,
			 " -%s -zzz", name);
		return;
	}
	snprintf(arguments, sizeof(arguments), "-%s -zzz", name);
	if (!complains(program, arguments, "-zzz: invalid option"))
		fail_msg("%s: -%s takes a value", program, name);
}

/* "-h or -help     display", "-fda/-fdb file  use", "--preconfig     pause" */
static int names_of_line(const char *program, char *line, each_name *each)
{
	char *save = NULL;
	int count = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *word = strtok_r(line, " /", &save); word;
	     word = strtok_r(NULL, " /", &save)) {
		if (!strcmp(word, "or"))
			continue;
		if (word[0] != '-' || !word[1])
			break;
		each(program, word + strspn(word, "-"));
		count++;
	}
	return count;
}

static int walk_options(const char *program)
{
	FILE *out = run(program, "-help");
	char line[1024], seen[64] = "";
	int count = 0;

	with_values[0] = '\0';
	while (fgets(line, sizeof(line), out)) {
		size_t n = strcspn(line, " \n");

		/* An option has a line for each of its forms. */
		if (line[0] != '-' || (n < sizeof(seen) && seen[n] == '\0' &&
				       !strncmp(seen, line, n)))
			continue;
		snprintf(seen, sizeof(seen), "%.*s", (int)n, line);
		count += names_of_line(program, line, option_is_known);
	}
	pclose(out);
	/* Each takes the word behind it, so that the last alone is left. */
	strcat(with_values, " -yyy");
	if (!complains(program, with_values, "-yyy: invalid option"))
		fail_msg("%s: one of these takes no value:%s", program,
			 with_values);
	return count;
}

static int walk_kinds(const char *program, const char *option)
{
	char arguments[64], line[256], name[128], more[128];
	FILE *out;
	int count = 0;

	snprintf(arguments, sizeof(arguments), "-M none -%s help 2>/dev/null",
		 option);
	out = run(program, arguments);
	while (fgets(line, sizeof(line), out)) {
		/* Titles have blanks in them and end with a colon. */
		if (sscanf(line, " %127s %127s", name, more) != 1 ||
		    strchr(name, ':'))
			continue;
		if (policy_class_of_kind(option, name) == POLICY_UNKNOWN)
			fail_msg("%s: -%s %s is in no list of src/qemu/policy*",
				 program, option, name);
		count++;
	}
	pclose(out);
	return count;
}

static void walk(const char *program)
{
	static const char *const kinds[] = { "object", "chardev", "netdev" };
	int options = walk_options(program);

	if (options < 100)
		fail_msg("%s: only %d options in its -help", program, options);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int n = walk_kinds(program, kinds[i]);

		if (n < 8)
			fail_msg("%s: only %d kinds of -%s", program, n,
				 kinds[i]);
	}
	print_message("%s: %d options\n", program, options);
}

static void every_option_of_the_installed_qemu_is_in_a_class(void **state)
{
	const char *program = qemu_for_tests();

	(void)state;
	if (!program)
		skip();
	walk(program);
}

static void every_option_of_qemu_10_is_in_a_class(void **state)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char program[512];

	(void)state;
	snprintf(program, sizeof(program),
		 "%s%s/drover/qemu10/qemu-system-x86_64",
		 cache  ? cache
		 : home ? home
			: "",
		 cache ? "" : "/.cache");
	if (access(program, X_OK) < 0) {
		print_message("no %s, which tools/fetch-qemu10 unpacks: "
			      "skipped\n",
			      program);
		skip();
	}
	walk(program);
}

static void what_drover_sets_is_refused_too(void **state)
{
	static const char *const own[] = {
		"accel",   "cpu",       "enable-kvm", "m",
		"M",       "machine",   "mem-path",   "name",
		"smp",     "daemonize", "incoming",   "mem-prealloc",
		"pidfile", "preconfig", "S"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		assert_int_equal(policy_class_of(own[i]), POLICY_REFUSED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			every_option_of_the_installed_qemu_is_in_a_class),
		cmocka_unit_test(every_option_of_qemu_10_is_in_a_class),
		cmocka_unit_test(what_drover_sets_is_refused_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
