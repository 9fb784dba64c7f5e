/* SPDX-License-Identifier: MIT */
#include "host/power.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/setting.h"
#include "base/text.h"

enum {
	LINE = 64,
	STATES = 16,  /* of sleep, at most */
	DEEP_US = 50, /* waking takes longer than a frame on a fast link */
};

/* --- the section */

/* "50us", "50", "off" */
static int parse_latency(void *at, const struct ini_key *k, const char *value,
			 struct error *e)
{
	char number[16];
	size_t len = strcspn(value, "u");
	uint64_t us;

	(void)k;
	if (!strcmp(value, "off")) {
		*(int *)at = POWER_OFF;
		return 0;
	}
	if (strcmp(value + len, "us") != 0 && value[len])
		return error_set(e, EINVAL,
				 "'%.40s' is no latency: write off, or "
				 "microseconds, such as 50us",
				 value);
	snprintf(number, sizeof(number), "%.*s", (int)(len < 15 ? len : 15),
		 value);
	if (text_parse_number(&us, number, 0, POWER_LATENCY_MOST, e) < 0)
		return error_code(e);
	*(int *)at = (int)us;
	return 0;
}

static int show_latency(struct words *ret, const void *at,
			const struct ini_key *k, struct error *e)
{
	const int us = *(const int *)at;

	(void)k;
	return us == POWER_OFF ? words_add(ret, "off", e)
			       : words_addf(ret, e, "%dus", us);
}

static const struct ini_kind latency_kind = { parse_latency, show_latency,
					      NULL };

#define AT(m) .offset = offsetof(struct power_settings, m)

static const struct ini_key keys[] = {
	{ "cpu-latency", &latency_kind, "off", AT(cpu_latency_us),
	  .example = "50us",
	  .help = "how long a processor may take to wake while a move runs; "
		  "off: as long as the host lets it" },
	{ "cpu-latency-device", &setting_path, "/dev/cpu_dma_latency",
	  AT(device), .example = "/dev/other",
	  .help = "where the kernel is asked for that" },
};

const struct ini_section power_section = { "power", keys, ARRAY_SIZE(keys) };

/* --- while a move runs */

int power_hold(const struct power_settings *s)
{
	AUTO_CLOSE int fd = -1;
	const int32_t us = s->cpu_latency_us;

	if (us == POWER_OFF)
		return -1;
	fd = open(s->device, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, &us, sizeof(us)) == sizeof(us))
		return take_fd(&fd);
	log_warning("%s: %s: processors sleep as deeply as ever while the move "
		    "runs",
		    s->device, strerrordesc_np(errno));
	return -1;
}

/* --- what it costs */

/* All processors are taken to be set as the first one is. */
static int say_governor(struct words *to, const char *folder, struct error *e)
{
	char governor[LINE], energy[LINE];

	if (text_read_line(governor, sizeof(governor),
			   "%s/cpu0/cpufreq/scaling_governor", folder) &&
	    !strcmp(governor, "powersave") &&
	    text_read_line(energy, sizeof(energy),
			   "%s/cpu0/cpufreq/energy_performance_preference",
			   folder)) {
		if (!strcmp(energy, "performance"))
			return 0;
		return words_addf(to, e,
				  "energy_performance_preference %s: "
				  "processors "
				  "are slow to speed up, and a move's work "
				  "comes in bursts",
				  energy);
	}
	if (!text_read_line(governor, sizeof(governor),
			    "%s/cpu0/cpufreq/scaling_governor", folder) ||
	    (strcmp(governor, "powersave") != 0 &&
	     strcmp(governor, "conservative") != 0))
		return 0;
	return words_addf(to, e,
			  "governor %s: processors %s, so that compression, "
			  "TLS and sums take longer",
			  governor,
			  !strcmp(governor, "powersave")
				  ? "stay at their lowest frequency"
				  : "speed up step by step");
}

static int say_sleep(struct words *to, const char *folder, struct error *e)
{
	char name[LINE] = "", deepest[LINE] = "", number[LINE];
	unsigned long most = 0;

	for (unsigned i = 0; i < STATES; i++) {
		unsigned long us;

		if (!text_read_line(number, sizeof(number),
				    "%s/cpu0/cpuidle/state%u/latency", folder,
				    i))
			break;
		us = strtoul(number, NULL, 10);
		if (!text_read_line(number, sizeof(number),
				    "%s/cpu0/cpuidle/state%u/disable", folder,
				    i) ||
		    strcmp(number, "0") != 0 || us < most)
			continue;
		text_read_line(name, sizeof(name),
			       "%s/cpu0/cpuidle/state%u/name", folder, i);
		most = us;
		snprintf(deepest, sizeof(deepest), "%s", name);
	}
	if (most < DEEP_US)
		return 0;
	return words_addf(to, e,
			  "sleep state %s: a processor takes %lu us to wake, "
			  "at each end of each round trip; cpu-latency in "
			  "[power] holds it shallow while a move runs",
			  deepest, most);
}

int power_costs(struct words *to, const char *folder, struct error *e)
{
	if (say_governor(to, folder, e) < 0)
		return error_code(e);
	return say_sleep(to, folder, e);
}
