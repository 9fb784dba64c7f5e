/* SPDX-License-Identifier: MIT */

/* A session's RDMA: whether it may be used, between which cards, and by which
 * side of rdma/rdma.h.  It outlives the lanes' threads. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "nic/rdma_policy.h"
#include "rdma/rdma.h"

struct error;
struct lanes;
struct nic_watch;
struct outbox;

struct aside {
	/* set before the first lane */
	const char *peer;
	struct lanes *lanes;
	struct outbox *out;
	struct nic_watch *watch; /* NULL: no cards are known, and none used */
	bool secured;            /* the session has TLS */
	bool used;               /* `policy` says how */
	struct rdma_policy policy;
	void (*news)(void *context);
	void *context;

	atomic_bool admitted; /* the peer has a right to what pages come for */

	/* one of them, or none */
	struct rdma_source *source;
	struct rdma_sink *sink;
};

/* On the side that dials; without `used` nothing happens, here as below. */
int aside_dials(struct aside *a, struct error *e);
int aside_accepts(struct aside *a, uint64_t session, struct error *e);
/* Until then it refuses every queue pair: each is memory that stays locked. */
void aside_admit(struct aside *a);
/* The peer can. */
void aside_begin(struct aside *a, uint64_t session);
void aside_tend(struct aside *a); /* the supervisor's */
void aside_view(struct aside *a, struct rdma_view *ret);
/* Does the policy ask for RDMA on a lane that is there? */
bool aside_required(struct aside *a);
void aside_end(struct aside *a);
void aside_free(struct aside *a); /* when no lane's thread runs */
