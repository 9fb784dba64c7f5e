/* SPDX-License-Identifier: MIT */
#include "base/fault.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { WAIT_MOST_US = 30000000 };

static void wait_for(const char *file)
{
	uint64_t until = clock_us() + WAIT_MOST_US;
	char reached[512];
	int fd;

	snprintf(reached, sizeof(reached), "%s.reached", file);
	fd = open(reached, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	/* A test's file is the event; only its appearance can be seen. */
	while (access(file, F_OK) < 0 && clock_us() < until)
		poll(NULL, 0, 5);
}

static void act(const char *action)
{
	if (!strcmp(action, "kill"))
		raise(SIGKILL);
	else if (!strncmp(action, "wait:", 5))
		wait_for(action + 5);
	else
		log_warning("DROVER_FAULT: unknown action %s", action);
}

void fault_point(const char *point)
{
	const char *all = getenv("DROVER_FAULT");
	char copy[1024], *save = NULL;

	if (!all)
		return;
	snprintf(copy, sizeof(copy), "%s", all);
	for (char *one = strtok_r(copy, ";", &save); one;
	     one = strtok_r(NULL, ";", &save)) {
		char *action = strchr(one, '=');

		if (!action)
			continue;
		*action++ = '\0';
		if (!strcmp(one, point))
			act(action);
	}
}
