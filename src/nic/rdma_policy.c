/* SPDX-License-Identifier: MIT */
#include "nic/rdma_policy.h"

#include <stdio.h>

#include "base/error.h"
#include "nic/address.h"

static int add(struct networks *n, const struct network_settings *s,
	       struct error *e)
{
	return networks_add_all(n, &s->addresses, e) < 0
		       ? -1
		       : networks_add_all(n, &s->cards, e);
}

int rdma_policy_compose(struct rdma_policy *ret, enum rdma_use use,
			const struct ini_list *sections, struct error *e)
{
	*ret = (struct rdma_policy){ .use = use };
	for (size_t i = 0; i < sections->count; i++) {
		const struct network_settings *s = sections->at[i];

		if ((s->rdma == RDMA_OFF && add(&ret->off, s, e) < 0) ||
		    (s->rdma == RDMA_REQUIRE &&
		     add(&ret->required, s, e) < 0) ||
		    (s->rdma_plain && add(&ret->plain, s, e) < 0))
			return error_in(e, "[network %s]", s->name);
	}
	return 0;
}

bool rdma_policy_may(const struct rdma_policy *p, const char *nic,
		     const struct nic_address *a, bool secured,
		     char why[static RDMA_POLICY_WHY])
{
	char host[NIC_ADDRESS_TEXT];

	nic_address_host(host, a);
	if (p->use == RDMA_OFF)
		snprintf(why, RDMA_POLICY_WHY, "rdma = off");
	else if (networks_have(&p->off, nic, a))
		snprintf(why, RDMA_POLICY_WHY,
			 "rdma = off for the network of %s (%s)", host, nic);
	else if (secured && !networks_have(&p->plain, nic, a))
		snprintf(why, RDMA_POLICY_WHY,
			 "RDMA is not encrypted and the peers have TLS: set "
			 "rdma-plain = on in the [network] of %s if that is "
			 "private",
			 host);
	else
		return true;
	return false;
}

bool rdma_policy_requires(const struct rdma_policy *p, const char *nic,
			  const struct nic_address *a)
{
	return p->use == RDMA_REQUIRE || networks_have(&p->required, nic, a);
}
