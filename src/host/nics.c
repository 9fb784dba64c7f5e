/* SPDX-License-Identifier: MIT */

/* The cards of this host, read anew whenever somebody asks. */
#include <errno.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/host.h"
#include "nic/inventory.h"

static void drop_inventory(struct inventory **inv)
{
	inventory_drop(*inv);
}
#define AUTO_INVENTORY SCOPED(drop_inventory)

int nic_list(struct host *h, json_t **ret, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = NULL;

	(void)h;
	if (inventory_read(&inv, e) < 0)
		return error_code(e);
	*ret = inventory_json(inv);
	return 0;
}

int nic_show(struct host *h, const char *name, json_t **ret, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = NULL;
	const struct nic *n;

	(void)h;
	if (inventory_read(&inv, e) < 0)
		return error_code(e);
	n = inventory_by_name(inv, name);
	if (!n)
		return error_set(e, ENOENT, "there is no network card %s",
				 name);
	*ret = nic_json(inv, n);
	return 0;
}
