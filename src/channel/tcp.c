/* SPDX-License-Identifier: MIT */

/*
 * Channels over TCP.
 *
 * What waits in the kernel is kept small (TCP_NOTSENT_LOWAT), so that a frame
 * that has to leave over another channel is not stuck behind a megabyte, and
 * a dead path is noticed within a second (TCP_USER_TIMEOUT).
 *
 * A connection that is dialled has its congestion control from congestion.h;
 * one that was accepted, over which little is sent, has the host's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/tcp.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"
#include "channel/congestion.h"
#include "nic/address.h"

enum {
	DEAD_AFTER_MS = 1000,       /* unanswered data on a path */
	NOTSENT_BYTES = 256 * 1024, /* one frame ahead of the wire */
	BACKLOG = 64,
};

struct tcp_channel {
	struct channel base;
	int fd;
	/* What the host, or the route, gives to the connection. */
	char own_congestion[CONGESTION_NAME];
};

static struct tcp_channel *tcp_of(struct channel *c)
{
	return container_of(c, struct tcp_channel, base);
}

/* Drops what has been written from the front of @iov. */
static void iov_advance(struct iovec **iov, int *n, size_t written)
{
	while (*n > 0 && written >= (*iov)->iov_len) {
		written -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (*n > 0) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + written;
		(*iov)->iov_len -= written;
	}
}

static int tcp_write(struct channel *c, struct iovec *iov, int n,
		     struct error *e)
{
	while (n > 0) {
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };
		ssize_t sent = sendmsg(tcp_of(c)->fd, &m, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return error_sys(e, "send to %s", c->to);
		iov_advance(&iov, &n, (size_t)sent);
	}
	return 0;
}

static ssize_t tcp_read(struct channel *c, void *buf, size_t cap,
			uint64_t deadline_us, struct error *e)
{
	struct pollfd p = { .fd = tcp_of(c)->fd, .events = POLLIN };

	for (;;) {
		ssize_t n = recv(p.fd, buf, cap, MSG_DONTWAIT);

		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR)
			return error_sys(e, "receive from %s", c->to);
		if (errno == EAGAIN &&
		    poll(&p, 1, clock_poll_ms(deadline_us)) == 0)
			return -EAGAIN;
	}
}

static void tcp_finish(struct channel *c)
{
	shutdown(tcp_of(c)->fd, SHUT_WR);
}

static void tcp_shutdown(struct channel *c)
{
	shutdown(tcp_of(c)->fd, SHUT_RDWR);
}

static void congestion_of(char ret[CONGESTION_NAME], int fd)
{
	socklen_t len = CONGESTION_NAME;

	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, ret, &len) < 0)
		len = 0;
	ret[len < CONGESTION_NAME ? len : CONGESTION_NAME - 1] = '\0';
}

static int congest(int fd, const char *name)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name,
			  (socklen_t)strlen(name));
}

