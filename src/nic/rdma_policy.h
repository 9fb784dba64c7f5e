/* SPDX-License-Identifier: MIT */

/*
 * Whether moves use RDMA, and over which networks: the key `rdma` of [host], of
 * [network NAME] and of a move, and `rdma-plain` of [network NAME].
 */
#pragma once

#include <stdbool.h>

#include "nic/networks.h"

struct error;

struct rdma_policy {
	enum rdma_use use;
	struct networks off;      /* not over these, whatever `use` says */
	struct networks required; /* over these, as if that were `require` */
	struct networks plain;    /* private: also where the peers have TLS */
};

/* Of the sections of network_section; -EINVAL: too many. */
int rdma_policy_compose(struct rdma_policy *ret, enum rdma_use use,
			const struct ini_list *sections, struct error *e);

enum { RDMA_POLICY_WHY = 160 };

/* May pages leave, or come, by RDMA at the address @a of the card @nic?
 * @secured: the session has TLS.  False with a sentence. */
bool rdma_policy_may(const struct rdma_policy *p, const char *nic,
		     const struct nic_address *a, bool secured,
		     char why[static RDMA_POLICY_WHY]);
/* Nothing but RDMA will do there. */
bool rdma_policy_requires(const struct rdma_policy *p, const char *nic,
			  const struct nic_address *a);
