/* SPDX-License-Identifier: MIT */
#include "nic/interrupts.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "base/error.h"
#include "base/ini.h"
#include "base/text.h"
#include "nic/inventory.h"
#include "nic/sysfs.h"

enum { LINE = 1024, TEXT_MOST = 32 << 20 };
enum { INTERRUPTS_MOST = 4096 }; /* of one host's cards; more are left out */

/* Where the kernel really sends it; older ones do not say, and then the
 * processors that it may use count, when it is one. */
static int read_processor(unsigned number)
{
	char line[LINE];
	cpu_set_t set;

	if (!text_read_line(line, LINE, "/proc/irq/%u/effective_affinity_list",
			    number) &&
	    !text_read_line(line, LINE, "/proc/irq/%u/smp_affinity_list",
			    number))
		return -1;
	cpus_read_list(&set, line);
	for (int p = 0; p < CPU_SETSIZE && CPU_COUNT(&set) == 1; p++)
		if (CPU_ISSET(p, &set))
			return p;
	return -1;
}

static int add(struct nic_interrupts *all, const struct nic *n,
	       const char *name)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);
	struct nic_interrupt *more;

	if (end == name || *end || number > INT_MAX ||
	    all->count == INTERRUPTS_MOST)
		return 0;
	more = reallocarray(all->at, all->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	all->at = more;
	all->at[all->count++] = (struct nic_interrupt){
		.ifindex = n->ifindex,
		.number = (unsigned)number,
		.processor = read_processor((unsigned)number),
	};
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct nic_interrupt *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* A virtual card's device has them one above. */
static int add_card(struct nic_interrupts *all, const struct nic *n)
{
	static const char *const folders[] = { "msi_irqs", "../msi_irqs" };
	const size_t first = all->count;
	const struct dirent *entry;
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		AUTO_CLOSEDIR DIR *d = NULL;

		snprintf(path, sizeof(path), "/sys/class/net/%s/device/%s",
			 n->name, folders[i]);
		d = opendir(path);
		while (d && (entry = readdir(d)))
			if (add(all, n, entry->d_name) < 0)
				return -ENOMEM;
		if (d)
			break;
	}
	if (all->count > first)
		qsort(all->at + first, all->count - first, sizeof(*all->at),
		      by_number);
	return 0;
}

/* " 45:   10   0   PCI-MSIX ..." has a number for each processor. */
static void count_line(struct nic_interrupts *all, const char *line)
{
	char *at;
	unsigned long number = strtoul(line, &at, 10);
	uint64_t sum = 0;

	if (at == line || *at != ':')
		return;
	for (const char *from = at + 1;; from = at) {
		uint64_t count = strtoull(from, &at, 10);

		if (at == from || (*at && !strchr(" \t\n", *at)))
			break;
		sum += count;
	}
	for (size_t i = 0; i < all->count; i++)
		if (all->at[i].number == number)
			all->at[i].count = sum;
}

void nic_interrupts_count(struct nic_interrupts *all, const char *text)
{
	while (*text) {
		count_line(all, text);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

int nic_interrupts_read(struct nic_interrupts *ret, const struct inventory *inv,
			struct error *e)
{
	AUTO_FREE char *text = NULL;
	struct error ignored;
	size_t len;

	*ret = (struct nic_interrupts){ 0 };
	for (size_t i = 0; i < inv->count; i++) {
		const struct nic *n = &inv->at[i];

		if (n->kind == NIC_PHYSICAL && sysfs_shows(n) &&
		    add_card(ret, n) < 0)
			return error_set(e, ENOMEM,
					 "no memory for the interrupts of %s",
					 n->name);
	}
	if (ret->count > 0 &&
	    ini_load(&text, &len, "/proc/interrupts", TEXT_MOST, &ignored) == 0)
		nic_interrupts_count(ret, text);
	return 0;
}

void nic_interrupts_done(struct nic_interrupts *all)
{
	free(all->at);
	*all = (struct nic_interrupts){ 0 };
}
