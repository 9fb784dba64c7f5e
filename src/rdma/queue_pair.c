/* SPDX-License-Identifier: MIT */
#include "rdma/queue_pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "nic/address.h"
#include "rdma/verbs.h"

enum {
	BYTES = QUEUE_PAIR_BUFFERS * QUEUE_PAIR_BUFFER,
	RESOLVE_MS = 2000,
	ACK_TIMEOUT = 14, /* 4.096 us * 2^14; less breaks healthy connections */
	RETRIES = 6,      /* 7 is for ever on some cards */
	RECEIVER_RETRIES = 1, /* receives are there before they are needed */
	STRANGERS_MAX = 32,   /* refused by one queue pair */
};

struct queue_pair {
	const struct verbs *verbs;
	struct rdma_event_channel *events;
	struct rdma_cm_id *listener; /* NULL: it dialled, or has accepted */
	struct rdma_cm_id *id;
	struct ibv_pd *pd;
	struct ibv_comp_channel *completions;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	uint8_t *memory;
	bool accepts;
	bool removed; /* its device, the connection says */
};

uint8_t *queue_pair_buffer(const struct queue_pair *q, unsigned n)
{
	return q->memory + (size_t)n * QUEUE_PAIR_BUFFER;
}

struct queue_pair_far queue_pair_near(const struct queue_pair *q)
{
	return (struct queue_pair_far){ (uintptr_t)q->memory, q->mr->rkey };
}

/* --- making and unmaking it */

static int begin(struct queue_pair **ret, struct error *e)
{
	const struct verbs *v = verbs_get(e);
	struct queue_pair *q;

	if (!v)
		return error_code(e);
	q = calloc(1, sizeof(*q));
	if (!q) {
		verbs_put(false);
		return error_set(e, ENOMEM, "no memory for a queue pair");
	}
	q->verbs = v;
	q->events = v->create_event_channel();
	if (!q->events) {
		if (errno == ENODEV || errno == ENOENT)
			error_set(e, ENODEV,
				  "this host has no RDMA device, or no "
				  "rdma_ucm: modprobe rdma_ucm");
		else
			error_sys(e, "RDMA events");
		queue_pair_destroy(q);
		return error_code(e);
	}
	if (fcntl(q->events->fd, F_SETFL, O_NONBLOCK) < 0) {
		error_sys(e, "RDMA events");
		queue_pair_destroy(q);
		return error_code(e);
	}
	*ret = q;
	return 0;
}

static void destroy_id(const struct verbs *v, struct rdma_cm_id *id)
{
	if (!id)
		return;
	if (id->verbs)
		verbs_opened(id->verbs);
	v->destroy_id(id);
}

/* In this order: the first is the fence, the second withdraws the key.  With
 * the last that is needed of a removed device the device itself is let go of.
 */
void queue_pair_destroy(struct queue_pair *q)
{
	const struct verbs *v;

	if (!q)
		return;
	v = q->verbs;
	if (q->id && q->id->qp)
		v->destroy_qp(q->id);
	if (q->mr)
		v->dereg_mr(q->mr);
	if (q->cq)
		v->destroy_cq(q->cq);
	if (q->completions)
		v->destroy_comp_channel(q->completions);
	if (q->pd)
		v->dealloc_pd(q->pd);
	destroy_id(v, q->id);
	destroy_id(v, q->listener);
	if (q->events)
		v->destroy_event_channel(q->events);
	if (q->memory)
		munmap(q->memory, BYTES);
	verbs_put(q->removed);
	free(q);
}

/* What somebody can do about it. */
static int cannot_register(struct error *e)
{
	struct rlimit limit = { 0 };
	char need[32], have[32];

	if (errno != ENOMEM && errno != EPERM)
		return error_sys(e, "register memory for RDMA");
	getrlimit(RLIMIT_MEMLOCK, &limit);
	text_exact_bytes(need, sizeof(need), BYTES);
	if (limit.rlim_cur == RLIM_INFINITY)
		snprintf(have, sizeof(have), "infinity");
	else
		text_exact_bytes(have, sizeof(have), limit.rlim_cur);
	return error_set(e, ENOMEM,
			 "RDMA needs %s more of locked memory, and droverd's "
			 "limit is %s: set LimitMEMLOCK=infinity for "
			 "droverd.service",
			 need, have);
}

