/* SPDX-License-Identifier: MIT */

/*
 * Who makes a call of the control API: what the kernel says of the process
 * that connected, and what can be learnt from there.  A process that has ended
 * meanwhile leaves its number and user, and no name.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum { CALLER_NAME = 40 };

struct caller {
	uid_t uid;
	pid_t pid;    /* 0: in another namespace of processes */
	bool changes; /* he may call what changes something */
};

/* For people; "" where there is nothing to say. */
struct caller_names {
	char user[CALLER_NAME];    /* "anna", or "1000" */
	char login[CALLER_NAME];   /* who logged in, where that is another */
	char process[CALLER_NAME]; /* "drover", as the process calls itself */
};

void caller_names(struct caller_names *ret, const struct caller *c);
