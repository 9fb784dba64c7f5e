/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "qemu.h"
#include "qemu/qmp.h"

#define GREETING \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 1, \"minor\": 2, " \
	"\"major\": 7}}, \"capabilities\": []}}\r\n"

/* The other end of a monitor: what it says is written before it is asked, as
 * the ids of the commands are known. */
static struct qmp *fake(int *ret_peer, const char *says)
{
	struct qmp *q = NULL;
	struct error e;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(write(pair[1], GREETING, strlen(GREETING)) > 0);
	assert_true(write(pair[1], "{\"return\": {}, \"id\": 1}\n", 24) > 0);
	if (*says)
		assert_true(write(pair[1], says, strlen(says)) > 0);
	if (qmp_open_fd(&q, pair[0], clock_us() + USEC_PER_SEC, &e) < 0)
		fail_msg("%s", e.text);
	*ret_peer = pair[1];
	return q;
}

static int open_with(const char *says, struct error *e)
{
	struct qmp *q;
	int pair[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	if (says)
		assert_true(write(pair[1], says, strlen(says)) >= 0);
	if (says && !*says)
		shutdown(pair[1], SHUT_WR);
	r = qmp_open_fd(&q, pair[0], clock_us() + 50 * USEC_PER_MS, e);
	close(pair[1]);
	return r;
}

static void a_missing_greeting_is_a_monitor_in_use(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(open_with(NULL, &e), -EBUSY);
	assert_non_null(strstr(e.text, "another client holds the monitor"));
	assert_int_equal(open_with("", &e), -EPIPE);
	assert_int_equal(open_with("SSH-2.0-OpenSSH\n", &e), -EBADMSG);
	assert_int_equal(open_with("{\"hello\": 1}\n", &e), -EBADMSG);
	assert_string_equal(e.text, "this is not a monitor of QEMU");
}

static void events_wait_while_a_command_runs(void **state)
{
	int peer;
	struct qmp *q = fake(&peer, "{\"event\": \"A\"}\n{\"event\": \"B\"}\n"
				    "{\"return\": 7, \"id\": 2}\n"
				    "{\"event\": \"C\"}\n");
	json_t *o = NULL;
	struct error e;

	(void)state;
	assert_int_equal(qmp_run(q, "x", NULL, &o, &e), 0);
	assert_int_equal(json_integer_value(o), 7);
	json_decref(o);
	for (const char *name = "ABC"; *name; name++) {
		assert_int_equal(qmp_event(q, 0, &o, &e), 1);
		assert_int_equal(json_string_value(
					 json_object_get(o, "event"))[0],
				 *name);
		json_decref(o);
	}
	assert_int_equal(qmp_event(q, clock_us() + 1000, &o, &e), 0);
	qmp_close(q);
	close(peer);
}

static void the_queue_of_events_is_bounded(void **state)
{
	char *text = calloc(64, 1024), *at = text;
	struct error e;
	struct qmp *q;
	json_t *o;
	int peer, n;

	(void)state;
	for (n = 0; n < QMP_EVENTS_MAX + 10; n++)
		at = stpcpy(at, "{\"event\": \"A\"}\n");
	stpcpy(at, "{\"return\": 1, \"id\": 2}\n");
	q = fake(&peer, text);
	assert_int_equal(qmp_run(q, "x", NULL, NULL, &e), 0);
	for (n = 0; qmp_event(q, 0, &o, &e) == 1; n++)
		json_decref(o);
	assert_int_equal(n, QMP_EVENTS_MAX);
	qmp_close(q);
	close(peer);
	free(text);
}

struct flood {
	int fd;
	int events; /* of 64 KiB each */
};

static void *flood_main(void *arg)
{
	const struct flood *f = arg;
	char *text = malloc(64 << 10);
	FILE *to = fdopen(f->fd, "w");

	memset(text, 'x', 64 << 10);
	text[(64 << 10) - 32] = '\0';
	for (int i = 0; i < f->events; i++)
		fprintf(to, "{\"event\": \"%s\"}\n", text);
	fprintf(to, "{\"return\": 1, \"id\": 2}\n{\"event\": \"last\"}\n");
	fflush(to);
	free(text);
	return to;
}

static void large_events_are_bounded_too(void **state)
{
	struct flood f = { .events = 100 };
	size_t bytes = 0;
	pthread_t thread;
	struct error e;
	struct qmp *q;
	json_t *o;
	void *to;
	int n = 0;

	(void)state;
	q = fake(&f.fd, "");
	assert_int_equal(pthread_create(&thread, NULL, flood_main, &f), 0);
	assert_int_equal(qmp_run(q, "x", NULL, NULL, &e), 0);
	pthread_join(thread, &to);
	for (; qmp_event(q, 0, &o, &e) == 1; n++) {
		bytes += json_string_length(json_object_get(o, "event"));
		json_decref(o);
	}
	/* What had room, and what came when there was room again. */
	assert_int_equal(n, QMP_EVENTS_BYTES / (64 << 10) + 1);
	assert_true(bytes <= QMP_EVENTS_BYTES);
	qmp_close(q);
	fclose(to);
}

static void failures_of_commands_are_told_apart(void **state)
{
	struct error e;
	struct qmp *q;
	int peer;

	(void)state;
	q = fake(&peer, "{\"error\": {\"class\": \"GenericError\", \"desc\": "
			"\"no such thing\"}, \"id\": 2}\n");
	assert_int_equal(qmp_run(q, "thing", NULL, NULL, &e), -EREMOTEIO);
	assert_string_equal(e.text, "QEMU: thing: no such thing");
	qmp_set_timeout(q, 20 * USEC_PER_MS);
	assert_int_equal(qmp_run(q, "slow", NULL, NULL, &e), -ETIMEDOUT);
	assert_string_equal(e.text, "QEMU did not answer slow in time");
	close(peer);
	assert_int_equal(qmp_run(q, "late", NULL, NULL, &e), -EPIPE);
	assert_string_equal(e.text, "QEMU closed its monitor");
	qmp_close(q);

	q = fake(&peer, "{\"return\": {}, \"id\": 9}\n");
	assert_int_equal(qmp_run(q, "x", NULL, NULL, &e), -EBADMSG);
	qmp_close(q);
	close(peer);

	q = fake(&peer, "[1, 2]\n");
	assert_int_equal(qmp_run(q, "x", NULL, NULL, &e), -EBADMSG);
	qmp_close(q);
	close(peer);
}

static void says(int peer, const char *text)
{
	assert_int_equal(write(peer, text, strlen(text)), strlen(text));
}

static void a_reply_after_its_time_is_dropped(void **state)
{
	struct error e;
	struct qmp *q;
	json_t *o;
	int peer;

	(void)state;
	q = fake(&peer, "");
	qmp_set_timeout(q, 20 * USEC_PER_MS);
	assert_int_equal(qmp_run(q, "slow", NULL, NULL, &e), -ETIMEDOUT);
	says(peer, "{\"return\": 5, \"id\": 2}\n"
		   "{\"return\": 7, \"id\": 3}\n");
	if (qmp_run(q, "next", NULL, &o, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(json_integer_value(o), 7);
	json_decref(o);

	assert_int_equal(qmp_run(q, "slow", NULL, NULL, &e), -ETIMEDOUT);
	assert_int_equal(qmp_run(q, "slow", NULL, NULL, &e), -ETIMEDOUT);
	says(peer, "{\"error\": {\"desc\": \"too late\"}, \"id\": 4}\n"
		   "{\"return\": {}, \"id\": 5}\n"
		   "{\"error\": {\"desc\": \"in time\"}, \"id\": 6}\n");
	assert_int_equal(qmp_run(q, "next", NULL, NULL, &e), -EREMOTEIO);
	assert_string_equal(e.text, "QEMU: next: in time");

	/* One that never leaves QEMU a chance to say which it is. */
	says(peer, "{\"error\": {\"desc\": \"no JSON\"}}\n");
	assert_int_equal(qmp_run(q, "next", NULL, NULL, &e), -EREMOTEIO);
	says(peer, "{\"error\": {\"desc\": \"of whom?\"}, \"id\": 9}\n");
	assert_int_equal(qmp_run(q, "next", NULL, NULL, &e), -EBADMSG);
	qmp_close(q);
	close(peer);
}

static void read_away(int peer)
{
	char buf[4096];

	while (recv(peer, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

static void a_command_of_which_nothing_left_may_be_followed_by_another(
	void **state)
{
	struct error e;
	struct qmp *q;
	int peer;

	(void)state;
	q = fake(&peer, "");
	qmp_set_timeout(q, 20 * USEC_PER_MS);
	while (send(qmp_fd(q), "\n", 1, MSG_DONTWAIT) == 1)
		;
	assert_int_equal(qmp_run(q, "unsent", NULL, NULL, &e), -ETIMEDOUT);
	assert_string_equal(e.text, "QEMU's monitor takes no command");
	read_away(peer);
	says(peer, "{\"return\": {}, \"id\": 3}\n");
	if (qmp_run(q, "next", NULL, NULL, &e) < 0)
		fail_msg("%s", e.text);
	qmp_close(q);
	close(peer);
}

static void *say_events(void *arg)
{
	static const char event[] = "{\"event\": \"A\"}\n";
	const int *fd = arg;

	while (send(*fd, event, sizeof(event) - 1, MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void events_without_end_are_no_answer(void **state)
{
	pthread_t says_events;
	struct error e;
	struct qmp *q;
	int peer;

	(void)state;
	q = fake(&peer, "");
	pthread_create(&says_events, NULL, say_events, &peer);
	qmp_set_timeout(q, 20 * USEC_PER_MS);
	assert_int_equal(qmp_run(q, "unheard", NULL, NULL, &e), -ETIMEDOUT);
	qmp_close(q);
	pthread_join(says_events, NULL);
	close(peer);
}

static void a_command_of_which_a_part_left_is_the_last(void **state)
{
	size_t len = 8 << 20;
	char *much = malloc(len);
	struct error e;
	struct qmp *q;
	int peer;

	(void)state;
	memset(much, 'x', len);
	q = fake(&peer, "");
	qmp_set_timeout(q, 20 * USEC_PER_MS);
	assert_int_equal(qmp_run(q, "much",
				 json_pack("{s:s%}", "text", much, len), NULL,
				 &e),
			 -EIO);
	assert_string_equal(e.text,
			    "QEMU's monitor took a part of a command only");
	qmp_close(q);
	close(peer);
	free(much);
}

static void lines_come_in_pieces(void **state)
{
	static const char text[] = "{\"a\": 1}\r\n\r\n{\"b\": 2}\n{\"c\"";
	struct qmp_input in = { 0 };
	json_t *o = NULL;
	struct error e;
	int seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		assert_int_equal(qmp_input_add(&in, text + i, 1, &e), 0);
		while (qmp_input_next(&in, &o, &e) == 1) {
			seen++;
			json_decref(o);
		}
	}
	assert_int_equal(seen, 2);
	assert_int_equal(qmp_input_next(&in, &o, &e), 0);
	qmp_input_done(&in);
}

static void a_line_without_end_is_refused(void **state)
{
	struct qmp_input in = { 0 };
	char *piece = malloc(1 << 20);
	json_t *o = NULL;
	struct error e;
	int r = 0;

	(void)state;
	memset(piece, 'x', 1 << 20);
	for (int i = 0; i < 20 && r == 0; i++) {
		assert_int_equal(qmp_input_add(&in, piece, 1 << 20, &e), 0);
		r = qmp_input_next(&in, &o, &e);
	}
	assert_int_equal(r, -EBADMSG);
	assert_non_null(strstr(e.text, "a line of more than 4 MiB"));
	qmp_input_done(&in);
	free(piece);
}

/* Each takes a hundred times the memory of its text. */
static void a_line_of_too_many_values_is_refused(void **state)
{
	struct qmp_input in = { 0 };
	json_t *o = NULL;
	struct error e;

	(void)state;
	assert_int_equal(qmp_input_add(&in, "{\"return\": [{}", 14, &e), 0);
	for (int i = 0; i < QMP_VALUES_MAX / 2; i++)
		assert_int_equal(qmp_input_add(&in, ",{}", 3, &e), 0);
	assert_int_equal(qmp_input_add(&in, "]}\n", 3, &e), 0);
	assert_int_equal(qmp_input_next(&in, &o, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "a line of more than 262144 values"));
	qmp_input_done(&in);
}

static void a_missing_socket_is_tried_until_the_deadline(void **state)
{
	uint64_t start = clock_us();
	struct error e;
	struct qmp *q;

	(void)state;
	assert_int_equal(qmp_open(&q, "/nonexistent/qmp",
				  start + 50 * USEC_PER_MS, &e),
			 -ENOENT);
	assert_true(clock_us() - start >= 50 * USEC_PER_MS);
	assert_string_equal(e.text, "monitor /nonexistent/qmp: connect: "
				    "No such file or directory");
}

static void a_real_qemu_answers(void **state)
{
	uint64_t soon = clock_us() + 10 * USEC_PER_SEC;
	int major, minor, micro;
	struct qmp *q, *second;
	struct guest g;
	struct error e;
	json_t *o;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start(&g, "memory = 16M\narguments = -nodefaults\n", true);
	if (qmp_open(&q, g.process.qmp_path, soon, &e) < 0)
		fail_msg("%s", e.text);
	qmp_version(q, &major, &minor, &micro);
	assert_true(major >= 7);
	assert_int_equal(qmp_run(q, "query-status", NULL, &o, &e), 0);
	assert_string_equal(json_string_value(json_object_get(o, "status")),
			    "inmigrate");
	json_decref(o);
	assert_int_equal(qmp_run(q, "no-such-command", NULL, NULL, &e),
			 -EREMOTEIO);
	assert_string_equal(e.text, "QEMU: no-such-command: The command "
				    "no-such-command has not been found");
	assert_int_equal(qmp_open(&second, g.process.qmp_path,
				  clock_us() + 100 * USEC_PER_MS, &e),
			 -EBUSY);
	assert_int_equal(qmp_run(q, "system_reset", NULL, NULL, &e), 0);
	assert_int_equal(qmp_event(q, soon, &o, &e), 1);
	assert_string_equal(json_string_value(json_object_get(o, "event")),
			    "RESET");
	json_decref(o);
	assert_int_equal(kill(g.process.pid, SIGKILL), 0);
	assert_int_equal(qmp_event(q, soon, &o, &e), -EPIPE);
	qmp_close(q);
	guest_end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_greeting_is_a_monitor_in_use),
		cmocka_unit_test(events_wait_while_a_command_runs),
		cmocka_unit_test(the_queue_of_events_is_bounded),
		cmocka_unit_test(large_events_are_bounded_too),
		cmocka_unit_test(failures_of_commands_are_told_apart),
		cmocka_unit_test(a_reply_after_its_time_is_dropped),
		cmocka_unit_test(
			a_command_of_which_nothing_left_may_be_followed_by_another),
		cmocka_unit_test(events_without_end_are_no_answer),
		cmocka_unit_test(a_command_of_which_a_part_left_is_the_last),
		cmocka_unit_test(lines_come_in_pieces),
		cmocka_unit_test(a_line_without_end_is_refused),
		cmocka_unit_test(a_line_of_too_many_values_is_refused),
		cmocka_unit_test(a_missing_socket_is_tried_until_the_deadline),
		cmocka_unit_test(a_real_qemu_answers),
	};

	return cmocka_run_group_tests_name("qmp", tests, NULL, NULL);
}