static int make_buffers(struct queue_pair *q, struct error *e)
{
	const int access =
		q->accepts ? IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE
			   : IBV_ACCESS_LOCAL_WRITE;

	q->memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (q->memory == MAP_FAILED) {
		q->memory = NULL;
		return error_sys(e, "memory for RDMA");
	}
	/* A child's page would be another one than the card's. */
	madvise(q->memory, BYTES, MADV_DONTFORK);
	q->mr = q->verbs->reg_mr(q->pd, q->memory, BYTES, access);
	return q->mr ? 0 : cannot_register(e);
}

/* For a connection that has a device now. */
static int make_pair(struct queue_pair *q, struct error *e)
{
	const struct verbs *v = q->verbs;
	struct ibv_qp_init_attr a = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = QUEUE_PAIR_BUFFERS,
			 .max_recv_wr = QUEUE_PAIR_BUFFERS,
			 .max_send_sge = 1,
			 .max_recv_sge = 1 },
	};

	if (q->id->verbs->device->transport_type == IBV_TRANSPORT_IWARP)
		return error_set(e, EOPNOTSUPP,
				 "RDMA device %s is iWARP, which has no writes "
				 "with an immediate: TCP is used",
				 q->id->verbs->device->name);
	q->pd = v->alloc_pd(q->id->verbs);
	q->completions = v->create_comp_channel(q->id->verbs);
	if (!q->pd || !q->completions)
		return error_sys(e, "RDMA device %s",
				 q->id->verbs->device->name);
	q->cq = v->create_cq(q->id->verbs, 2 * QUEUE_PAIR_BUFFERS + 1, NULL,
			     q->completions, 0);
	if (!q->cq || ibv_req_notify_cq(q->cq, 0) != 0 ||
	    fcntl(q->completions->fd, F_SETFL, O_NONBLOCK) < 0)
		return error_sys(e, "completions of RDMA device %s",
				 q->id->verbs->device->name);
	a.send_cq = a.recv_cq = q->cq;
	if (v->create_qp(q->id, q->pd, &a) < 0)
		return error_sys(e, "a queue pair of RDMA device %s",
				 q->id->verbs->device->name);
	return make_buffers(q, e);
}

/* --- events of the connection */

/* Waits for the next one; -ECANCELED, -ETIMEDOUT: also where one waits, since
 * strangers may make them without end. */
