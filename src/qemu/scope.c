/* SPDX-License-Identifier: MIT */
#include "qemu/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

enum { ANSWER_US = 5000000, NAME_CAP = 160 };

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
	char name[NAME_CAP], about[NAME_CAP];
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
#endif
