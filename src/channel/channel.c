/* SPDX-License-Identifier: MIT */
#include "channel/channel.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

const struct channel_kind *const channel_kinds[CHANNEL_KINDS] = {
	&channel_tcp,
};

void *channel_buffer_new(struct channel *c, size_t len)
{
	return c->kind->buffer_new ? c->kind->buffer_new(c, len) : malloc(len);
}

void channel_buffer_free(struct channel *c, void *buffer)
{
	if (buffer && c->kind->buffer_free)
		c->kind->buffer_free(c, buffer);
	else
		free(buffer);
}

int channel_read_all(struct channel *c, void *buf, size_t len,
		     uint64_t deadline_us, struct error *e)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = c->kind->read(c, (uint8_t *)buf + have, len - have,
					  deadline_us, e);

		if (n == -EAGAIN)
			return error_set(e, ETIMEDOUT, "%s does not answer",
					 c->to);
		if (n == 0)
			return error_set(e, ECONNRESET,
					 "%s closed the connection", c->to);
		if (n < 0)
			return (int)n;
		have += (size_t)n;
	}
	return 0;
}

void channel_free(struct channel *c)
{
	if (c)
		c->kind->free(c);
}
