/* SPDX-License-Identifier: MIT */
#include "nic/sysfs.h"

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "nic/inventory.h"

enum { LINE = 128, PORTS_MAX = 32 };

static void close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* The file's first line; false when there is none. */
static bool read_line(char line[static LINE], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool read_line(char line[static LINE], const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool good;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	f = fopen(path, "re");
	if (!f)
		return false;
	good = fgets(line, LINE, f) != NULL;
	fclose(f);
	if (good)
		line[strcspn(line, "\n")] = '\0';
	return good;
}

static bool is_shown(const struct nic *n)
{
	char line[LINE], mac[LINE];

	if (!read_line(line, "/sys/class/net/%s/ifindex", n->name) ||
	    strtol(line, NULL, 10) != n->ifindex || !n->has_mac)
		return false;
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", n->mac[0],
		 n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
	return read_line(line, "/sys/class/net/%s/address", n->name) &&
	       !strcmp(line, mac);
}

static void read_rdma(struct inventory *inv, const char *device)
{
	char name[LINE];

	for (unsigned port = 1; port <= PORTS_MAX; port++) {
		struct nic *n;

		if (!read_line(name,
			       "/sys/class/infiniband/%s/ports/%u/gid_attrs/"
			       "ndevs/0",
			       device, port))
			return;
		n = inventory_by_name(inv, name);
		if (n && is_shown(n))
			snprintf(n->rdma, sizeof(n->rdma), "%s", device);
	}
}

void sysfs_fill(struct inventory *inv)
{
	SCOPED(close_dir) DIR *d = opendir("/sys/class/infiniband");
	const struct dirent *entry;
	char line[LINE];

	for (size_t i = 0; i < inv->count; i++) {
		struct nic *n = &inv->at[i];

		if (n->kind == NIC_PHYSICAL && is_shown(n) &&
		    read_line(line, "/sys/class/net/%s/device/numa_node",
			      n->name))
			n->numa_node = (int)strtol(line, NULL, 10);
	}
	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			read_rdma(inv, entry->d_name);
}
