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

static void tap_stop(int fd)
{
	if (tapped(fd)) {
		NEXT(close);
		next(tap_of[fd] - 1);
		tap_of[fd] = 0;
	}
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

static void tap_vector(int fd, const struct iovec *iov, size_t n, ssize_t taken)
{
	int saved = errno;

	for (size_t i = 0; i < n && taken > 0; i++) {
		size_t len = iov[i].iov_len;

		if (len > (size_t)taken)
			len = (size_t)taken;
		tap_bytes(tap_of[fd] - 1, iov[i].iov_base, len);
		taken -= (ssize_t)len;
	}
	errno = saved;
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

PUBLIC ssize_t write(int fd, const void *data, size_t len)
{
	NEXT(write);
	ssize_t r = next(fd, data, len);

	if (tapped(fd))
		tap_vector(fd, &(struct iovec){ (void *)(size_t)data, len }, 1,
			   r);
	return r;
}

PUBLIC ssize_t writev(int fd, const struct iovec *iov, int n)
{
	NEXT(writev);
	ssize_t r = next(fd, iov, n);

	if (tapped(fd))
		tap_vector(fd, iov, (size_t)n, r);
	return r;
}

PUBLIC ssize_t send(int fd, const void *data, size_t len, int flags)
{
	NEXT(send);
	ssize_t r = next(fd, data, len, flags);

	if (tapped(fd))
		tap_vector(fd, &(struct iovec){ (void *)(size_t)data, len }, 1,
			   r);
	return r;
}

PUBLIC ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	NEXT(sendmsg);
	ssize_t r = next(fd, msg, flags);

	if (tapped(fd))
		tap_vector(fd, msg->msg_iov, msg->msg_iovlen, r);
	return r;
}
