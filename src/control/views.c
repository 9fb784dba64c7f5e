/* SPDX-License-Identifier: MIT */
#include "control/views.h"

#include "host/disks.h"
#include "host/host.h"
#include "host/host_view.h"
#include "host/machine_view.h"
#include "wire/description.h"

#define AT(m) SHAPE_AT(struct host_wire_view, m)

static const struct shape_field wire_fields[] = {
	{ "version", SHAPE_NUMBER, 0, AT(version) },
	{ "lowest", SHAPE_NUMBER, 0, AT(lowest) },
};

#undef AT
#define AT(m) SHAPE_AT(struct host_kept_view, m)

static const struct shape_field kept_fields[] = {
	{ "count", SHAPE_NUMBER, 0, AT(count) },
	{ "memory", SHAPE_NUMBER, 0, AT(memory) },
	{ "disk", SHAPE_NUMBER, 0, AT(disk) },
};

#undef AT
#define AT(m) SHAPE_AT(struct host_peer_view, m)

static const struct shape_field peer_fields[] = {
	{ "name", SHAPE_TEXT, 0, AT(name) },
	{ "addresses", SHAPE_WORDS, 0, AT(addresses) },
	{ "port", SHAPE_NUMBER, 0, AT(port) },
	{ "tls", SHAPE_BOOL, 0, AT(tls) },
};

#undef AT
#define AT(m) SHAPE_AT(struct host_view, m)

static const struct shape wire_shape =
	SHAPE(struct host_wire_view, wire_fields);
static const struct shape kept_shape =
	SHAPE(struct host_kept_view, kept_fields);
static const struct shape peer_shape =
	SHAPE(struct host_peer_view, peer_fields);

static const struct shape_field host_fields[] = {
	{ "name", SHAPE_TEXT, 0, AT(name) },
	{ "version", SHAPE_TEXT, 0, AT(version) },
	{ "wire", SHAPE_OBJECT, 0, AT(wire), .of = &wire_shape },
	{ "listen", SHAPE_WORDS, 0, AT(listen) },
	{ "port", SHAPE_NUMBER, 0, AT(port) },
	{ "networks", SHAPE_WORDS, 0, AT(networks) },
	{ "machines", SHAPE_NUMBER, 0, AT(machines) },
	{ "jobs", SHAPE_NUMBER, 0, AT(jobs) },
	{ "memory", SHAPE_OBJECT, 0, AT(memory), .of = &host_memory_shape },
	{ "kept", SHAPE_OBJECT, 0, AT(kept), .of = &kept_shape },
	{ "cpus", SHAPE_NUMBER, 0, AT(cpus) },
	{ "qemu", SHAPE_STRING, 0, AT(qemu) },
	{ "power", SHAPE_WORDS, 0, AT(power) },
	{ "peers", SHAPE_LIST, 0, AT(peers),
	  SHAPE_COUNT(struct host_view, peers_count), .of = &peer_shape },
};

#undef AT

const struct shape host_view_shape = SHAPE(struct host_view, host_fields);

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
	{ "huge_pages", SHAPE_NUMBER, SHAPE_NULL, AT(huge_bytes),
	  SHAPE_HAS(struct machine_view, has_huge) },
	{ "why_small", SHAPE_TEXT, SHAPE_NULL, AT(why_small) },
	{ "vcpus", SHAPE_NUMBER, 0, AT(vcpus) },
	{ "machine", SHAPE_STRING, 0, AT(machine) },
	{ "qemu", SHAPE_STRING, 0, AT(qemu) },
	{ "outdated", SHAPE_BOOL, SHAPE_NULL, AT(outdated),
	  SHAPE_HAS(struct machine_view, has_outdated) },
	{ "unchanged", SHAPE_BOOL, SHAPE_OMIT, AT(unchanged) },
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

#define AT(m) SHAPE_AT(struct disk_view, m)
#define RUNS SHAPE_HAS(struct disk_view, running)

static const struct shape_field disk_fields[] = {
	{ "name", SHAPE_STRING, 0, AT(name) },
	{ "path", SHAPE_STRING, SHAPE_NULL, AT(path) },
	{ "format", SHAPE_STRING, SHAPE_NULL, AT(format) },
	{ "storage", SHAPE_TEXT, SHAPE_NULL, AT(storage) },
	{ "size", SHAPE_NUMBER, SHAPE_NULL, AT(size), RUNS },
	{ "allocated", SHAPE_NUMBER, SHAPE_NULL, AT(allocated), RUNS },
	{ "read_only", SHAPE_BOOL, SHAPE_NULL, AT(read_only), RUNS },
	{ "snapshots", SHAPE_NUMBER, SHAPE_NULL, AT(snapshots), RUNS },
	{ "chain", SHAPE_WORDS, 0, AT(chain) },
};

#undef AT
#undef RUNS

static const struct shape disk_view_shape =
	SHAPE(struct disk_view, disk_fields);

static const struct shape_field disks_fields[] = {
	{ .kind = SHAPE_LIST,
	  SHAPE_AT(struct disk_views, at),
	  SHAPE_COUNT(struct disk_views, count),
	  .of = &disk_view_shape },
};

const struct shape disk_views_shape = {
	.bytes = sizeof(struct disk_views),
	.fields = disks_fields,
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
