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

#include "base/words.h"

/* Over which networks. */
struct paths_request {
	char *mode;
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
	bool has_downtime_limit, has_timeout;
	bool paused; /* leave it paused there */
};

/* What is not given stays as it is. */
struct job_request {
	struct words converge;
	int64_t downtime_limit_ms, timeout_ms;
	bool has_converge, has_downtime_limit, has_timeout;
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

struct adopt_request {
	const char *name; /* NULL: as its command line says */
	const char *user; /* whose the process is, where it is not ours */
	pid_t pid;
};
