/* SPDX-License-Identifier: MIT */
#include "qemu/scope.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

enum { ANSWER_US = 5000000 };

bool scope_is_possible(void)
{
	return sd_booted() > 0;
}

static void drop_bus(sd_bus **bus)
{
	sd_bus_flush_close_unref(*bus);
}

/* The answer says that systemd will do it; the process is there already, so
 * nothing waits for that. */
int scope_make(const char *machine, pid_t pid, struct error *e)
{
	SCOPED(drop_bus) sd_bus *bus = NULL;
	SCOPED(sd_bus_error_free) sd_bus_error why = SD_BUS_ERROR_NULL;
	char name[SCOPE_NAME], about[SCOPE_NAME];
	int r = sd_bus_open_system(&bus);

	if (r < 0)
		return error_set(e, -r, "the system's D-Bus: %s",
				 strerrordesc_np(-r));
	sd_bus_set_method_call_timeout(bus, ANSWER_US);
	snprintf(name, sizeof(name), "drover-%s-%d.scope", machine, (int)pid);
	snprintf(about, sizeof(about), "Virtual machine %s of Drover", machine);
	r = sd_bus_call_method(bus, "org.freedesktop.systemd1",
			       "/org/freedesktop/systemd1",
			       "org.freedesktop.systemd1.Manager",
			       "StartTransientUnit", &why, NULL,
			       "ssa(sv)a(sa(sv))", name, "fail", 7, "PIDs",
			       "au", 1, (unsigned)pid, "Description", "s",
			       about, "Slice", "s", "machine.slice",
			       "MemoryAccounting", "b", 1, "CPUAccounting", "b",
			       1, "TasksAccounting", "b", 1, "CollectMode", "s",
			       "inactive-or-failed", 0);
	if (r < 0)
		return error_set(e, -r, "%s: %s", name,
				 why.message ? why.message
					     : strerrordesc_np(-r));
	return 0;
}

/* systemd removes a scope without processes, so mostly there is none. */
void scope_end(const char *scope)
{
	SCOPED(drop_bus) sd_bus *bus = NULL;

	if (!scope[0] || sd_bus_open_system(&bus) < 0)
		return;
	sd_bus_set_method_call_timeout(bus, ANSWER_US);
	sd_bus_call_method(bus, "org.freedesktop.systemd1",
			   "/org/freedesktop/systemd1",
			   "org.freedesktop.systemd1.Manager", "KillUnit", NULL,
			   NULL, "ssi", scope, "all", SIGKILL);
}
#else
bool scope_is_possible(void)
{
	return false;
}

int scope_make(const char *machine, pid_t pid, struct error *e)
{
	return error_set(e, EOPNOTSUPP, "%s, process %d: built without systemd",
			 machine, (int)pid);
}

void scope_end(const char *scope)
{
	(void)scope;
}
#endif

/* "0::/machine.slice/drover-web1-1234.scope" */
void scope_find(char ret[static SCOPE_NAME], pid_t pid)
{
	char path[64], line[PATH_MAX], end[32];
	FILE *f;

	ret[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	snprintf(end, sizeof(end), "-%d.scope\n", (int)pid);
	f = scope_is_possible() ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f)) {
		const char *slash = strrchr(line, '/');
		const char *name = slash ? slash + 1 : line;
		size_t n = strlen(name);

		if (n > strlen(end) && n <= SCOPE_NAME &&
		    !strncmp(name, "drover-", 7) &&
		    !strcmp(name + n - strlen(end), end))
			snprintf(ret, SCOPE_NAME, "%.*s", (int)n - 1, name);
	}
	if (f)
		fclose(f);
}
