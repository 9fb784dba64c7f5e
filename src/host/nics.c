/* SPDX-License-Identifier: MIT */

/* The cards of this host, as the watch knows them. */
#include <errno.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/internal.h"
#include "nic/inventory.h"
#include "nic/watch.h"

int nic_list(struct host *h, json_t **ret, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(h->nics);

	(void)e;
	*ret = inventory_json(inv);
	return 0;
}

int nic_show(struct host *h, const char *name, json_t **ret, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(h->nics);
	const struct nic *n = inventory_by_name(inv, name);

	if (!n)
		return error_set(e, ENOENT, "there is no network card %s",
				 name);
	*ret = nic_json(inv, n);
	return 0;
}
