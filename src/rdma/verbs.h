/* SPDX-License-Identifier: MIT */

/*
 * librdmacm and libibverbs, where this host has them: they are loaded when they
 * are first asked for, and nothing else depends on them.
 */
#pragma once

#include <stdbool.h>

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

struct error;

/* What of them is used, by their names without `rdma_` and `ibv_`.  What their
 * headers make inline (posting, polling) is not among it. */
struct verbs {
	__typeof__(rdma_create_event_channel) *create_event_channel;
	__typeof__(rdma_destroy_event_channel) *destroy_event_channel;
	__typeof__(rdma_create_id) *create_id;
	__typeof__(rdma_destroy_id) *destroy_id;
	__typeof__(rdma_bind_addr) *bind_addr;
	__typeof__(rdma_listen) *listen;
	__typeof__(rdma_get_src_port) *get_src_port;
	__typeof__(rdma_set_option) *set_option;
	__typeof__(rdma_resolve_addr) *resolve_addr;
	__typeof__(rdma_resolve_route) *resolve_route;
	__typeof__(rdma_create_qp) *create_qp;
	__typeof__(rdma_destroy_qp) *destroy_qp;
	__typeof__(rdma_connect) *connect;
	__typeof__(rdma_accept) *accept;
	__typeof__(rdma_reject) *reject;
	__typeof__(rdma_get_cm_event) *get_cm_event;
	__typeof__(rdma_ack_cm_event) *ack_cm_event;
	__typeof__(rdma_event_str) *event_str;
	struct ibv_pd *(*alloc_pd)(struct ibv_context *);
	int (*dealloc_pd)(struct ibv_pd *);
	/* In the headers it is a macro as well. */
	struct ibv_mr *(*reg_mr)(struct ibv_pd *, void *, size_t, int);
	int (*dereg_mr)(struct ibv_mr *);
	struct ibv_comp_channel *(*create_comp_channel)(struct ibv_context *);
	int (*destroy_comp_channel)(struct ibv_comp_channel *);
	struct ibv_cq *(*create_cq)(struct ibv_context *, int, void *,
				    struct ibv_comp_channel *, int);
	int (*destroy_cq)(struct ibv_cq *);
	int (*get_cq_event)(struct ibv_comp_channel *, struct ibv_cq **,
			    void **);
	void (*ack_cq_events)(struct ibv_cq *, unsigned int);
	const char *(*wc_status_str)(enum ibv_wc_status);
	int (*close_device)(struct ibv_context *);
	__typeof__(rdma_get_devices) *get_devices;
	__typeof__(rdma_free_devices) *free_devices;
};

/* Any thread may call these. */

/* Constant until verbs_put().  NULL, -ENOENT: not installed, with what to do.
 */
const struct verbs *verbs_get(struct error *e);
/* Before an id that has one is destroyed: it is open, and librdmacm keeps it
 * so. */
void verbs_opened(struct ibv_context *device);
/* Whoever called verbs_get() needs them no more, and has nothing left of
 * theirs.
 * @removed: with a device that is being removed.  Once nobody needs them, all
 * devices are closed, at once after a removal, else with the last session. */
void verbs_put(bool removed);

/* A session that may use RDMA begins and ends. */
void verbs_session_begin(void);
void verbs_session_end(void);
