/* SPDX-License-Identifier: MIT */

/*
 * Relays that wait for their source, each under a name.
 *
 * The list owns those that are on it; whoever takes one off owns it.  Any
 * thread may call; the lock in here is held alone and never while waiting.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "relay/endpoint.h"

struct error;
struct job;
struct relay_waits;

struct relay_wait {
	char name[64];
	struct endpoint qemu;
	pid_t pid;       /* that its QEMU should be; 0: any */
	struct job *job; /* a reference */
	struct relay_wait *next;
};

struct relay_waits *relay_waits_new(void);      /* NULL: no memory */
void relay_waits_free(struct relay_waits *all); /* NULL is fine */

void relay_wait_free(struct relay_wait *w);
/* Takes @w over; -EEXIST where one of its name waits, and it stays the
 * caller's. */
int relay_waits_add(struct relay_waits *all, struct relay_wait *w,
		    struct error *e);
/* The one of this name, or NULL; only that of @job if it is given: once the
 * source has come, another relay may wait under the name. */
struct relay_wait *relay_waits_take(struct relay_waits *all, const char *name,
				    const struct job *job);
bool relay_waits_has(struct relay_waits *all, const struct job *job);
