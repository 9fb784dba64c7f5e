/* SPDX-License-Identifier: MIT */

/*
 * A QEMU is played here: what it says is read, and a guest is taken back from
 * one whose monitor is silent for longer than a command waits.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "base/words.h"
#include "qemu/monitor.h"
#include "qemu/nodes.h"
#include "qemu/qmp.h"

#define GREETING \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, " \
	"\"major\": 7}}, \"capabilities\": []}}\n"

enum { COMMAND_MS = 100 };

static const char *const commands[] = { "query-migrate", "migrate_cancel",
					"query-status", "cont" };

enum { REPLY_CAP = 1024 };

/* What it says to a command that is not one of those. */
struct said {
	const char *command, *reply;
};

/* What it is told it does at once.  The first reply to each of the commands
 * comes only when the next command has come. */
struct slow_qemu {
	FILE *commands_in; /* of the thread, until that has ended */
	int fd;
	bool mute; /* says nothing at all */
	bool migrates, runs;
	unsigned asked[ARRAY_SIZE(commands)];
	char held[REPLY_CAP];
	const struct said *script; /* ends with a NULL; NULL: none */
	atomic_uint commands;      /* that came */
	pthread_t thread;
};

/* For a thread, where cmocka's assertions cannot be used. */
static void must(bool what, const char *why)
{
	if (what)
		return;
	fprintf(stderr, "%s\n", why);
	abort();
}

static void say(const struct slow_qemu *v, const char *text)
{
	ssize_t n = send(v->fd, text, strlen(text), MSG_NOSIGNAL);

	must(n == (ssize_t)strlen(text), "write to the monitor's user");
}

static const char *carry_out(struct slow_qemu *v, const char *command)
{
	for (const struct said *s = v->script; s && s->command; s++)
		if (!strcmp(s->command, command))
			return s->reply;
	if (!strcmp(command, "migrate_cancel"))
		v->migrates = false;
	else if (!strcmp(command, "cont"))
		v->runs = true;
	else if (!strcmp(command, "query-status"))
		return v->runs ? "{\"running\": true}" : "{\"running\": false}";
	else if (!strcmp(command, "query-migrate"))
		return v->migrates ? "{\"status\": \"active\"}"
				   : "{\"status\": \"cancelled\"}";
	return "{}";
}

static bool is_first(struct slow_qemu *v, const char *command)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i], command))
			return v->asked[i]++ == 0;
	return false;
}

static void answer(struct slow_qemu *v, const json_t *request)
{
	const char *command =
		json_string_value(json_object_get(request, "execute"));
	json_int_t id = json_integer_value(json_object_get(request, "id"));
	char reply[REPLY_CAP];

	must(command != NULL, "a request without a command");
	v->commands++;
	if (v->held[0])
		say(v, v->held);
	v->held[0] = '\0';
	snprintf(reply, sizeof(reply),
		 "{\"return\": %s, \"id\": %" JSON_INTEGER_FORMAT "}\n",
		 carry_out(v, command), id);
	if (is_first(v, command))
		strcpy(v->held, reply);
	else if (!v->mute || id == 1)
		say(v, reply);
}

static void *slow_main(void *arg)
{
	struct slow_qemu *v = arg;
	json_error_t why;
	json_t *o;

	must(v->commands_in != NULL, "no memory");
	say(v, GREETING);
	/* Nothing stands between two commands, nor after the last. */
	while ((o = json_loadf(v->commands_in, JSON_DISABLE_EOF_CHECK, &why))) {
		answer(v, o);
		json_decref(o);
	}
	return NULL;
}

static struct qmp *slow_start(struct slow_qemu *v)
{
	struct qmp *q = NULL;
	struct error e;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	v->fd = pair[1];
	v->commands_in = fdopen(v->fd, "r");
	assert_int_equal(pthread_create(&v->thread, NULL, slow_main, v), 0);
	if (qmp_open_fd(&q, pair[0], clock_us() + 5 * USEC_PER_SEC, &e) < 0)
		fail_msg("%s", e.text);
	qmp_set_timeout(q, COMMAND_MS * USEC_PER_MS);
	return q;
}

static void slow_end(struct slow_qemu *v, struct qmp *q)
{
	qmp_close(q);
	pthread_join(v->thread, NULL);
	fclose(v->commands_in);
}

static void a_guest_is_taken_back_though_each_command_times_out_once(
	void **state)
{
	struct slow_qemu v = { .migrates = true };
	struct qmp *q = slow_start(&v);
	struct error e;

	(void)state;
	if (monitor_take_back(q, true, clock_us() + 10 * USEC_PER_SEC, &e) < 0)
		fail_msg("%s", e.text);
	slow_end(&v, q);
	assert_false(v.migrates);
	assert_true(v.runs);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		assert_true(v.asked[i] > 0);
}

static void a_monitor_that_stays_silent_is_asked_until_the_deadline(
	void **state)
{
	struct slow_qemu v = { .mute = true, .asked = { 1, 1, 1, 1 } };
	struct qmp *q = slow_start(&v);
	uint64_t began = clock_us();
	struct error e;

	(void)state;
	assert_int_equal(monitor_take_back(q, true,
					   began + 5 * COMMAND_MS * USEC_PER_MS,
					   &e),
			 -ETIMEDOUT);
	assert_string_equal(e.text,
			    "QEMU did not answer query-migrate in time");
	assert_true(clock_us() - began >= 5 * COMMAND_MS * USEC_PER_MS);
	slow_end(&v, q);
	assert_true(v.asked[0] > 3);
}

