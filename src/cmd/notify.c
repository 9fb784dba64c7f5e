/* SPDX-License-Identifier: MIT */
#include "cmd/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/scope.h"

void notify_send(const char *state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes it */
	const char *path = getenv("NOTIFY_SOCKET");
	AUTO_CLOSE int fd = -1;
	size_t len = path ? strlen(path) : 0;

	if (len == 0 || len >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, len);
	/* systemd writes an abstract address with '@' for its zero byte. */
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		   (const struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) <
		    0)
		log_warning("cannot tell systemd %s: %s", state,
			    strerrordesc_np(errno));
}
