/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

static void sizes_are_powers_of_1024(void **state)
{
	struct error e;
	uint64_t v;

	(void)state;
	assert_int_equal(text_parse_bytes(&v, "4G", &e), 0);
	assert_int_equal(v, 4ULL << 30);
	assert_int_equal(text_parse_bytes(&v, "64 MiB", &e), 0);
	assert_int_equal(v, 64 << 20);
	assert_int_equal(text_parse_bytes(&v, "512", &e), 0);
	assert_int_equal(v, 512);
}

static void wrong_sizes_are_named(void **state)
{
	static const char *const wrong[] = { "",    "G",   "-4G",      "4X",
					     "4GG", "1e3", "20000000T" };
	struct error e;
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(text_parse_bytes(&v, wrong[i], &e), -EINVAL);
		assert_non_null(strstr(e.text, wrong[i]));
	}
}

static void durations_have_units(void **state)
{
	struct error e;
	uint64_t v;

	(void)state;
	assert_int_equal(text_parse_duration(&v, "300ms", &e), 0);
	assert_int_equal(v, 300000);
	assert_int_equal(text_parse_duration(&v, "5min", &e), 0);
	assert_int_equal(v, 300 * USEC_PER_SEC);
	assert_int_equal(text_parse_duration(&v, "7", &e), 0);
	assert_int_equal(v, 7 * USEC_PER_SEC);
	assert_int_equal(text_parse_duration(&v, "7 apples", &e), -EINVAL);
	assert_int_equal(text_parse_rate(&v, "500Mbit", &e), 0);
	assert_int_equal(v, 62500000);
	assert_int_equal(text_parse_rate(&v, "0", &e), 0);
	assert_int_equal(v, 0);
	assert_int_equal(text_parse_rate(&v, "0Mbit", &e), -EINVAL);
	assert_int_equal(text_parse_rate(&v, "500", &e), -EINVAL);
}

static void names_cannot_leave_their_folder(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(text_check_name("machine", "web-1.b_2", &e), 0);
	assert_int_equal(text_check_name("machine", "../etc", &e), -EINVAL);
	assert_int_equal(text_check_name("machine", "a/b", &e), -EINVAL);
	assert_int_equal(text_check_name("machine", "-x", &e), -EINVAL);
	assert_int_equal(text_check_name("machine", "", &e), -EINVAL);
}

static void context_stands_in_front_of_the_cause(void **state)
{
	struct error e;

	(void)state;
	error_set(&e, ECONNREFUSED, "connect %s", "10.0.0.2:6600");
	assert_int_equal(error_in(&e, "channel %d of %d", 3, 8), -ECONNREFUSED);
	assert_string_equal(e.text, "channel 3 of 8: connect 10.0.0.2:6600");
}

static void poll_timeout_rounds_up(void **state)
{
	(void)state;
	assert_int_equal(clock_poll_ms(USEC_NEVER), -1);
	assert_int_equal(clock_poll_ms(clock_us() - 1), 0);
	assert_true(clock_poll_ms(clock_us() + 500) <= 1);
	assert_true(clock_poll_ms(clock_us() + 10000) >= 9);
}

static void another_code_keeps_the_text(void **state)
{
	struct error e;

	(void)state;
	error_set(&e, ECONNREFUSED, "connect %s", "10.0.0.2");
	assert_int_equal(error_as(&e, EHOSTUNREACH), -EHOSTUNREACH);
	assert_string_equal(e.text, "connect 10.0.0.2");
}

static void what_is_started_has_the_limit_of_before(void **state)
{
	struct rlimit was, low, got;
	int child, status;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = was;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	descriptors_raise();
	assert_int_equal(descriptors_limit(), was.rlim_max);
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	descriptors_restore(child);
	assert_int_equal(prlimit(child, RLIMIT_NOFILE, NULL, &got), 0);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	assert_int_equal(got.rlim_cur, 64);
	assert_int_equal(got.rlim_max, was.rlim_max);
	setrlimit(RLIMIT_NOFILE, &was);
}

/* systemd's JOURNAL_NATIVE_PROTOCOL: name, line feed, 8 bytes of length, value,
 * line feed. */
static void a_record_for_the_journal_has_a_field_for_each_part(void **state)
{
	static const char want[] = "MESSAGE\n\3\0\0\0\0\0\0\0a\nb\n"
				   "PRIORITY\n\1\0\0\0\0\0\0\0006\n"
				   "SYSLOG_IDENTIFIER\n\7\0\0\0\0\0\0\0"
				   "droverd\n"
				   "DROVER_UID\n\2\0\0\0\0\0\0\00012\n";
	const struct log_field fields[] = { { "DROVER_NAME", NULL },
					    { "DROVER_UID", "12" } };
	char buf[512];

	(void)state;
	assert_int_equal(log_datagram(buf, sizeof(buf), "a\nb", fields, 2),
			 sizeof(want) - 1);
	assert_memory_equal(buf, want, sizeof(want) - 1);
	/* What does not fit is no record, however little it lacks. */
	assert_int_equal(log_datagram(buf, sizeof(want) - 1, "a\nb", fields, 2),
			 sizeof(want) - 1);
	for (size_t cap = 0; cap < sizeof(want) - 1; cap++)
		assert_int_equal(log_datagram(buf, cap, "a\nb", fields, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_powers_of_1024),
		cmocka_unit_test(wrong_sizes_are_named),
		cmocka_unit_test(durations_have_units),
		cmocka_unit_test(names_cannot_leave_their_folder),
		cmocka_unit_test(context_stands_in_front_of_the_cause),
		cmocka_unit_test(another_code_keeps_the_text),
		cmocka_unit_test(poll_timeout_rounds_up),
		cmocka_unit_test(what_is_started_has_the_limit_of_before),
		cmocka_unit_test(
			a_record_for_the_journal_has_a_field_for_each_part),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
