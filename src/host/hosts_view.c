/* SPDX-License-Identifier: MIT */
#include "host/hosts.h"

#define AT(member) SHAPE_AT(struct hosts_one, member)

static const struct shape_field one_fields[] = {
	{ "name", SHAPE_TEXT, 0, AT(name) },
	{ "here", SHAPE_BOOL, 0, AT(here) },
	{ "old", SHAPE_BOOL, 0, AT(old) },
	{ "seen", SHAPE_SECONDS, SHAPE_NULL, AT(seen_us) },
	{ "why", SHAPE_TEXT, SHAPE_NULL, AT(why) },
	{ "closed", SHAPE_TEXT, SHAPE_NULL, AT(closed) },
	{ "cpus", SHAPE_NUMBER, 0, AT(cpus) },
	{ "running", SHAPE_NUMBER, 0, AT(running) },
	{ "load", SHAPE_REAL, 0, AT(load) },
	{ "memory", SHAPE_OBJECT, 0, AT(memory), .of = &host_memory_shape },
};

#undef AT

static const struct shape one_shape = SHAPE(struct hosts_one, one_fields);

static const struct shape_field all_fields[] = {
	{ "asking", SHAPE_BOOL, 0, SHAPE_AT(struct hosts_all, asking) },
	{ "hosts", SHAPE_LIST, 0, SHAPE_AT(struct hosts_all, at),
	  SHAPE_COUNT(struct hosts_all, count), .of = &one_shape },
};

const struct shape hosts_shape = SHAPE(struct hosts_all, all_fields);
