/* SPDX-License-Identifier: MIT */

/* The cards of this host, as the watch knows them. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/host.h"
#include "host/parts.h"
#include "host/registry.h"
#include "nic/interrupts.h"
#include "nic/inventory.h"
#include "nic/scan.h"
#include "nic/view.h"
#include "nic/watch.h"
#include "tune/advise.h"
#include "tune/facts.h"
#include "tune/processors.h"
#include "tune/view.h"

enum { MEASURE_MS = 1000 };

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

/* There is a group for each device that could be given away. */
static bool has_iommu(void)
{
	AUTO_CLOSEDIR DIR *d = opendir("/sys/kernel/iommu_groups");
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			return true;
	return false;
}

static bool has_irqbalance(void)
{
	AUTO_CLOSEDIR DIR *d = opendir("/proc");
	const struct dirent *entry;
	char name[32];

	while (d && (entry = readdir(d)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    text_read_line(name, sizeof(name), "/proc/%s/comm",
				   entry->d_name) &&
		    !strcmp(name, "irqbalance"))
			return true;
	return false;
}

static int measure(const struct host *h, struct processors **ret,
		   double *ret_seconds, struct error *e)
{
	AUTO_FREE struct processors *before = NULL;
	const uint64_t began_us = clock_us();

	if (processors_read(&before, e) < 0)
		return error_code(e);
	if (host_stops(h, MEASURE_MS))
		return error_set(e, EAGAIN, "the service is about to end");
	if (processors_read(ret, e) < 0)
		return error_code(e);
	processors_compare(*ret, before);
	*ret_seconds = (double)(clock_us() - began_us) / USEC_PER_SEC;
	return 0;
}

int nic_advise(struct host *h, const char *purpose, struct tune_advice *ret,
	       struct error *e)
{
	AUTO_FREE struct processors *processors = NULL;
	AUTO_INVENTORY struct inventory *inv = NULL;
	AUTO_INTERRUPTS struct nic_interrupts interrupts = { 0 };
	enum tune_purpose wanted;
	struct tune_facts facts = { .interrupts = &interrupts };

	if (tune_purpose_parse(&wanted, purpose, e) < 0 ||
	    measure(h, &processors, &facts.seconds, e) < 0)
		return error_code(e);
	/* The watch hears of no rings, queues or tables that somebody sets. */
	if (nic_scan(&inv, e) < 0)
		return error_code(e);
	if (nic_interrupts_read(&interrupts, inv, e) < 0)
		return error_code(e);
	facts.inv = inv;
	facts.processors = processors;
	facts.machines = registry_processes(h->registry, NULL, 0);
	facts.iommu = has_iommu();
	facts.irqbalance = has_irqbalance();
	return tune_advise(ret, &facts, wanted, e);
}
