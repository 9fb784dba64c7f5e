/* SPDX-License-Identifier: MIT */
#include "nic/sysfs.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/text.h"
#include "nic/inventory.h"

enum { LINE = 128, PORTS_MAX = 32, GIDS_MAX = 16 };
enum { VFS_MAX = 65535 }; /* as many as PCIe can count */

static void close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

bool sysfs_shows(const struct nic *n)
{
	char line[LINE], mac[LINE];

	if (!text_read_line(line, LINE, "/sys/class/net/%s/ifindex", n->name) ||
	    strtol(line, NULL, 10) != n->ifindex || !n->has_mac)
		return false;
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", n->mac[0],
		 n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
	return text_read_line(line, LINE, "/sys/class/net/%s/address",
			      n->name) &&
	       !strcmp(line, mac);
}

/* The text behind the number in "4: ACTIVE". */
static void put_word(char *to, size_t cap, const char *line)
{
	const char *colon = strstr(line, ": ");

	snprintf(to, cap, "%s", colon ? colon + 2 : line);
}

static void read_port(struct nic_rdma_port *p, const char *device,
		      unsigned port)
{
	static const char of[] = "/sys/class/infiniband/%s/ports/%u/%s";
	char line[LINE] = "", name[LINE];
	unsigned gids = 0;

	*p = (struct nic_rdma_port){ .port = port };
	if (text_read_line(line, LINE, of, device, port, "state"))
		put_word(p->state, sizeof(p->state), line);
	line[0] = '\0';
	text_read_line(line, LINE, "/sys/class/infiniband/%s/node_type",
		       device);
	if (strstr(line, "RNIC"))
		snprintf(p->kind, sizeof(p->kind), "iWARP");
	else if (text_read_line(line, LINE, of, device, port, "link_layer"))
		snprintf(p->kind, sizeof(p->kind), "%s",
			 strcmp(line, "Ethernet") ? line : "RoCE");
	for (unsigned i = 0; i < GIDS_MAX && gids < NIC_GIDS; i++) {
		snprintf(name, sizeof(name), "gids/%u", i);
		if (text_read_line(line, LINE, of, device, port, name) &&
		    strspn(line, "0:") < strlen(line))
			snprintf(p->gid[gids++], NIC_GID_TEXT, "%s", line);
	}
}

static void read_rdma(struct inventory *inv, const char *device)
{
	char name[LINE];

	for (unsigned port = 1; port <= PORTS_MAX; port++) {
		struct nic *n;

		if (!text_read_line(name, sizeof(name),
				    "/sys/class/infiniband/%s/ports/%u/"
				    "gid_attrs/"
				    "ndevs/0",
				    device, port))
			return;
		n = inventory_by_name(inv, name);
		if (!n || !sysfs_shows(n))
			continue;
		snprintf(n->rdma, sizeof(n->rdma), "%s", device);
		read_port(&n->rdma_port, device, port);
	}
}

/* 0 where the file is not there, or holds none. */
static unsigned read_count(const struct nic *n, const char *file)
{
	char line[LINE];
	unsigned long count;

	if (!text_read_line(line, LINE, "/sys/class/net/%s/device/%s", n->name,
			    file))
		return 0;
	count = strtoul(line, NULL, 10);
	return count > VFS_MAX ? 0 : (unsigned)count;
}

static void read_device(struct nic *n)
{
	char line[LINE];

	if (text_read_line(line, LINE, "/sys/class/net/%s/device/numa_node",
			   n->name))
		n->numa_node = (int)strtol(line, NULL, 10);
	if (text_read_line(line, LINE, "/sys/class/net/%s/queues/rx-0/rps_cpus",
			   n->name)) {
		n->rps = strspn(line, "0,") < strlen(line);
		n->rps_known = true;
	}
	n->vfs_most = read_count(n, "sriov_totalvfs");
	n->vfs = read_count(n, "sriov_numvfs");
}

void sysfs_fill(struct inventory *inv)
{
	SCOPED(close_dir) DIR *d = opendir("/sys/class/infiniband");
	const struct dirent *entry;

	for (size_t i = 0; i < inv->count; i++) {
		struct nic *n = &inv->at[i];

		if (n->kind == NIC_PHYSICAL && sysfs_shows(n))
			read_device(n);
	}
	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			read_rdma(inv, entry->d_name);
}
