/* SPDX-License-Identifier: MIT */

/* The cards of this host, as the watch knows them. */
#include <errno.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/host.h"
#include "host/parts.h"
#include "nic/inventory.h"
#include "nic/view.h"
#include "nic/watch.h"
#include "tune/view.h"

int nic_list(struct host *h, struct nic_views *ret, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(h->nics);

	return nic_views_of(ret, inv, e);
}

int nic_show(struct host *h, const char *name, struct nic_view *ret,
	     struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(h->nics);
	const struct nic *n = inventory_by_name(inv, name);

	if (!n)
		return error_set(e, ENOENT, "there is no network card %s",
				 name);
	return nic_view_of(ret, inv, n, e);
}

int nic_matrix(struct host *h, struct tune_matrix_view *ret, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(h->nics);

	return tune_matrix_of(ret, inv, e);
}
