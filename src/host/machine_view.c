/* SPDX-License-Identifier: MIT */
#include "host/machine_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "qemu/definition.h"

const char *const machine_state_names[MACHINE_STATES] = {
	[MACHINE_STOPPED] = "stopped",   [MACHINE_RUNNING] = "running",
	[MACHINE_PAUSED] = "paused",     [MACHINE_IO_ERROR] = "io-error",
	[MACHINE_INCOMING] = "incoming", [MACHINE_IN_DOUBT] = "in-doubt",
	[MACHINE_LOST] = "lost",
};

void machine_view_describe(struct machine_view *v, const char *text,
			   const char *default_qemu)
{
	SCOPED(definition_done) struct definition d = { 0 };
	const char *qemu = "", *machine = "";
	struct error ignored;

	if (text && definition_parse(&d, v->name, text, &ignored) == 0) {
		machine = d.machine;
		qemu = d.qemu ? d.qemu : default_qemu;
		v->memory_bytes = d.memory_bytes;
		v->vcpus = d.vcpus;
	} else {
		free(take_ptr(&v->definition));
	}
	v->machine = strdup(machine);
	v->qemu = strdup(qemu);
}

void machine_view_done(struct machine_view *v)
{
	free(v->machine);
	free(v->qemu);
	free(v->definition);
	*v = (struct machine_view){ .pid = 0 };
}

void machine_views_done(struct machine_views *v)
{
	for (size_t i = 0; i < v->count; i++)
		machine_view_done(&v->at[i]);
	free(v->at);
	*v = (struct machine_views){ .count = 0 };
}