static int next_event(struct queue_pair *q, uint64_t deadline_us, int stop_fd,
		      struct rdma_cm_event **ret, struct error *e)
{
	for (;;) {
		struct pollfd p[2] = {
			{ .fd = q->events->fd, .events = POLLIN },
			{ .fd = stop_fd, .events = POLLIN },
		};
		int n = poll(p, 2, clock_poll_ms(deadline_us));

		if (n > 0 && p[1].revents)
			return error_set(e, ECANCELED, "not needed any more");
		if (clock_us() >= deadline_us)
			return error_set(e, ETIMEDOUT,
					 "no RDMA connection in time");
		if (q->verbs->get_cm_event(q->events, ret) == 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return error_sys(e, "events of an RDMA connection");
	}
}

static int event_failed(struct queue_pair *q, enum rdma_cm_event_type k,
			int status, struct error *e)
{
	if (k == RDMA_CM_EVENT_REJECTED)
		return error_set(e, ECONNREFUSED,
				 "the other side refuses the RDMA connection");
	q->removed |= k == RDMA_CM_EVENT_DEVICE_REMOVAL;
	if (q->removed)
		return error_set(e, ENODEV, "the RDMA device was removed");
	if (k == RDMA_CM_EVENT_DISCONNECTED)
		return error_set(e, ECONNRESET,
				 "the other side has closed the RDMA "
				 "connection");
	return error_set(e, ECONNABORTED, "RDMA connection: %s (%d)",
			 q->verbs->event_str(k), status);
}

/* One that has to be @wanted.  One that is not acknowledged would make
 * destroy_id() wait for ever. */
static int expect_event(struct queue_pair *q, enum rdma_cm_event_type wanted,
			uint64_t deadline_us, int stop_fd, struct error *e)
{
	struct rdma_cm_event *event;
	enum rdma_cm_event_type kind;
	int status;

	if (next_event(q, deadline_us, stop_fd, &event, e) < 0)
		return error_code(e);
	kind = event->event;
	status = event->status;
	q->verbs->ack_cm_event(event);
	return kind == wanted ? 0 : event_failed(q, kind, status, e);
}

/* --- dialling */

static int resolve(struct queue_pair *q, const struct queue_pair_way *way,
		   uint64_t deadline_us, int stop_fd, struct error *e)
{
	const struct verbs *v = q->verbs;
	struct sockaddr_storage from, to;
	uint8_t timeout = ACK_TIMEOUT;
	char host[NIC_ADDRESS_TEXT];

	nic_address_host(host, way->from);
	nic_address_socket(&from, way->from, 0);
	nic_address_socket(&to, way->to, way->port);
	if (v->create_id(q->events, &q->id, NULL, RDMA_PS_TCP) < 0 ||
	    v->resolve_addr(q->id, (struct sockaddr *)&from,
			    (struct sockaddr *)&to, RESOLVE_MS) < 0)
		return errno == ENODEV || errno == EADDRNOTAVAIL
			       ? error_set(e, ENODEV,
					   "%s is no address of an RDMA device",
					   host)
			       : error_sys(e, "RDMA from %s", host);
	if (expect_event(q, RDMA_CM_EVENT_ADDR_RESOLVED, deadline_us, stop_fd,
			 e) < 0)
		return error_in(e, "RDMA from %s", host);
	/* Not all devices have it: the default is longer. */
	v->set_option(q->id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT,
		      &timeout, sizeof(timeout));
	if (v->resolve_route(q->id, RESOLVE_MS) < 0)
		return error_sys(e, "route for RDMA from %s", host);
	return expect_event(q, RDMA_CM_EVENT_ROUTE_RESOLVED, deadline_us,
			    stop_fd, e);
}

static int connect_to(struct queue_pair *q, const struct queue_pair_way *way,
		      uint64_t deadline_us, int stop_fd, struct error *e)
{
	uint8_t greeting[RDMA_GREETING];
	struct rdma_conn_param p = { .private_data = greeting,
				     .private_data_len = sizeof(greeting),
				     .retry_count = RETRIES,
				     .rnr_retry_count = RECEIVER_RETRIES };

	rdma_greeting_write(way->greeting, greeting);
	if (q->verbs->connect(q->id, &p) < 0)
		return error_sys(e, "RDMA connection");
	return expect_event(q, RDMA_CM_EVENT_ESTABLISHED, deadline_us, stop_fd,
			    e);
}

int queue_pair_dial(struct queue_pair **ret, const struct queue_pair_way *way,
		    uint64_t deadline_us, int stop_fd, struct error *e)
{
	struct queue_pair *q;

	if (begin(&q, e) < 0)
		return error_code(e);
	if (resolve(q, way, deadline_us, stop_fd, e) < 0 ||
	    make_pair(q, e) < 0 ||
	    connect_to(q, way, deadline_us, stop_fd, e) < 0) {
		queue_pair_destroy(q);
		return error_code(e);
	}
	*ret = q;
	return 0;
}

/* --- accepting */

/* At an address of an RDMA device, and of no other. */
static int bind_to(struct queue_pair *q, const struct nic_address *at,
		   struct error *e)
{
	char host[NIC_ADDRESS_TEXT];
	struct sockaddr_storage a;

