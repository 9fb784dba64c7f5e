/* SPDX-License-Identifier: MIT */

/* What the settings of processors cost, told of folders like those of the
 * kernel; and what a move asks it for. */
#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "host/power.h"
#include "scratch.h"

static char root[SCRATCH_CAP];

static void put(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *slash = strchr(path + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "%s\n", text);
	assert_int_equal(fclose(f), 0);
}

static int fresh(void **state)
{
	(void)state;
	scratch_folder(root);
	return 0;
}

static size_t costs(struct words *to)
{
	struct error e;

	*to = (struct words){ 0 };
	assert_int_equal(power_costs(to, root, &e), 0);
	return to->count;
}

static void a_host_that_says_nothing_costs_nothing(void **state)
{
	struct words w;

	(void)state;
	assert_int_equal(costs(&w), 0);
	put("cpu0/cpufreq/scaling_governor", "schedutil");
	put("cpu0/cpuidle/state0/latency", "0");
	put("cpu0/cpuidle/state0/disable", "0");
	put("cpu0/cpuidle/state0/name", "POLL");
	assert_int_equal(costs(&w), 0);
	words_done(&w);
}

static void what_saves_is_named(void **state)
{
	struct words w;

	(void)state;
	put("cpu0/cpufreq/scaling_governor", "powersave");
	assert_int_equal(costs(&w), 1);
	assert_non_null(strstr(w.at[0], "governor powersave: processors stay"));
	words_done(&w);
	put("cpu0/cpufreq/energy_performance_preference",
	    "balance_performance");
	assert_int_equal(costs(&w), 1);
	assert_non_null(strstr(w.at[0], "preference balance_performance: "));
	words_done(&w);
	put("cpu0/cpufreq/energy_performance_preference", "performance");
	assert_int_equal(costs(&w), 0);
	words_done(&w);
}

static void the_deepest_sleep_that_is_on_is_named(void **state)
{
	static const char *const states[][3] = { { "POLL", "0", "0" },
						 { "C1", "2", "0" },
						 { "C6", "133", "0" },
						 { "C10", "890", "1" } };
	struct words w;
	char name[64];

	(void)state;
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "cpu0/cpuidle/state%d/name", i);
		put(name, states[i][0]);
		snprintf(name, sizeof(name), "cpu0/cpuidle/state%d/latency", i);
		put(name, states[i][1]);
		snprintf(name, sizeof(name), "cpu0/cpuidle/state%d/disable", i);
		put(name, states[i][2]);
	}
	assert_int_equal(costs(&w), 1);
	assert_non_null(strstr(w.at[0], "sleep state C6: a processor takes 133 "
					"us to wake"));
	words_done(&w);
}

static void what_is_asked_for_is_written_and_held(void **state)
{
	char path[PATH_MAX];
	struct power_settings s = { .cpu_latency_us = POWER_OFF,
				    .device = path };
	int32_t got = 0;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/none/device", root);
	assert_int_equal(power_hold(&s), -1);
	s.cpu_latency_us = 70;
	assert_int_equal(power_hold(&s), -1);
	put("device", "");
	snprintf(path, sizeof(path), "%s/device", root);
	fd = power_hold(&s);
	assert_true(fd >= 0);
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, &got, sizeof(got)), sizeof(got));
	assert_int_equal(got, 70);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_host_that_says_nothing_costs_nothing,
				       fresh),
		cmocka_unit_test_setup(what_saves_is_named, fresh),
		cmocka_unit_test_setup(the_deepest_sleep_that_is_on_is_named,
				       fresh),
		cmocka_unit_test_setup(what_is_asked_for_is_written_and_held,
				       fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
