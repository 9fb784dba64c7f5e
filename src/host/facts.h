/* SPDX-License-Identifier: MIT */

/*
 * What a plan has to know of hosts: what this one tells of itself, and what the
 * peers tell when they are asked, all at once.  Any thread may call; nothing is
 * kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "wire/facts.h"

struct host;
struct message;
struct session;

struct facts_of {
	char name[64];
	bool known;       /* it has told */
	bool heard;       /* it has answered at least */
	struct error why; /* else; a sentence without its name */
	struct host_facts facts;
};

/* This host is the first. */
struct facts_all {
	struct facts_of *at;
	size_t count;
};

int facts_gather(struct host *h, struct facts_all *ret, struct error *e);
void facts_all_done(struct facts_all *all);

/* The answer to a peer's "facts". */
int facts_answer(struct host *h, struct session *s,
		 const struct message *request, struct message *ret,
		 struct error *e);