static void tcp_stats(struct channel *c, struct channel_stats *ret)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	*ret = (struct channel_stats){ 0 };
	if (getsockopt(tcp_of(c)->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return;
	ret->retransmissions = info.tcpi_total_retrans;
	ret->rtt_us = info.tcpi_rtt;
	ret->least_rtt_us = info.tcpi_min_rtt;
	/* What has arrived: a socket sends in bursts, of which a card's queue
	 * drops a part. */
	ret->sent_bytes = info.tcpi_bytes_acked;
	ret->sent_packets = info.tcpi_segs_out;
	ret->left_bytes = info.tcpi_bytes_sent;
	ret->received_bytes = info.tcpi_bytes_received;
	ret->received_packets = info.tcpi_segs_in;
	congestion_of(ret->congestion, tcp_of(c)->fd);
	memcpy(ret->own_congestion, tcp_of(c)->own_congestion,
	       sizeof(ret->own_congestion));
	len = sizeof(ret->queue);
	if (getsockopt(tcp_of(c)->fd, SOL_SOCKET, SO_INCOMING_NAPI_ID,
		       &ret->queue, &len) < 0)
		ret->queue = 0;
}

static size_t tcp_unread(struct channel *c)
{
	int n = 0;

	return ioctl(tcp_of(c)->fd, FIONREAD, &n) < 0 || n < 0 ? 0 : (size_t)n;
}

static void tcp_free(struct channel *c)
{
	close(tcp_of(c)->fd);
	free(tcp_of(c));
}

static void name_of(char ret[CHANNEL_NAME_MAX], const struct sockaddr *a,
		    socklen_t len)
{
	char host[48], port[8];

	if (getnameinfo(a, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		snprintf(ret, CHANNEL_NAME_MAX, "unknown");
		return;
	}
	snprintf(ret, CHANNEL_NAME_MAX,
		 a->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void address_of(struct nic_address *ret, uint16_t *ret_port,
		       const struct sockaddr_storage *a)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	*ret = (struct nic_address){ .family = a->ss_family };
	if (a->ss_family == AF_INET) {
		memcpy(&v4, a, sizeof(v4));
		memcpy(ret->bytes, &v4.sin_addr, sizeof(v4.sin_addr));
		ret->prefix = 32;
		*ret_port = ntohs(v4.sin_port);
	} else if (a->ss_family == AF_INET6) {
		memcpy(&v6, a, sizeof(v6));
		memcpy(ret->bytes, &v6.sin6_addr, sizeof(v6.sin6_addr));
		ret->prefix = 128;
		*ret_port = ntohs(v6.sin6_port);
	} else {
		ret->family = 0;
	}
}

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

struct connection {
	int fd;
	char own[CONGESTION_NAME]; /* it would have by itself */
	const char *begun;         /* it has been given */
};

/* Takes the descriptor over, also when it fails. */
static int tcp_new(struct channel **ret, const struct connection *from,
		   struct error *e)
{
	const int fd = from->fd;
	struct sockaddr_storage here = { 0 }, there = { 0 };
	socklen_t here_len = sizeof(here), there_len = sizeof(there);
	struct tcp_channel *t;

	if (getsockname(fd, (struct sockaddr *)&here, &here_len) < 0 ||
	    getpeername(fd, (struct sockaddr *)&there, &there_len) < 0 ||
	    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
	    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, DEAD_AFTER_MS) < 0 ||
	    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_BYTES) < 0) {
		error_sys(e, "set up connection");
		close(fd);
		return error_code(e);
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		close(fd);
		return error_set(e, ENOMEM, "no memory for a channel");
	}
	t->base.kind = &channel_tcp;
	t->fd = fd;
	memcpy(t->own_congestion, from->own, sizeof(from->own));
	name_of(t->base.from, (struct sockaddr *)&here, here_len);
	name_of(t->base.to, (struct sockaddr *)&there, there_len);
	address_of(&t->base.local, &t->base.local_port, &here);
	address_of(&t->base.remote, &t->base.remote_port, &there);
	*ret = &t->base;
	return 0;
}

static int wait_connected(int fd, uint64_t deadline_us, int stop_fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLOUT },
			       { .fd = stop_fd, .events = POLLIN } };
	socklen_t len = sizeof(int);
	int failed = 0, n;

	do {
		n = poll(p, 2, clock_poll_ms(deadline_us));
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		failed = ETIMEDOUT;
	else if (p[1].revents)
		failed = ECANCELED;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len);
	errno = failed;
	return failed ? -1 : 0;
}

/* Connects @fd, which does not block until then. */
static int connect_to(int fd, const struct sockaddr *to, socklen_t len,
		      uint64_t deadline_us, int stop_fd, struct error *e)
{
	char name[CHANNEL_NAME_MAX];

	name_of(name, to, len);
	if (connect(fd, to, len) < 0 &&
	    (errno != EINPROGRESS ||
	     wait_connected(fd, deadline_us, stop_fd) < 0))
		return error_sys(e, "connect %s", name);
	if (fcntl(fd, F_SETFL, 0) < 0)
		return error_sys(e, "connect %s", name);
	return 0;
}

/* One that the host does not allow is no failure: the next one, or its own. */
static void begin_congestion(struct connection *c)
{
	const char *const *name;

	congestion_of(c->own, c->fd);
	for (name = congestion_first(c->own); *name; name++)
		if (congest(c->fd, *name) == 0)
			break;
	c->begun = *name ? *name : c->own;
}

/* The other end has answered: how far it is, and by what route. */
static void settle_congestion(struct connection *c)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	char now[CONGESTION_NAME];
	struct congestion_case k = { .wish = "auto",
				     .own = c->own,
				     .now = now };

	congestion_of(now, c->fd);
	if (strcmp(now, c->begun) != 0)
		memcpy(c->own, now, sizeof(c->own)); /* the route's */
	getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	k.rtt_us = info.tcpi_rtt;
	k.least_rtt_us = info.tcpi_min_rtt;
	if (strcmp(congestion_next(&k), now) != 0)
		congest(c->fd, c->own);
}

static void scope_connection(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
}

