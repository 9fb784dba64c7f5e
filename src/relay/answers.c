/* SPDX-License-Identifier: MIT */
#include "relay/answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

enum { TURN_US = 20000, KEPT_MOST = 64 << 10 };

static int keep(struct answers *a, const uint8_t *data, size_t len,
		struct error *e)
{
	uint8_t *kept = realloc(a->kept, a->kept_len + len);

	if (!kept)
		return error_set(e, ENOMEM, "no memory for QEMU's answers");
	memcpy(kept + a->kept_len, data, len);
	a->kept = kept;
	a->kept_len += len;
	return 0;
}

static int hand_on(struct answers *a, const struct pongs_piece *out,
		   struct error *e)
{
	if (out->len == 0)
		return 0;
	return a->holds ? keep(a, out->data, out->len, e)
			: a->calls->write(a->context, out->data, out->len, e);
}

int answers_write(struct answers *a, const uint8_t *data, size_t len,
		  struct error *e)
{
	for (size_t done = 0; done < len;) {
		struct pongs_piece out;

		done += pongs_take(&a->pongs, data + done, len - done, &out);
		if (out.ours)
			a->calls->pong(a->context, out.value);
		a->holds |= out.switchover_ack;
		if (hand_on(a, &out, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* QEMU has no reason to be told much before it has the ACK. */
int answers_turn(struct answers *a, uint64_t *ret_until_us, struct error *e)
{
	*ret_until_us = UINT64_MAX;
	if (!a->holds)
		return 0;
	if (a->calls->may_switch(a->context) || a->kept_len > KEPT_MOST)
		return answers_end(a, e);
	*ret_until_us = clock_us() + TURN_US;
	return 0;
}

int answers_end(struct answers *a, struct error *e)
{
	size_t len = a->kept_len;

	a->holds = false;
	a->kept_len = 0;
	return len == 0 ? 0 : a->calls->write(a->context, a->kept, len, e);
}

void answers_done(struct answers *a)
{
	free(a->kept);
	a->kept = NULL;
}
