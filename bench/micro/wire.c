/* SPDX-License-Identifier: MIT */

/*
 * What sockets cost, on either side and between two threads, as the bytes come
 * from another processor then: QEMU's into the splitter's buffers, and a
 * channel between two hosts, with its sums.
 *
 *     build/bench/micro/wire [NAMESPACE NAMESPACE ADDRESS]
 *
 * A channel goes over the loopback, or from one network namespace to ADDRESS in
 * the other one.  On one machine the sender's send() does most of what the
 * receiver's kernel would do on another: only both together say what two hosts
 * spend.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"
#include "frames.h"
#include "micro.h"

enum {
	BUFFER = 512 * 1024, /* divert.c's */
	BUFFERS = 8,
	RECORD_HEAD = 8,
	QEMU_IOVS = 64, /* in one call of QEMU's: 32 pages and their heads */
};

struct bench {
	struct frames frames;
	struct channel *from, *to;
	int unix_from, unix_to;
	uint8_t *buffer; /* BUFFERS of BUFFER bytes */
	/* Nanoseconds of one pass, of the sending and the receiving thread. */
	double sent, sent_sum, received, received_sum;
};

static void fail_sys(const char *what)
{
	struct error e;

	error_sys(&e, "%s", what);
	micro_fail(&e);
}

/* --- a channel, as a lane has it */

static void *send_frames(void *arg)
{
	struct bench *b = arg;
	struct iovec iov[1 + FRAMES_IOVS];
	uint8_t head[FRAME_HEAD_SIZE];
	struct error e;

	b->sent = b->sent_sum = 0;
	for (unsigned i = 0; i < b->frames.n; i++) {
		double start = micro_now_ns(), summed;
		int n = frames_payload(&b->frames, i, iov + 1);
		struct frame_head h = frames_head(i, iov[1].iov_len);

		h.sum = frame_sum(iov + 1, n);
		frame_head_write(&h, FRAMES_SEED, head);
		iov[0] = (struct iovec){ head, sizeof(head) };
		summed = micro_now_ns();
		if (b->from->kind->write(b->from, iov, n + 1, &e) < 0)
			micro_fail(&e);
		b->sent += micro_now_ns() - summed;
		b->sent_sum += summed - start;
	}
	return NULL;
}

static void receive_frame(struct bench *b)
{
	double start = micro_now_ns(), summed;
	uint8_t head[FRAME_HEAD_SIZE];
	struct iovec payload = { b->buffer, 0 };
	struct frame_head h;
	struct error e;

	if (channel_read_all(b->to, head, sizeof(head), USEC_NEVER, &e) < 0 ||
	    frame_head_read(&h, head, FRAMES_SEED, &e) < 0 ||
	    channel_read_all(b->to, b->buffer, h.len, USEC_NEVER, &e) < 0)
		micro_fail(&e);
	payload.iov_len = h.len;
	summed = micro_now_ns();
	b->received += summed - start;
	if (frame_sum(&payload, 1) != h.sum) {
		fprintf(stderr, "a frame has another sum\n");
		exit(1);
	}
	b->received_sum += micro_now_ns() - summed;
}

static void receive_frames(struct bench *b)
{
	b->received = b->received_sum = 0;
	for (unsigned i = 0; i < b->frames.n; i++)
		receive_frame(b);
}

/* --- QEMU's socket */

static void *send_records(void *arg)
{
	struct bench *b = arg;
	struct iovec iov[QEMU_IOVS];
	uint8_t *at = b->frames.stream;
	double start = micro_now_ns();

	for (unsigned i = 0; i < micro_pages(); i += QEMU_IOVS / 2) {
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = QEMU_IOVS };

		for (unsigned n = 0; n < QEMU_IOVS; n += 2) {
			iov[n] = (struct iovec){ at, RECORD_HEAD };
			iov[n + 1] =
				(struct iovec){ at + RECORD_HEAD, WIRE_PAGE };
			at += RECORD_HEAD + WIRE_PAGE;
		}
		if (sendmsg(b->unix_from, &m, 0) !=
		    QEMU_IOVS / 2 * (RECORD_HEAD + WIRE_PAGE))
			fail_sys("send to the socket");
	}
	b->sent = micro_now_ns() - start;
	return NULL;
}

