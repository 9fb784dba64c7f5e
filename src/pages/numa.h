/* SPDX-License-Identifier: MIT */

/*
 * On which NUMA node a block of RAM lives, and the threads that write it
 *
 * Where QEMU has bound a block (host-nodes= and policy= of its backend, or
 * numactl around all of it) the kernel gives its pages there, whoever touches
 * them first: the policy belongs to the mapping or to the file.  A thread that
 * writes them from another node sends every page between the two, so it goes to
 * the node of what it writes.  Huge pages of hugetlbfs are given where the
 * thread is.
 *
 * The node is what the kernel says of the process's mapping and not what the
 * process's arguments say.  A host of one node is asked nothing.
 */
#pragma once

#include <sched.h>
#include <stdint.h>
#include <sys/types.h>

enum { NUMA_NODES = 64, NUMA_ANYWHERE = -1 };

/* Of a host: the processors of each node that this process may use. */
struct numa_host {
	unsigned with_processors; /* how many nodes have some */
	cpu_set_t processors[NUMA_NODES];
};

/* The one node that the mapping which begins at @address has its pages from, by
 * the text of /proc/PID/numa_maps; NUMA_ANYWHERE where it is several or none.
 */
int numa_policy_node(const char *text, uint64_t address);

/* Where a thread goes that was last sent to @now, and writes what lives on
 * @wanted: it stays (@now) where nobody cares, and where no processor of the
 * other node is ours to use. */
int numa_choose(const struct numa_host *h, int now, int wanted);

/* Of a mapping of a process that is there. */
int numa_node_of(pid_t pid, uint64_t address);

/* This thread writes what lives on @node. */
void numa_run_near(int node);
