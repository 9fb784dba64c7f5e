/* SPDX-License-Identifier: MIT */
#include "qemu/huge.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"

bool huge_are_off(void)
{
	AUTO_CLOSE int fd = open(HUGE_SWITCH, O_RDONLY | O_CLOEXEC);
	char text[64] = "";

	/* A kernel without them has no switch. */
	return fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 ||
	       strstr(text, "[never]");
}

/* By prctl(2), of it or of whoever started it; from Linux 5.0 on. */
static bool are_refused(const char *process)
{
	char path[64], line[128];
	bool refused = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/status", process);
	f = fopen(path, "re");
	while (f && !refused && fgets(line, sizeof(line), f))
		refused = !strcmp(line, "THP_enabled:\t0\n");
	if (f)
		fclose(f);
	return refused;
}

bool huge_are_refused(pid_t pid)
{
	char process[24];

	snprintf(process, sizeof(process), "%d", (int)pid);
	return are_refused(process) && !are_refused("self");
}

bool huge_say_why(char *buf, size_t cap, pid_t pid)
{
	if (huge_are_refused(pid))
		snprintf(buf, cap, "its QEMU was started so that it has none");
	else if (are_refused("self"))
		snprintf(buf, cap,
			 "droverd was started so that nothing that it starts "
			 "has any");
	else if (huge_are_off())
		snprintf(buf, cap,
			 "they are switched off here: write madvise "
			 "into " HUGE_SWITCH);
	else
		return false;
	return true;
}