	nic_address_host(host, at);
	nic_address_socket(&a, at, 0);
	if (q->verbs->create_id(q->events, &q->listener, NULL, RDMA_PS_TCP) < 0)
		return error_sys(e, "RDMA at %s", host);
	if (q->verbs->bind_addr(q->listener, (struct sockaddr *)&a) < 0 &&
	    errno != ENODEV && errno != EADDRNOTAVAIL)
		return error_sys(e, "RDMA at %s", host);
	return q->listener->verbs
		       ? 0
		       : error_set(e, ENODEV,
				   "%s is no address of an RDMA device", host);
}

int queue_pair_possible(const struct nic_address *from, struct error *e)
{
	struct queue_pair *q;
	int r = begin(&q, e);

	if (r < 0)
		return r;
	r = bind_to(q, from, e);
	queue_pair_destroy(q);
	return r;
}

int queue_pair_listen(struct queue_pair **ret, const struct nic_address *at,
		      uint16_t *ret_port, struct error *e)
{
	struct queue_pair *q;

	if (begin(&q, e) < 0)
		return error_code(e);
	q->accepts = true;
	if (bind_to(q, at, e) < 0) {
		queue_pair_destroy(q);
		return error_code(e);
	}
	if (q->verbs->listen(q->listener, 1) < 0) {
		error_sys(e, "listen for RDMA");
		queue_pair_destroy(q);
		return error_code(e);
	}
	*ret_port = ntohs(q->verbs->get_src_port(q->listener));
	*ret = q;
	return 0;
}

static int post_receive(struct queue_pair *q, struct error *e)
{
	struct ibv_recv_wr r = { 0 }, *bad;
	int failed = ibv_post_recv(q->id->qp, &r, &bad);

	if (failed == 0)
		return 0;
	errno = failed;
	return error_sys(e, "receive by RDMA");
}

/* All receives are posted before the other side may send. */
static int take_connection(struct queue_pair *q, struct error *e)
{
	struct rdma_conn_param p = { .rnr_retry_count = RECEIVER_RETRIES };

	if (make_pair(q, e) < 0)
		return error_code(e);
	for (unsigned i = 0; i < QUEUE_PAIR_BUFFERS; i++)
		if (post_receive(q, e) < 0)
			return error_code(e);
	return q->verbs->accept(q->id, &p) < 0
		       ? error_sys(e, "accept an RDMA connection")
		       : 0;
}

/* Whoever does not know the secret is told nothing, and may try again: there
 * are more secrets than time. */
static bool is_expected(struct queue_pair *q, struct rdma_cm_event *event,
			const struct rdma_greeting *expected)
{
	struct rdma_cm_id *id = event->id;
	bool is;

	if (event->event != RDMA_CM_EVENT_CONNECT_REQUEST)
		return false;
	is = rdma_greeting_check(expected, event->param.conn.private_data,
				 event->param.conn.private_data_len) == 0;
	if (is)
		q->id = id;
	else
		q->verbs->reject(id, NULL, 0);
	return is;
}

int queue_pair_accept(struct queue_pair *q,
		      const struct rdma_greeting *expected,
		      uint64_t deadline_us, int stop_fd, unsigned *refused,
		      struct error *e)
{
	struct rdma_cm_event *event;