/* As divert.c, which asks whether there is something before it waits. */
static void receive_records(struct bench *b)
{
	size_t left = (size_t)micro_pages() * (RECORD_HEAD + WIRE_PAGE);
	struct pollfd p = { .fd = b->unix_to, .events = POLLIN };
	size_t have = 0, number = 0;
	double start = micro_now_ns();

	while (left > 0) {
		ssize_t n;

		if (BUFFER - have <= RECORD_HEAD + WIRE_PAGE) {
			number = (number + 1) % BUFFERS;
			have = 0;
		}
		poll(&p, 1, 1);
		n = read(p.fd, b->buffer + number * BUFFER + have,
			 BUFFER - have);
		if (n <= 0)
			fail_sys("read from the socket");
		have += (size_t)n;
		left -= (size_t)n;
	}
	b->received = micro_now_ns() - start;
}

/* --- one pass, of which each row shows a part */

static void pass(struct bench *b, void *(*send)(void *),
		 void (*receive)(struct bench *))
{
	pthread_t sender;
	struct error e;
	int r = pthread_create(&sender, NULL, send, b);

	if (r != 0) {
		error_set(&e, r, "no thread");
		micro_fail(&e);
	}
	receive(b);
	pthread_join(sender, NULL);
}

static double channel_sent(void *context)
{
	struct bench *b = context;

	pass(b, send_frames, receive_frames);
	return b->sent;
}

static double channel_sent_sum(void *context)
{
	channel_sent(context);
	return ((struct bench *)context)->sent_sum;
}

static double channel_received(void *context)
{
	channel_sent(context);
	return ((struct bench *)context)->received;
}

static double channel_received_sum(void *context)
{
	channel_sent(context);
	return ((struct bench *)context)->received_sum;
}

static double qemu_sent(void *context)
{
	struct bench *b = context;

	pass(b, send_records, receive_records);
	return b->sent;
}

static double qemu_received(void *context)
{
	qemu_sent(context);
	return ((struct bench *)context)->received;
}

static const struct micro_row rows[] = {
	{ "QEMU's socket, written", .timed = qemu_sent, .calls = "sendmsg()" },
	{ "QEMU's socket, read", .timed = qemu_received, .calls = "read()" },
	{ "a channel: the sum before", .timed = channel_sent_sum },
	{ "a channel: sent", .timed = channel_sent, .calls = "sendmsg()" },
	{ "a channel: received", .timed = channel_received, .calls = "recv()" },
	{ "a channel: the sum after", .timed = channel_received_sum },
};

/* --- connections */

static void enter(const char *namespace)
{
	AUTO_CLOSE int fd = -1;

	if (!namespace)
		return;
	fd = open(namespace, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		fail_sys(namespace);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in a = { 0 };
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		fail_sys("the port");
	return ntohs(a.sin_port);
}

static void connect_hosts(struct bench *b, const char *near, const char *far,
			  const char *address)
{
	struct channel_way way = { .host = address };
	AUTO_CLOSE int fd = -1;
	struct error e;

	enter(far);
	if (channel_tcp.listen(&fd, address, 0, &e) < 0)
		micro_fail(&e);
	enter(near);
	way.port = port_of(fd);
	if (channel_tcp.dial(&b->from, &way, USEC_NEVER, -1, &e) < 0 ||
	    channel_tcp.accept(&b->to, fd, 0, &e) < 0)
		micro_fail(&e);
}

int main(int argc, char **argv)
{
	static struct bench b;
	char **own =
		argv + micro_begin(argc, argv, "[NAMESPACE NAMESPACE ADDRESS]");
	bool hosts = own + 3 == argv + argc;
	int pair[2];

	if (hosts)
		connect_hosts(&b, own[0], own[1], own[2]);
	else
		connect_hosts(&b, NULL, NULL, "127.0.0.1");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		fail_sys("a pair of sockets");
	b.unix_from = pair[0];
	b.unix_to = pair[1];
	b.buffer = micro_memory((uint64_t)BUFFERS * BUFFER);
	frames_init(&b.frames, micro_pages());
	micro_run("wire", rows, ARRAY_SIZE(rows), &b);
	frames_done(&b.frames);
	free(b.buffer);
	close(pair[0]);
	close(pair[1]);
	channel_free(b.from);
	channel_free(b.to);
	return 0;
}
