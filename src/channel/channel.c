/* SPDX-License-Identifier: MIT */
#include "channel/channel.h"

#include <errno.h>

#include "base/error.h"

int channel_read_all(struct channel *c, void *buf, size_t len,
		     uint64_t deadline_us, struct error *e)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = c->ops->read(c, (uint8_t *)buf + have, len - have,
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
		c->ops->free(c);
}
