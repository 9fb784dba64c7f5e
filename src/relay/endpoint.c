/* SPDX-License-Identifier: MIT */
#include "relay/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/foreign.h"
#include "base/scope.h"

enum {
	USER_TEXT = 4096,
	OWNER_MODE = 0600,
	PORT_MAX = 65535,
	CONNECT_AGAIN_MS = 10,
};

static int parse_unix(struct endpoint *p, const char *path, struct error *e)
{
	struct sockaddr_un *a = (struct sockaddr_un *)&p->address;

	if (path[0] != '/')
		return error_set(e, EINVAL, "%.100s is not an absolute path",
				 path);
	if (strlen(path) >= sizeof(a->sun_path))
		return error_set(e, ENAMETOOLONG, "socket path too long: %s",
				 path);
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path, path);
	p->len = sizeof(*a);
	return 0;
}

static bool read_port(const char *text, in_port_t *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*ret = htons((uint16_t)n);
	return text[0] >= '0' && text[0] <= '9' && !*end && n > 0 &&
	       n <= PORT_MAX;
}

static bool parse_ipv4(struct endpoint *p, const char *host, const char *port)
{
	struct sockaddr_in *a = (struct sockaddr_in *)&p->address;

	a->sin_family = AF_INET;
	p->len = sizeof(*a);
	return inet_pton(AF_INET, host, &a->sin_addr) == 1 &&
	       ntohl(a->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET &&
	       read_port(port, &a->sin_port);
}

static bool parse_ipv6(struct endpoint *p, const char *host, const char *port)
{
	struct sockaddr_in6 *a = (struct sockaddr_in6 *)&p->address;

	a->sin6_family = AF_INET6;
	p->len = sizeof(*a);
	return inet_pton(AF_INET6, host, &a->sin6_addr) == 1 &&
	       IN6_IS_ADDR_LOOPBACK(&a->sin6_addr) &&
	       read_port(port, &a->sin6_port);
}

/* Whoever reaches the port gets the guest's memory, or gives it: not from
 * other hosts. */
static int parse_tcp(struct endpoint *p, const char *text, struct error *e)
{
	char host[ENDPOINT_TEXT];
	char *colon;
	size_t len;

	snprintf(host, sizeof(host), "%s", text);
	colon = strrchr(host, ':');
	if (colon) {
		*colon++ = '\0';
		len = strlen(host);
		if (parse_ipv4(p, host, colon))
			return 0;
		if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
			host[len - 1] = '\0';
			if (parse_ipv6(p, host + 1, colon))
				return 0;
		}
	}
	return error_set(e, EINVAL,
			 "tcp:%.100s is not tcp:127.0.0.1:PORT or "
			 "tcp:[::1]:PORT: a relay meets QEMU on its own host",
			 text);
}

int endpoint_parse(struct endpoint *ret, const char *text, struct error *e)
{
	struct endpoint p = { .len = 0 };
	int r;

	if (strlen(text) >= sizeof(p.text))
		return error_set(e, ENAMETOOLONG,
				 "socket path too long: %.200s", text);
	snprintf(p.text, sizeof(p.text), "%s", text);
	if (!strncmp(text, "tcp:", 4))
		r = parse_tcp(&p, text + 4, e);
	else if (!strncmp(text, "unix:", 5))
		r = parse_unix(&p, text + 5, e);
	else
		r = parse_unix(&p, text, e);
	if (r == 0)
		*ret = p;
	return r;
}

bool endpoint_is_unix(const struct endpoint *p)
{
	return p->address.ss_family == AF_UNIX;
}

/* Of a unix socket. */
static const char *path_of(const struct endpoint *p)
{
	return ((const struct sockaddr_un *)&p->address)->sun_path;
}

/* --- what stands there */

/* A datagram socket asks: it reaches no stream socket, and so whoever listens
 * there hears nothing, while QEMU or a relay would take a connection for a
 * migration's. */
int endpoint_is_there(const struct endpoint *p)
{
	AUTO_CLOSE int fd = -1;

	if (!endpoint_is_unix(p))
		return -EOPNOTSUPP;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&p->address, p->len) == 0)
		return 1;
	return errno != ECONNREFUSED && errno != ENOENT;
}

int endpoint_make_room(const struct endpoint *p, struct error *e)
{
	const char *path = path_of(p);
	struct stat st;

	if (!endpoint_is_unix(p) || lstat(path, &st) < 0)
		return 0; /* if it is of no use, listening there says why */
	/* To connect to any other file is refused as well. */
	if (!S_ISSOCK(st.st_mode) || endpoint_is_there(p) != 0)
		return error_set(e, EEXIST, "%s exists already", path);
	if (unlink(path) < 0)
		return error_sys(e,
				 "remove %s, a socket at which nobody listens",
				 path);
	return 0;
}

/* --- listening */

static int find_owner(struct foreign_owner *ret,
		      const struct endpoint_owner *owner, struct error *e)
{
	struct passwd entry, *found = NULL;
	char text[USER_TEXT];

	*ret = (struct foreign_owner){ .user = (uid_t)-1,
				       .group = (gid_t)-1,
				       .mode = owner->mode };
	if (owner->user) {
		getpwnam_r(owner->user, &entry, text, sizeof(text), &found);
		if (!found)
			return error_set(e, ENOENT, "there is no user %.64s",
					 owner->user);
		ret->user = found->pw_uid;
		ret->group = found->pw_gid;
	}
	if (owner->number && owner->number != geteuid())
		ret->user = ret->group = owner->number;
	return 0;
}

