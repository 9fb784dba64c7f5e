/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "nic/inventory.h"
#include "nic/scan.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, text, strlen(text));
	close(fd);
}

/* Root in a user namespace is enough; real root needs none. */
static bool new_network(void)
{
	const unsigned user = getuid();
	char map[64];

	if (unshare(CLONE_NEWNET) == 0)
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	snprintf(map, sizeof(map), "0 %u 1", user);
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", map);
	return true;
}

static bool run_ip(const char *words)
{
	char command[256];

	snprintf(command, sizeof(command), "ip %s >/dev/null 2>&1", words);
	return system(command) == 0; /* NOLINT(concurrency-mt-unsafe) */
}

/* One ip(8) for all: starting it takes longer than what it does. */
static bool run_batch(const char *const *lines)
{
	/* NOLINTNEXTLINE(cert-env33-c): nothing in it is from outside */
	FILE *batch = popen("ip -batch - >/dev/null 2>&1", "we");

	if (!batch)
		return false;
	for (; *lines; lines++)
		fprintf(batch, "%s\n", *lines);
	return pclose(batch) == 0;
}

void network_make(const char *const *lines)
{
	if (!new_network()) {
		print_message("no network namespace: %s\n",
			      strerrordesc_np(errno));
		skip();
	}
	if (!run_ip("-V")) {
		print_message("ip(8) is not installed\n");
		skip();
	}
	if (*lines && !run_batch(lines)) {
		print_message("ip(8) cannot '%s' here, or what follows\n",
			      *lines);
		skip();
	}
}

void network_change(const char *words)
{
	assert_true(run_ip(words));
}

struct inventory *network_read(void)
{
	struct inventory *inv = NULL;
	struct error e = { 0 };

	if (nic_scan(&inv, &e) < 0)
		fail_msg("%s", e.text);
	return inv;
}

const struct nic *network_card(const struct inventory *inv, const char *name)
{
	const struct nic *n = inventory_by_name(inv, name);

	if (!n)
		fail_msg("there is no %s", name);
	return n;
}
