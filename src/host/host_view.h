/* SPDX-License-Identifier: MIT */

/* This host as it was at one moment, for who looks: a copy, which
 * host_view_done() frees. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ini.h"
#include "base/shape.h"
#include "base/words.h"

struct host_peer_view {
	char name[INI_NAME_CAP];
	struct words addresses;
	unsigned port;
	bool tls;
};

/* The protocol between hosts that is spoken, and the lowest understood. */
struct host_wire_view {
	unsigned version, lowest;
};

struct host_memory_view {
	uint64_t total, available; /* bytes */
};

extern const struct shape host_memory_shape;

/* What machines that went away have left here, bytes. */
struct host_kept_view {
	uint64_t count, memory, disk;
};

struct host_view {
	char name[INI_NAME_CAP], version[32];
	struct host_wire_view wire;
	struct host_memory_view memory;
	struct host_kept_view kept;
	struct words listen, networks;
	unsigned port, machines, jobs, cpus;
	char *qemu;
	struct words power; /* what its processors' settings cost moves */
	struct host_peer_view *peers;
	size_t peers_count;
};

void host_view_done(struct host_view *v);
