/* SPDX-License-Identifier: MIT */

/*
 * A tap on the migration stream that QEMU writes, for the oracle (oracle.py).
 *
 * Preloaded into QEMU, this library follows the sockets that are connected to
 * a unix path ending in $DROVER_TAP_MATCH, and appends every byte that was
 * taken by such a socket, in order, to $DROVER_TAP_FILE.N, N counting the
 * connections of this process from 0.  It changes nothing else: calls,
 * results and errno are those of the C library.
 *
 * One thread writes to one of these sockets at a time (QEMU's migration
 * thread, or one thread per channel), so a file has one writer.  Descriptors
 * that were duplicated are not followed; QEMU does not do that to them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))
#define MAX_FD 4096
#define TAP_BYTES (1 << 19)

#define NEXT(name) \
	static typeof(name) *next; \
	if (!next) \
	next = (typeof(name) *)dlsym(RTLD_NEXT, #name)

/* The file behind each tapped descriptor, plus one; 0: not tapped. */
static int tap_of[MAX_FD];

static int tapped(int fd)
{
	return fd >= 0 && fd < MAX_FD ? tap_of[fd] : 0;
}

/*
 * The file stays open: QEMU's return path thread closes the socket as soon as
 * the destination has everything, and that may be before the thread that sent
 * the last bytes is back from its call and has them written.
 */
static void tap_stop(int fd)
{
	if (tapped(fd))
		tap_of[fd] = 0;
}

static void tap_start(int fd)
{
	static int connections;
	char path[512];
	int file;

	if (fd < 0 || fd >= MAX_FD)
		return;
	snprintf(path, sizeof(path), "%s.%d", getenv("DROVER_TAP_FILE"),
		 __atomic_fetch_add(&connections, 1, __ATOMIC_RELAXED));
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file < 0) {
		perror(path);
		abort();
	}
	tap_of[fd] = file + 1;
}

/* A tap that cannot write makes the oracle wrong: better to end here. */
static void tap_bytes(int file, const void *data, size_t len)
{
	const char *at = data;

	NEXT(write);
	while (len > 0) {
		ssize_t n = next(file, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			perror("tap");
			abort();
		}
		at += n;
		len -= (size_t)n;
	}
}

/*
 * QEMU hands out guest pages where they lie, while the guest writes to them:
 * what stands there after the call need not be what was sent.  So the bytes
 * are taken aside first, and those are sent.  Taking less than was offered is
 * the right of a socket.
 */
static size_t tap_gather(char *buf, const struct iovec *iov, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n && len < TAP_BYTES; i++) {
		size_t part = iov[i].iov_len;

		if (part > TAP_BYTES - len)
			part = TAP_BYTES - len;
		memcpy(buf + len, iov[i].iov_base, part);
		len += part;
	}
	return len;
}

static ssize_t tap_send(int fd, int file, const struct msghdr *msg, int flags)
{
	static __thread char *buf;
	struct msghdr copy = *msg;
	struct iovec aside;
	int saved;
	ssize_t r;

	NEXT(sendmsg);
	if (!buf)
		buf = malloc(TAP_BYTES);
	if (!buf)
		abort();
	aside.iov_base = buf;
	aside.iov_len = tap_gather(buf, msg->msg_iov, msg->msg_iovlen);
	copy.msg_iov = &aside;
	copy.msg_iovlen = 1;
	r = next(fd, &copy, flags);
	saved = errno;
	if (r > 0)
		tap_bytes(file - 1, buf, (size_t)r);
	errno = saved;
	return r;
}

static int wanted(const struct sockaddr *addr, socklen_t len)
{
	const char *match = getenv("DROVER_TAP_MATCH");
	char path[sizeof(struct sockaddr_un)] = "";
	size_t head = offsetof(struct sockaddr_un, sun_path);

	if (!match || !getenv("DROVER_TAP_FILE") || len <= head ||
	    len > sizeof(struct sockaddr_un) || addr->sa_family != AF_UNIX)
		return 0;
	memcpy(path, (const char *)addr + head, len - head);
	return strlen(path) >= strlen(match) &&
	       !strcmp(path + strlen(path) - strlen(match), match);
}

PUBLIC int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	NEXT(connect);
	int r = next(fd, addr, len);
	int saved = errno;

	tap_stop(fd);
	if ((r == 0 || saved == EINPROGRESS) && wanted(addr, len))
		tap_start(fd);
	errno = saved;
	return r;
}

PUBLIC int close(int fd)
{
	NEXT(close);
	tap_stop(fd);
	return next(fd);
}

PUBLIC ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	int file = tapped(fd);

	NEXT(sendmsg);
	return file ? tap_send(fd, file, msg, flags) : next(fd, msg, flags);
}

PUBLIC ssize_t send(int fd, const void *data, size_t len, int flags)
{
	struct iovec iov = { (void *)(size_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int file = tapped(fd);

	NEXT(send);
	return file ? tap_send(fd, file, &msg, flags)
		    : next(fd, data, len, flags);
}

PUBLIC ssize_t write(int fd, const void *data, size_t len)
{
	struct iovec iov = { (void *)(size_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int file = tapped(fd);

	NEXT(write);
	return file ? tap_send(fd, file, &msg, 0) : next(fd, data, len);
}

PUBLIC ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(size_t)iov,
			      .msg_iovlen = (size_t)n };
	int file = tapped(fd);

	NEXT(writev);
	return file ? tap_send(fd, file, &msg, 0) : next(fd, iov, n);
}