	*refused = 0;
	while (!q->id) {
		struct rdma_cm_id *stranger = NULL;
		enum rdma_cm_event_type kind;
		int status;

		if (next_event(q, deadline_us, stop_fd, &event, e) < 0)
			return error_code(e);
		kind = event->event;
		status = event->status;
		if (!is_expected(q, event, expected) &&
		    kind == RDMA_CM_EVENT_CONNECT_REQUEST) {
			stranger = event->id;
			++*refused;
		}
		q->verbs->ack_cm_event(event);
		if (stranger)
			destroy_id(q->verbs, stranger);
		else if (!q->id)
			return event_failed(q, kind, status, e);
		if (*refused == STRANGERS_MAX)
			return error_set(e, ECONNABORTED,
					 "%d RDMA connections without the "
					 "secret came before the right one",
					 STRANGERS_MAX);
	}
	/* The secret counts once. */
	destroy_id(q->verbs, q->listener);
	q->listener = NULL;
	if (take_connection(q, e) < 0)
		return error_code(e);
	return expect_event(q, RDMA_CM_EVENT_ESTABLISHED, deadline_us, stop_fd,
			    e);
}

/* --- writing, and what happens */

int queue_pair_write(struct queue_pair *q, unsigned n, size_t len,
		     const struct queue_pair_far *far, struct error *e)
{
	struct ibv_sge piece = { (uintptr_t)queue_pair_buffer(q, n),
				 (uint32_t)len, q->mr->lkey };
	struct ibv_send_wr w = {
		.wr_id = n,
		.sg_list = &piece,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htonl(n),
		.wr.rdma = { .remote_addr =
				     far->at + (uint64_t)n * QUEUE_PAIR_BUFFER,
			     .rkey = far->key },
	};
	struct ibv_send_wr *bad;
	int failed = ibv_post_send(q->id->qp, &w, &bad);

	if (failed == 0)
		return 0;
	errno = failed;
	return error_sys(e, "write by RDMA");
}

/* One completion: 1 with its buffer, 0: there is none. */
static int take_completion(struct queue_pair *q, unsigned *ret_buffer,
			   struct error *e)
{
	struct ibv_wc wc;
	int n = ibv_poll_cq(q->cq, 1, &wc);

	if (n == 0)
		return 0;
	if (n < 0)
		return error_set(e, EIO, "RDMA completions cannot be read");
	if (wc.status != IBV_WC_SUCCESS)
		return error_set(e, EIO, "RDMA: %s",
				 q->verbs->wc_status_str(wc.status));
	*ret_buffer = q->accepts ? ntohl(wc.imm_data) : (unsigned)wc.wr_id;
	if (*ret_buffer >= QUEUE_PAIR_BUFFERS)
		return error_set(e, EBADMSG, "RDMA write into buffer %u",
				 *ret_buffer);
	/* Before anybody can acknowledge what used the one before. */
	if (q->accepts && post_receive(q, e) < 0)
		return error_code(e);
	return 1;
}

static int check_connection(struct queue_pair *q, struct error *e)
{
	struct rdma_cm_event *event;
	enum rdma_cm_event_type kind;
	int status;

	if (q->verbs->get_cm_event(q->events, &event) < 0)
		return errno == EAGAIN || errno == EINTR
			       ? 0
			       : error_sys(e, "events of an RDMA connection");
	kind = event->event;
	status = event->status;
	q->verbs->ack_cm_event(event);
	return event_failed(q, kind, status, e);
}

/* Events that came are acknowledged, and the next completion makes one. */
static int rearm(struct queue_pair *q, struct error *e)
{
	struct ibv_cq *cq;
	void *context;
	unsigned n = 0;

	while (q->verbs->get_cq_event(q->completions, &cq, &context) == 0)
		n++;
	if (n > 0)
		q->verbs->ack_cq_events(q->cq, n);
	return ibv_req_notify_cq(q->cq, 0) == 0
		       ? 0
		       : error_set(e, EIO,
				   "RDMA completions cannot be "
				   "asked for");
}

int queue_pair_next(struct queue_pair *q, int stop_fd, unsigned *ret_buffer,
		    struct error *e)
{
	struct pollfd p[3] = { { .fd = stop_fd, .events = POLLIN },
			       { .fd = q->events->fd, .events = POLLIN },
			       { .fd = q->completions->fd, .events = POLLIN } };

	for (;;) {
		int r = take_completion(q, ret_buffer, e);

		if (r == 0) {
			/* One may have come before this. */
			if (rearm(q, e) < 0)
				return error_code(e);
			r = take_completion(q, ret_buffer, e);
		}
		if (r != 0)
			return r;
		poll(p, 3, -1);
		if (p[0].revents)
			return 0;
		if (p[1].revents && check_connection(q, e) < 0)
			return error_code(e);
	}
}