/* Where it is made, if there is room for another letter: who waits for the file
 * could otherwise come in between and be refused, since nobody listens yet. */
static struct sockaddr_un aside_of(const struct endpoint *p)
{
	struct sockaddr_un a = *(const struct sockaddr_un *)&p->address;
	const size_t len = strlen(a.sun_path);
	struct stat st;

	if (len + 1 >= sizeof(a.sun_path))
		return a;
	memcpy(a.sun_path + len, "~", 2);
	/* Left by a process that was killed in between. */
	if (lstat(a.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(a.sun_path);
	return a;
}

static int show(const struct endpoint *p, const char *made)
{
	return strcmp(made, path_of(p)) == 0
		       ? 0
		       : renameat2(AT_FDCWD, made, AT_FDCWD, path_of(p),
				   RENAME_NOREPLACE);
}

/* Linux makes the file with the mode that the socket has before. */
static int bind_unix(struct endpoint *p, int fd, int backlog,
		     const struct endpoint_owner *owner, struct error *e)
{
	struct stat st = { .st_ino = 0 };
	struct foreign_owner to;
	struct sockaddr_un a;

	if (find_owner(&to, owner, e) < 0)
		return error_code(e);
	if (fchmod(fd, OWNER_MODE) < 0)
		return error_sys(e, "set the mode of a socket");
	a = aside_of(p);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return error_sys(e, "listen on %s", p->text);
	if (listen(fd, backlog) < 0)
		error_sys(e, "listen on %s", p->text);
	else if (foreign_give(&st, a.sun_path, &to, e) == 0) {
		p->dev = st.st_dev;
		p->ino = st.st_ino;
		if (show(p, a.sun_path) == 0)
			return 0;
		error_sys(e, "listen on %s", p->text);
	}
	unlink(a.sun_path);
	return error_code(e);
}

static int bind_tcp(const struct endpoint *p, int fd, int backlog,
		    struct error *e)
{
	const int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&p->address, p->len) < 0 ||
	    listen(fd, backlog) < 0)
		return error_sys(e, "listen on %s", p->text);
	return 0;
}

int endpoint_listen(struct endpoint *p, const struct endpoint_owner *owner,
		    int backlog, int *ret_fd, struct error *e)
{
	AUTO_CLOSE int fd =
		socket(p->address.ss_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return error_sys(e, "socket");
	r = endpoint_is_unix(p) ? bind_unix(p, fd, backlog, owner, e)
				: bind_tcp(p, fd, backlog, e);
	if (r < 0) {
		endpoint_remove(p);
		return r;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

void endpoint_remove(const struct endpoint *p)
{
	struct stat st;

	if (p->ino == 0 || lstat(path_of(p), &st) < 0)
		return;
	if (st.st_dev == p->dev && st.st_ino == p->ino)
		unlink(path_of(p));
}

/* --- connections */

static int connect_to(const struct endpoint *p, int fd)
{
	return endpoint_is_unix(p)
		       ? foreign_connect(fd, path_of(p))
		       : connect(fd, (const struct sockaddr *)&p->address,
				 p->len);
}

/* Of a TCP socket, whose connection is under way. */
static int await_connected(int fd, uint64_t deadline_us)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int why = 0, r;

	do
		r = poll(&p, 1, clock_poll_ms(deadline_us));
	while (r < 0 && errno == EINTR);
	if (r > 0)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &why,
			   &(socklen_t){ sizeof(why) });
	errno = r > 0 ? why : r == 0 ? ETIMEDOUT : errno;
	return errno ? -1 : 0;
}

/* A QEMU that does not accept would hold whoever connects by a full queue. */
static int connect_until(const struct endpoint *p, int fd, uint64_t deadline_us)
{
	for (;;) {
		if (connect_to(p, fd) == 0)
			return 0;
		if (errno == EINPROGRESS)
			return await_connected(fd, deadline_us);
		if (errno != EAGAIN && errno != EINTR)
			return -1;
		if (clock_us() >= deadline_us) {
			errno = ETIMEDOUT;
			return -1;
		}
		/* Nothing tells when there is room. */
		poll(NULL, 0, CONNECT_AGAIN_MS);
	}
}

int endpoint_connect(const struct endpoint *p, uint64_t deadline_us,
		     int *ret_fd, struct error *e)
{
	AUTO_CLOSE int fd =
		socket(p->address.ss_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_sys(e, "socket");
	if (connect_until(p, fd, deadline_us) < 0)
		return error_sys(e, "connect to QEMU at %s", p->text);
	/* Its users wait in read() and write(). */
	if (fcntl(fd, F_SETFL, 0) < 0)
		return error_sys(e, "a socket that waits");
	*ret_fd = take_fd(&fd);
	return 0;
}

pid_t endpoint_process(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int family;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family,
		       &(socklen_t){ sizeof(family) }) < 0 ||
	    family != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return 0;
	return peer.pid > 0 ? peer.pid : 0;
}

int endpoint_pidfd(int fd)
{
	pid_t pid = endpoint_process(fd);

	return pid > 0 ? pidfd_open(pid, 0) : -1;
}

bool endpoint_process_ended(int pidfd, int wait_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&p, 1, wait_ms) > 0;
}

uint64_t endpoint_unread(int fd)
{
	int bytes;

	if (ioctl(fd, SIOCOUTQ, &bytes) < 0 || bytes < 0)
		return UINT64_MAX;
	return (uint64_t)bytes;
}

bool endpoint_hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = 0 };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}
