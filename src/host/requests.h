/* SPDX-License-Identifier: MIT */

/*
 * What can be asked of the service in more than a word or two.  What is not
 * given is NULL, or said so by the flag before it, and is then as the settings
 * have it.  Nothing in here has been checked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/shape.h"
#include "base/words.h"

/* Over which networks. */
struct paths_request {
	char *mode;
	char *rdma;            /* "prefer", "require", "off" */
	struct words networks; /* a line for each rank */
	bool has_networks, has_connections;
	int64_t connections; /* at most, over all cards */
};

struct move_request {
	char *host;
	struct paths_request paths;
	char *on_timeout; /* "abort", "force": without and with "pause" */
	struct words converge;
	bool has_converge;
	int64_t downtime_limit_ms, timeout_ms;
	int64_t priority; /* in the queue */
	bool has_downtime_limit, has_timeout, has_priority;
	bool paused;             /* leave it paused there */
	bool disks;              /* they go with it */
	struct words disk_paths; /* move/disk_paths.h */
	int64_t weight, limit;   /* bytes a second; 0: none */
	bool has_weight, has_limit;
};

/* How it stands in JSON, as a member @m of @type: in the body of a call, and
 * on disk while the move waits. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type */
#define MOVE_REQUEST_FIELDS(type, m) \
	{ "host", SHAPE_STRING, SHAPE_OMIT, SHAPE_AT(type, m.host) }, \
		{ "downtime_limit_ms", SHAPE_SIGNED, SHAPE_OMIT, \
		  SHAPE_AT(type, m.downtime_limit_ms), \
		  SHAPE_HAS(type, m.has_downtime_limit) }, \
		{ "timeout_ms", SHAPE_SIGNED, SHAPE_OMIT, \
		  SHAPE_AT(type, m.timeout_ms), \
		  SHAPE_HAS(type, m.has_timeout) }, \
		{ "on_timeout", SHAPE_STRING, SHAPE_OMIT, \
		  SHAPE_AT(type, m.on_timeout) }, \
		{ "converge", SHAPE_WORDS, SHAPE_OMIT, \
		  SHAPE_AT(type, m.converge), \
		  SHAPE_HAS(type, m.has_converge) }, \
		{ "priority", SHAPE_SIGNED, SHAPE_OMIT, \
		  SHAPE_AT(type, m.priority), \
		  SHAPE_HAS(type, m.has_priority) }, \
		{ "weight", SHAPE_SIGNED, SHAPE_OMIT, \
		  SHAPE_AT(type, m.weight), SHAPE_HAS(type, m.has_weight) }, \
		{ "limit", SHAPE_SIGNED, SHAPE_OMIT, SHAPE_AT(type, m.limit), \
		  SHAPE_HAS(type, m.has_limit) }, \
		{ "paused", SHAPE_BOOL, 0, SHAPE_AT(type, m.paused) }, \
		{ "disks", SHAPE_BOOL, 0, SHAPE_AT(type, m.disks) }, \
		{ "disk_paths", SHAPE_WORDS, SHAPE_OMIT, \
		  SHAPE_AT(type, m.disk_paths) }, \
		{ "mode", SHAPE_STRING, SHAPE_OMIT, \
		  SHAPE_AT(type, m.paths.mode) }, \
		{ "rdma", SHAPE_STRING, SHAPE_OMIT, \
		  SHAPE_AT(type, m.paths.rdma) }, \
		{ "networks", SHAPE_WORDS, SHAPE_OMIT, \
		  SHAPE_AT(type, m.paths.networks), \
		  SHAPE_HAS(type, m.paths.has_networks) }, \
	{ \
		"connections", SHAPE_SIGNED, SHAPE_OMIT, \
			SHAPE_AT(type, m.paths.connections), \
			SHAPE_HAS(type, m.paths.has_connections) \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

/* What is not given stays as it is. */
struct job_request {
	struct words converge;
	int64_t downtime_limit_ms, timeout_ms;
	int64_t priority; /* of one that waits */
	bool has_converge, has_downtime_limit, has_timeout, has_priority;
	int64_t weight, limit; /* as of a move */
	bool has_weight, has_limit;
};

struct relay_request {
	char *role; /* "accept", "connect" */
	char *name;
	/* accept */
	char *qemu;
	pid_t pid; /* that its QEMU should be; 0: any */
	/* connect */
	bool has_downtime_limit; /* of before: it has no effect */
	char *host, *listen;
	char *socket_user, *socket_mode;
};

struct drain_request {
	struct words to; /* hosts; empty: any */
	bool stop_the_rest;
};

struct adopt_request {
	const char *name; /* NULL: as its command line says */
	const char *user; /* whose the process is, where it is not ours */
	pid_t pid;
};