static void nodes_are_read_with_their_paths(void **state)
{
	static const struct said script[] = {
		{ "query-named-block-nodes",
		  "[{\"node-name\": \"a\", \"drv\": \"file\", "
		  "\"file\": \"/srv/a.raw\", \"ro\": false}, "
		  "{\"node-name\": \"b\", \"drv\": \"file\", \"ro\": true, "
		  "\"file\": \"json:{\\\"filename\\\": \\\"b.raw\\\"}\"}, "
		  "{\"node-name\": \"c\", \"drv\": \"file\", "
		  "\"file\": \"file:c.raw\"}, "
		  "{\"drv\": \"vvfat\", \"file\": \"json:{}\"}, {}]" },
		{ NULL, NULL },
	};
	struct slow_qemu v = { .script = script };
	struct qmp *q = slow_start(&v);
	struct block_nodes all = { .count = 0 };
	struct error e;

	(void)state;
	if (nodes_list(q, &all, &e) < 0)
		fail_msg("%s", e.text);
	slow_end(&v, q);
	assert_int_equal(all.count, 5);
	assert_string_equal(all.at[0].path, "/srv/a.raw");
	assert_string_equal(all.at[0].name, "a");
	assert_false(all.at[0].read_only);
	assert_string_equal(all.at[1].path, "b.raw");
	assert_string_equal(all.at[1].file, "json:{\"filename\": \"b.raw\"}");
	assert_true(all.at[1].read_only);
	assert_string_equal(all.at[2].path, "c.raw");
	assert_string_equal(all.at[3].driver, "vvfat");
	assert_null(all.at[3].path);
	assert_null(all.at[4].driver);
	nodes_done(&all);
}

static void a_capability_that_is_not_known_or_on_already_is_not_set(
	void **state)
{
	static const struct said script[] = {
		{ "query-migrate-capabilities",
		  "[{\"capability\": \"events\", \"state\": true}, "
		  "{\"capability\": \"multifd\", \"state\": false}]" },
		{ NULL, NULL },
	};
	struct slow_qemu v = { .script = script };
	struct qmp *q = slow_start(&v);
	struct migration_capabilities c;
	unsigned before;
	struct error e;

	(void)state;
	assert_int_equal(monitor_capabilities(q, &c, &e), 0);
	assert_true(words_have(&c.known, "multifd"));
	assert_false(words_have(&c.on, "multifd"));
	before = v.commands;
	assert_int_equal(monitor_set_capability(q, &c, "events", true, &e), 0);
	assert_int_equal(monitor_set_capability(q, &c, "return-path", true, &e),
			 0);
	assert_int_equal(monitor_set_capability(q, &c, "multifd", false, &e),
			 0);
	assert_int_equal(v.commands, before);
	assert_int_equal(monitor_set_capability(q, &c, "multifd", true, &e), 0);
	assert_int_equal(v.commands, before + 1);
	migration_capabilities_done(&c);
	slow_end(&v, q);
}

static void events_are_told_apart(void **state)
{
	struct slow_qemu v = { .script = NULL };
	struct qmp *q = slow_start(&v);
	uint64_t deadline = clock_us() + 5 * USEC_PER_SEC;
	struct monitor_event event;
	struct error e;

	(void)state;
	say(&v, "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 7, "
		"\"microseconds\": 5}}\n");
	say(&v, "{\"event\": \"MIGRATION\", \"data\": {\"status\": "
		"\"completed\"}}\n");
	say(&v, "{\"event\": \"MIGRATION_PASS\", \"data\": {\"pass\": 2}}\n");
	say(&v, "{\"event\": \"RESUME\"}\n");
	assert_int_equal(monitor_event(q, deadline, &event, &e), 1);
	assert_int_equal(event.kind, MONITOR_STOPPED);
	assert_int_equal(event.wall_us, 7000005);
	assert_int_equal(monitor_event(q, deadline, &event, &e), 1);
	assert_int_equal(event.kind, MONITOR_MIGRATION);
	assert_int_equal(event.status, MIGRATION_COMPLETED);
	assert_int_equal(monitor_event(q, deadline, &event, &e), 1);
	assert_int_equal(event.kind, MONITOR_PASS);
	assert_int_equal(event.pass, 2);
	assert_int_equal(monitor_event(q, deadline, &event, &e), 1);
	assert_int_equal(event.kind, MONITOR_OTHER);
	assert_int_equal(monitor_event(q, 0, &event, &e), 0);
	slow_end(&v, q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_are_read_with_their_paths),
		cmocka_unit_test(
			a_capability_that_is_not_known_or_on_already_is_not_set),
		cmocka_unit_test(events_are_told_apart),
		cmocka_unit_test(
			a_guest_is_taken_back_though_each_command_times_out_once),
		cmocka_unit_test(
			a_monitor_that_stays_silent_is_asked_until_the_deadline),
	};

	return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
