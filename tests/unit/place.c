/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "place.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "control/gate.h"
#include "scratch.h"

int place_start(struct place *p, struct control **ret, struct error *e)
{
	return control_start(ret, double_as_host(&p->host), &p->options, e);
}

int place_open(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct error e;

	scratch_folder(p->folder);
	snprintf(p->socket, sizeof(p->socket), "%s/run/drover.sock", p->folder);
	gate_look_path(p->look, sizeof(p->look), p->socket);
	p->options = (struct control_options){
		.socket = p->socket,
		.read_group = getgrgid(getegid())->gr_name,
		.folder = p->folder,
	};
	if (place_start(p, &p->control, &e) < 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	*state = p;
	return 0;
}

int place_close(void **state)
{
	struct place *p = *state;

	control_stop(p->control);
	free(p);
	return 0;
}

int send_raw(const struct place *p, const char *text, size_t len, char *reply,
	     size_t cap)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), status = 0;
	size_t used = 0;
	ssize_t n;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s",
		 p->looks ? p->look : p->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	while (len > 0) {
		n = send(fd, text, len, MSG_NOSIGNAL);
		assert_true(n > 0);
		text += n;
		len -= (size_t)n;
	}
	while (used + 1 < cap &&
	       (n = recv(fd, reply + used, cap - used - 1, 0)) > 0)
		used += (size_t)n;
	reply[used] = '\0';
	close(fd);
	sscanf(reply, "HTTP/1.1 %d", &status);
	return status;
}

int ask(const struct place *p, const char *verb, const char *path,
	const char *body, char *reply, size_t cap)
{
	char text[4096];
	int n = snprintf(text, sizeof(text),
			 "%s %s HTTP/1.1\r\nHost: drover\r\nConnection: close"
			 "\r\nContent-Length: %zu\r\n\r\n%s",
			 verb, path, strlen(body), body);

	return send_raw(p, text, (size_t)n, reply, cap);
}
