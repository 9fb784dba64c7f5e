/* SPDX-License-Identifier: MIT */

/* The section [host] of drover.conf(5). */
#pragma once

#include <netinet/in.h>

#include "base/ini.h"
#include "base/words.h"
#include "nic/networks.h"

/* What a machine that comes from a peer may name. */
enum host_policy {
	HOST_POLICY_STRICT, /* what qemu/policy.h allows */
	HOST_POLICY_OPEN,   /* anything */
};

struct host_settings {
	char *name;
	struct words listen; /* numeric addresses, at least one */
	unsigned port;
	struct networks networks; /* by its lines; empty: there are none */
	char *state_directory;
	char *trust_directory;
	char *run_directory;
	char *socket;
	char *group;
	char *read_group; /* may look; no such group: nobody else does */
	char *qemu;
	char *qemu_user;       /* NULL: not set */
	struct words programs; /* besides it, for machines of peers */
	unsigned policy;       /* enum host_policy */
	unsigned rdma;         /* enum rdma_use */
	struct words image_directories;
	char *hooks_directory;
	char *hook_user; /* as whom hooks run */
	char *metrics;   /* where /metrics is on TCP; NULL: nowhere */
};

extern const struct ini_section host_section;

/* What the table cannot say: defaults that depend on the machine or on other
 * keys. */
int host_settings_complete(struct host_settings *s, struct error *e);

/* "127.0.0.1:9091": -EINVAL for what is not this host's own. */
int metrics_address(struct sockaddr_in *ret, const char *text, struct error *e);
