/* SPDX-License-Identifier: MIT */
#include "control/views.h"

#include "host/host.h"
#include "host/machine_view.h"
#include "wire/description.h"

#define AT(m) SHAPE_AT(struct machine_view, m)

static const struct shape_field machine_fields[] = {
	{ "name", SHAPE_TEXT, 0, AT(name) },
	{ "uuid", SHAPE_TEXT, 0, AT(uuid) },
	{ "state", SHAPE_NAME, 0, AT(state), .names = machine_state_names,
	  .most = MACHINE_STATES },
	{ "pid", SHAPE_NUMBER, SHAPE_NULL, AT(pid) },
	{ "job", SHAPE_TEXT, SHAPE_NULL, AT(job) },
	{ "adopted", SHAPE_BOOL, 0, AT(adopted) },
	{ "run_dir", SHAPE_TEXT, 0, AT(run_dir) },
	{ "status", SHAPE_TEXT, SHAPE_NULL, AT(status) },
	{ "lost", SHAPE_TEXT, SHAPE_NULL, AT(lost) },
	{ "memory", SHAPE_NUMBER, 0, AT(memory_bytes) },
	{ "vcpus", SHAPE_NUMBER, 0, AT(vcpus) },
	{ "machine", SHAPE_STRING, 0, AT(machine) },
	{ "qemu", SHAPE_STRING, 0, AT(qemu) },
	{ "definition", SHAPE_STRING, SHAPE_OMIT, AT(definition) },
};

#undef AT

const struct shape machine_view_shape =
	SHAPE(struct machine_view, machine_fields);

static const struct shape_field machines_fields[] = {
	{ .kind = SHAPE_LIST,
	  SHAPE_AT(struct machine_views, at),
	  SHAPE_COUNT(struct machine_views, count),
	  .of = &machine_view_shape },
};

const struct shape machine_views_shape = {
	.bytes = sizeof(struct machine_views),
	.fields = machines_fields,
	.count = 1,
	.form = SHAPE_BARE,
};

static const struct shape_field comparison_fields[] = {
	{ "ok", SHAPE_BOOL, 0, SHAPE_AT(struct comparison, ok) },
	{ "findings", SHAPE_LIST, 0, SHAPE_AT(struct comparison, findings.at),
	  SHAPE_COUNT(struct comparison, findings.count),
	  .of = &finding_shape },
};

const struct shape comparison_shape =
	SHAPE(struct comparison, comparison_fields);
