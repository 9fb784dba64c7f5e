/* SPDX-License-Identifier: MIT */
#include "pages/numa.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/error.h"
#include "base/ini.h"
#include "base/scope.h"

enum { LIST_MOST = 16 << 10, MAPS_MOST = 16 << 20, LINE = 96 };

/* "bind:1 anon=512 N1=512", "prefer (many):0", "bind=static:1 file=/memfd:x";
 * of "default", "local", "interleave:0-1" and "bind:0-1" there is no one node.
 */
static int node_of_policy(const char *policy)
{
	const char *nodes = strchr(policy, ':');
	unsigned long node;
	char *end;

	if (!nodes || (strncmp(policy, "bind", 4) != 0 &&
		       strncmp(policy, "prefer", 6) != 0))
		return NUMA_ANYWHERE;
	node = strtoul(nodes + 1, &end, 10);
	if (end == nodes + 1 || (*end && *end != ' ') || node >= NUMA_NODES)
		return NUMA_ANYWHERE;
	return (int)node;
}

int numa_policy_node(const char *text, uint64_t address)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[LINE], *policy;

		snprintf(line, sizeof(line), "%.*s",
			 (int)(len < LINE ? len : LINE), text);
		text += len + (text[len] == '\n');
		if (strtoull(line, &policy, 16) == address && *policy == ' ')
			return node_of_policy(policy + 1);
	}
	return NUMA_ANYWHERE;
}

int numa_choose(const struct numa_host *h, int now, int wanted)
{
	/* Who wants none may come by before the host was asked, or while. */
	if (wanted < 0 || wanted >= NUMA_NODES || h->with_processors < 2)
		return now;
	return CPU_COUNT(&h->processors[wanted]) > 0 ? wanted : now;
}

/* --- this host */

static struct numa_host host; /* set by ask_host(), once */
static pthread_once_t asked = PTHREAD_ONCE_INIT;

static void ask_host(void)
{
	cpu_set_t ours;

	/* Of the whole service: its threads are sent here and there. */
	if (sched_getaffinity(getpid(), sizeof(ours), &ours) < 0)
		return;
	for (unsigned i = 0; i < NUMA_NODES; i++) {
		cpu_set_t *set = &host.processors[i];
		AUTO_FREE char *text = NULL;
		struct error ignored;
		char path[64];
		size_t len;

		snprintf(path, sizeof(path),
			 "/sys/devices/system/node/node%u/cpulist", i);
		if (ini_load(&text, &len, path, LIST_MOST, &ignored) < 0)
			continue;
		cpus_read_list(set, text);
		CPU_AND(set, set, &ours);
		host.with_processors += CPU_COUNT(set) > 0;
	}
}

int numa_node_of(pid_t pid, uint64_t address)
{
	AUTO_FREE char *text = NULL;
	struct error ignored;
	char path[64];
	size_t len;

	pthread_once(&asked, ask_host);
	if (host.with_processors < 2)
		return NUMA_ANYWHERE;
	snprintf(path, sizeof(path), "/proc/%d/numa_maps", (int)pid);
	if (ini_load(&text, &len, path, MAPS_MOST, &ignored) < 0)
		return NUMA_ANYWHERE;
	return numa_policy_node(text, address);
}

void numa_run_near(int node)
{
	static _Thread_local int now = NUMA_ANYWHERE;
	int next = numa_choose(&host, now, node);

	if (next == now)
		return;
	now = next;
	/* One that must not go there is as right as before, and slower. */
	(void)sched_setaffinity(0, sizeof(cpu_set_t), &host.processors[next]);
}
