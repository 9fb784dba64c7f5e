/* SPDX-License-Identifier: MIT */

/*
 * A guest is taken back from a QEMU, played here, whose monitor is silent for
 * longer than a command waits.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "move/monitor.h"
#include "qemu/qmp.h"

#define GREETING \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, " \
	"\"major\": 7}}, \"capabilities\": []}}\n"

enum { COMMAND_MS = 100 };

static const char *const commands[] = { "query-migrate", "migrate_cancel",
					"query-status", "cont" };

/* What it is told it does at once.  The first reply to each of the commands
 * comes only when the next command has come. */
struct slow_qemu {
	int fd;
	bool mute; /* says nothing at all */
	bool migrates, runs;
	unsigned asked[ARRAY_SIZE(commands)];
	char held[256];
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
	char reply[256];

	must(command != NULL, "a request without a command");
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
	FILE *commands_in = fdopen(v->fd, "r");
	json_error_t why;
	json_t *o;

	must(commands_in != NULL, "no memory");
	say(v, GREETING);
	/* Nothing stands between two commands, nor after the last. */
	while ((o = json_loadf(commands_in, JSON_DISABLE_EOF_CHECK, &why))) {
		answer(v, o);
		json_decref(o);
	}
	fclose(commands_in);
	return NULL;
}

static struct qmp *slow_start(struct slow_qemu *v)
{
	struct qmp *q = NULL;
	struct error e;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	v->fd = pair[1];
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_guest_is_taken_back_though_each_command_times_out_once),
		cmocka_unit_test(
			a_monitor_that_stays_silent_is_asked_until_the_deadline),
	};

	return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
