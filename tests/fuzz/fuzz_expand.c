/* SPDX-License-Identifier: MIT */

/* A pressed unit: its first byte says of which codec, its second of how many
 * pages.  What expands must do so again after it has been pressed. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "codec/codec.h"
#include "edge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEAD = 2, GUARD = 32, GUARD_BYTE = 0xa5 };

static struct codec_state *state;
static uint8_t *in_edge, *out_edge;
static uint8_t pressed[CODEC_UNIT_MAX], again[CODEC_UNIT_MAX];

static void set_up(void)
{
	struct error e;

	assert(codec_state_new(&state, &e) == 0);
	in_edge = edge_new(CODEC_UNIT_MAX);
	out_edge = edge_new(CODEC_UNIT_MAX + GUARD);
}

static void check_again(unsigned id, uint8_t *out, size_t out_len)
{
	struct iovec iov = { .iov_base = out, .iov_len = out_len };
	struct error e;
	struct codec_choice how = { id, codec_get(id)->lowest };
	size_t len = codec_press(state, how, &iov, 1, pressed, sizeof(pressed));

	if (len == 0)
		return;
	assert(codec_expand(state, (struct codec_unit){ id, pressed, len },
			    again, out_len, &e) == 0);
	assert(!memcmp(again, out, out_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct error e = { 0 };
	size_t out_len;
	uint8_t *in, *out;
	int r;

	if (!state)
		set_up();
	if (len < HEAD || len - HEAD > CODEC_UNIT_MAX)
		return 0;
	out_len = (size_t)(data[1] % BATCH_MAX_PAGES + 1) * WIRE_PAGE;
	in = in_edge - (len - HEAD);
	out = out_edge - out_len;
	memcpy(in, data + HEAD, len - HEAD);
	memset(out - GUARD, GUARD_BYTE, GUARD);
	r = codec_expand(state, (struct codec_unit){ data[0], in, len - HEAD },
			 out, out_len, &e);
	for (int i = 1; i <= GUARD; i++)
		assert(out[-i] == GUARD_BYTE);
	if (r == 0)
		check_again(data[0], out, out_len);
	else
		assert(r == -EBADMSG && e.code == EBADMSG && e.text[0]);
	return 0;
}