static int socket_for(struct connection *ret, int family, struct error *e)
{
	ret->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ret->fd < 0)
		return error_sys(e, "socket");
	begin_congestion(ret);
	return 0;
}

static int take_connection(struct connection *ret, struct connection *c)
{
	*ret = *c;
	c->fd = -1;
	return 0;
}

static int connect_one(struct connection *ret, const struct addrinfo *a,
		       uint64_t deadline_us, int stop_fd, struct error *e)
{
	SCOPED(scope_connection) struct connection c = { .fd = -1 };

	if (socket_for(&c, a->ai_family, e) < 0 ||
	    connect_to(c.fd, a->ai_addr, a->ai_addrlen, deadline_us, stop_fd,
		       e) < 0)
		return error_code(e);
	return take_connection(ret, &c);
}

static int resolve(struct addrinfo **ret, const char *host, uint16_t port,
		   int flags, struct error *e)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = flags | AI_NUMERICSERV };
	char service[8];
	int r;

	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(host, service, &hints, ret);
	if (r != 0)
		return error_set(e, EHOSTUNREACH, "address %s: %s", host,
				 r == EAI_SYSTEM ? strerrordesc_np(errno)
						 : gai_strerror(r));
	return 0;
}

static void scope_addrinfo(struct addrinfo **a)
{
	if (*a)
		freeaddrinfo(*a);
}

static int dial_host(struct connection *ret, const struct channel_way *way,
		     uint64_t deadline_us, int stop_fd, struct error *e)
{
	SCOPED(scope_addrinfo) struct addrinfo *list = NULL;
	int r = -EHOSTUNREACH;

	if (resolve(&list, way->host, way->port, 0, e) < 0)
		return error_code(e);
	for (const struct addrinfo *a = list; a && r < 0 && r != -ECANCELED;
	     a = a->ai_next)
		r = connect_one(ret, a, deadline_us, stop_fd, e);
	return r;
}

/* Needs no privilege for a socket that is bound to no card yet (Linux 5.7). */
static int bind_device(int fd, const char *device, struct error *e)
{
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
		       (socklen_t)strlen(device)) < 0 &&
	    errno != EPERM)
		return error_sys(e, "keep a connection to card %s", device);
	return 0;
}

static int bind_way(int fd, const struct channel_way *way, struct error *e)
{
	struct sockaddr_storage from;
	socklen_t len = nic_address_socket(&from, way->from, way->from_port);
	char name[CHANNEL_NAME_MAX];

	/* Without a port of its own the connection gets one that is free
	 * towards its peer, not one that is free towards everybody. */
	if (way->from_port == 0)
		set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	else
		set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind_device(fd, way->device, e) < 0)
		return error_code(e);
	if (bind(fd, (struct sockaddr *)&from, len) == 0)
		return 0;
	error_sys(e, "bind");
	name_of(name, (struct sockaddr *)&from, len);
	return error_in(e, "connection from %s", name);
}

static int dial_pair(struct connection *ret, const struct channel_way *way,
		     uint64_t deadline_us, int stop_fd, struct error *e)
{
	struct sockaddr_storage to;
	socklen_t len = nic_address_socket(&to, way->to, way->port);
	SCOPED(scope_connection) struct connection c = { .fd = -1 };

	if (socket_for(&c, way->to->family, e) < 0 ||
	    bind_way(c.fd, way, e) < 0 ||
	    connect_to(c.fd, (struct sockaddr *)&to, len, deadline_us, stop_fd,
		       e) < 0)
		return error_code(e);
	return take_connection(ret, &c);
}

static int tcp_dial(struct channel **ret, const struct channel_way *way,
		    uint64_t deadline_us, int stop_fd, struct error *e)
{
	struct connection c = { .fd = -1 };
	int r = way->to ? dial_pair(&c, way, deadline_us, stop_fd, e)
			: dial_host(&c, way, deadline_us, stop_fd, e);

	if (r < 0)
		return r;
	settle_congestion(&c);
	return tcp_new(ret, &c, e);
}

static int tcp_keep_to(struct channel *c, const char *device, struct error *e)
{
	return bind_device(tcp_of(c)->fd, device, e);
}

/* TCP paces by itself; no queue of the card's is needed for it. */
static int tcp_pace(struct channel *c, uint64_t rate, struct error *e)
{
	/* Eight bytes: four would end at 34 Gbit/s. */
	if (setsockopt(tcp_of(c)->fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate,
		       sizeof(rate)) < 0)
		return error_sys(e, "pace the connection to %s", c->to);
	return 0;
}

