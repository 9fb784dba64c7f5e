/* SPDX-License-Identifier: MIT */
#include "wire/facts.h"

/* What a host says of itself is summed up and compared with what others say:
 * no sum of it may overflow, nor one host win by a number that none has. */
#define HOST_MOST (1ULL << 50)
#define MACHINE_MOST (1ULL << 48)

enum { TYPES_MOST = 2048, BRIDGES_MOST = 1024, MACHINES_MOST = 8192 };

#define OF(member) SHAPE_AT(struct machine_facts, member)

static const struct shape_field machine_fields[] = {
	{ "name", SHAPE_TEXT, SHAPE_NEEDED, OF(name) },
	{ "uuid", SHAPE_TEXT, SHAPE_OMIT, OF(uuid) },
	{ "type", SHAPE_TEXT, SHAPE_OMIT, OF(type) },
	{ "apart", SHAPE_TEXT, SHAPE_OMIT, OF(apart) },
	{ "together", SHAPE_TEXT, SHAPE_OMIT, OF(together) },
	{ "memory", SHAPE_NUMBER, 0, OF(memory_bytes), .most = MACHINE_MOST },
	{ "huge", SHAPE_BOOL, SHAPE_OMIT, OF(huge) },
	{ "vcpus", SHAPE_NUMBER, 0, OF(vcpus), .most = 1 << 16 },
	{ "priority", SHAPE_NUMBER, 0, OF(priority), .most = 1000 },
	{ "bridges", SHAPE_WORDS, SHAPE_OMIT, OF(bridges),
	  .most = BRIDGES_MOST },
};

const struct shape machine_facts_shape =
	SHAPE(struct machine_facts, machine_fields);

#undef OF
#define OF(member) SHAPE_AT(struct host_facts, member)

static const struct shape_field host_fields[] = {
	{ "closed", SHAPE_TEXT, SHAPE_OMIT, OF(closed) },
	{ "total", SHAPE_NUMBER, 0, OF(total_bytes), .most = HOST_MOST },
	{ "memory", SHAPE_NUMBER, 0, OF(memory_bytes), .most = HOST_MOST },
	{ "huge", SHAPE_NUMBER, SHAPE_OMIT, OF(huge_bytes), .most = HOST_MOST },
	{ "cpus", SHAPE_NUMBER, 0, OF(cpus), .most = 1 << 20 },
	{ "load", SHAPE_REAL, 0, OF(load), .most = FACTS_LOAD_MOST },
	{ "speed", SHAPE_NUMBER, SHAPE_OMIT, OF(speed), .most = 1ULL << 50 },
	{ "types", SHAPE_WORDS, SHAPE_OMIT, OF(types), .most = TYPES_MOST },
	{ "bridges", SHAPE_WORDS, SHAPE_OMIT, OF(bridges),
	  .most = BRIDGES_MOST },
	{ "machines", SHAPE_LIST, SHAPE_OMIT, OF(machines),
	  SHAPE_COUNT(struct host_facts, n_machines), .most = MACHINES_MOST,
	  .of = &machine_facts_shape },
};

const struct shape host_facts_shape = SHAPE(struct host_facts, host_fields);
