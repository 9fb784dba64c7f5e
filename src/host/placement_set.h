/* SPDX-License-Identifier: MIT */

/* A set of hosts and their machines, as far as a placement has to know it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"

/* What a machine needs by name, and a host has. */
enum placement_need {
	PLACEMENT_TYPE,    /* machine types of its QEMU */
	PLACEMENT_FEATURE, /* of the processor, where the guest sees it */
	PLACEMENT_BRIDGE,  /* networks for the guest's cards */
	PLACEMENT_DISK,    /* storage that it reaches */
	PLACEMENT_NEEDS
};

struct placement_host {
	const char *name;
	const char *closed; /* why it takes no machine; NULL: it does */
	/* That machines may still take. */
	uint64_t memory_bytes, huge_bytes;
	unsigned cpus; /* 0: not known */
	double load;   /* of its processors, 1: all of them */
	/* Moves at a time that its cards carry at full speed, at least 1. */
	unsigned out, in;
	/* NULL: not known, and nothing is refused for it. */
	const struct words *has[PLACEMENT_NEEDS];
};

struct placement_machine {
	const char *name;
	unsigned at;       /* its host, by number */
	bool goes;         /* it has to leave that */
	const char *stays; /* why it cannot; NULL: it can */
	uint64_t memory_bytes, huge_bytes;
	uint64_t travel_bytes; /* what a move sends, about */
	unsigned vcpus;
	int priority;
	const char *apart, *together; /* groups; NULL: none */
	/* NULL: none.  Equal ones are best shared. */
	const struct words *needs[PLACEMENT_NEEDS];
};

/* What two hosts have found out about one machine. */
struct placement_refusal {
	unsigned machine, host;
	const char *why; /* a sentence */
};

struct placement {
	const struct placement_host *hosts;
	size_t n_hosts;
	const struct placement_machine *machines;
	size_t n_machines;
	const struct placement_refusal *refusals;
	size_t n_refusals;
	/* Bytes per second from host to host, [from * n_hosts + to]; NULL, or
	 * 0 of one: not known, all alike. */
	const double *rates;
	double each_s; /* what a move takes besides */
};