/* The type of service sets a priority too, so the asked one comes after it. */
static int tcp_mark(struct channel *c, const struct channel_marks *m,
		    struct error *e)
{
	const int fd = tcp_of(c)->fd;
	const bool v6 = c->local.family == AF_INET6;

	if (m->dscp >= 0 &&
	    set_option(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		       v6 ? IPV6_TCLASS : IP_TOS, m->dscp << 2) < 0)
		return error_sys(e, "mark the connection to %s with DSCP %d",
				 c->to, m->dscp);
	if (m->priority >= 0 &&
	    set_option(fd, SOL_SOCKET, SO_PRIORITY, m->priority) < 0)
		return error_sys(e,
				 "mark the connection to %s with priority %d",
				 c->to, m->priority);
	return 0;
}

static int tcp_congest(struct channel *c, const char *name, struct error *e)
{
	if (congest(tcp_of(c)->fd, name) == 0)
		return 0;
	return error_sys(e,
			 "congestion control %s for the connection to %s (see "
			 "net.ipv4.tcp_available_congestion_control)",
			 name, c->to);
}

static int tcp_listen(int *ret_fd, const char *address, uint16_t port,
		      struct error *e)
{
	SCOPED(scope_addrinfo) struct addrinfo *list = NULL;
	AUTO_CLOSE int fd = -1;

	if (resolve(&list, address, port, AI_PASSIVE | AI_NUMERICHOST, e) < 0)
		return error_in(e, "listen");
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    0);
	if (fd < 0)
		return error_sys(e, "listen on %s port %u", address, port);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (list->ai_family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (bind(fd, list->ai_addr, list->ai_addrlen) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return error_sys(e, "listen on %s port %u", address, port);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The card that the peer's handshake came in by: Linux keeps it with the
 * connection and tells it with IP_PKTOPTIONS and IPV6_2292PKTOPTIONS. */
static int arrival_of(int fd, int family)
{
	const bool v6 = family == AF_INET6;
	const int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	const int name = v6 ? IPV6_RECVPKTINFO : IP_PKTINFO;
	union {
		char bytes[256];
		struct cmsghdr align;
	} control;
	struct msghdr m = { .msg_control = control.bytes };
	socklen_t len = sizeof(control.bytes);
	int r;

	if (set_option(fd, level, name, 1) < 0)
		return 0;
	r = getsockopt(fd, level, v6 ? IPV6_2292PKTOPTIONS : IP_PKTOPTIONS,
		       control.bytes, &len);
	/* While it is on, TCP over IPv6 clones each packet. */
	set_option(fd, level, name, 0);
	if (r < 0)
		return 0;
	m.msg_controllen = len;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		struct in6_pktinfo v6_info;
		struct in_pktinfo v4_info;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&v4_info, CMSG_DATA(c), sizeof(v4_info));
			return v4_info.ipi_ifindex;
		}
		if (c->cmsg_level == IPPROTO_IPV6 &&
		    c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6_info, CMSG_DATA(c), sizeof(v6_info));
			return (int)v6_info.ipi6_ifindex;
		}
	}
	return 0;
}

static int tcp_accept(struct channel **ret, int listen_fd, int spare,
		      struct error *e)
{
	AUTO_CLOSE int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct connection c = { .fd = -1 };
	int limit;

	if (fd < 0)
		return errno == EAGAIN ? -EAGAIN : error_sys(e, "accept");
	/* The kernel gives the lowest one that is free. */
	limit = descriptors_limit();
	if (fd >= limit - spare)
		return error_set(e, EMFILE,
				 "accept: %d of %d open files are left, for "
				 "others",
				 limit - fd, limit);
	congestion_of(c.own, fd);
	c.fd = take_fd(&fd);
	if (tcp_new(ret, &c, e) < 0)
		return error_code(e);
	(*ret)->arrived = arrival_of(c.fd, (*ret)->local.family);
	return 0;
}

const struct channel_kind channel_tcp = {
	.name = "tcp",
	.dial = tcp_dial,
	.listen = tcp_listen,
	.accept = tcp_accept,
	.write = tcp_write,
	.read = tcp_read,
	.keep_to = tcp_keep_to,
	.pace = tcp_pace,
	.mark = tcp_mark,
	.congest = tcp_congest,
	.finish = tcp_finish,
	.shutdown = tcp_shutdown,
	.stats = tcp_stats,
	.unread = tcp_unread,
	.free = tcp_free,
};
