/* SPDX-License-Identifier: MIT */

/*
 * The probe for data that does not press.
 *
 * Data that was compressed or encrypted before has all byte values equally
 * often; nearly everything else prefers some.  So: the bytes at spots that are
 * spread evenly over the pieces, and how many pairs of them are equal.  Of N
 * evenly distributed bytes N * (N - 1) / 256 ordered pairs are; with N = 512,
 * 1022, with a standard deviation of 45.  An eighth more, nearly three
 * deviations, is what a tenth of text among random pages gives.
 *
 * A trial run of a codec on one page costs more, and says less about the other
 * 63.
 */
#include "codec/codec.h"

#include <string.h>

enum {
	SPOTS = 64,
	SPOT_BYTES = 8,
	SAMPLED = SPOTS * SPOT_BYTES,
	/* Of SAMPLED even bytes, and an eighth. */
	PAIRS_EVEN = SAMPLED * (SAMPLED - 1) / 256,
	PAIRS_INCOMPRESSIBLE = PAIRS_EVEN + PAIRS_EVEN / 8,
};

/* One spot in each stretch; where in it changes (by the golden section), so
 * that the spots do not always meet the same field of pages built alike. */
static size_t spot_at(unsigned spot, size_t stretch)
{
	uint32_t part = spot * 0x9e3779b9u;

	return spot * stretch + (part * (stretch - SPOT_BYTES) >> 32);
}

/* Four tables side by side: one alone makes the processor wait whenever a byte
 * comes again soon. */
enum { TABLES = 4 };

_Static_assert(SAMPLED / TABLES <= UINT8_MAX, "a count fits");

static unsigned pairs_count(uint8_t count[TABLES][256])
{
	unsigned squares = 0;

	for (int i = 0; i < 256; i++) {
		unsigned all =
			count[0][i] + count[1][i] + count[2][i] + count[3][i];

		squares += all * all;
	}
	return squares - SAMPLED;
}

/* Walks forward over the pieces. */
struct place {
	const struct iovec *piece;
	size_t before; /* bytes of the pieces that were passed */
};

static void spot_read(struct place *p, size_t at, uint8_t spot[SPOT_BYTES])
{
	size_t done = 0;

	while (done < SPOT_BYTES) {
		size_t inside, some;

		while (at + done - p->before >= p->piece->iov_len)
			p->before += p->piece++->iov_len;
		inside = at + done - p->before;
		some = p->piece->iov_len - inside;
		if (some > SPOT_BYTES - done)
			some = SPOT_BYTES - done;
		memcpy(spot + done,
		       (const uint8_t *)p->piece->iov_base + inside, some);
		done += some;
	}
}

bool codec_is_incompressible(const struct iovec *in, int n)
{
	uint8_t count[TABLES][256] = { 0 }, sample[SAMPLED];
	struct place place = { .piece = in };
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += in[i].iov_len;
	if (len < SAMPLED)
		return false;
	/* All are fetched before any is counted: the spots are far apart, and
	 * so the processor waits for many of them at once. */
	for (unsigned i = 0; i < SPOTS; i++)
		spot_read(&place, spot_at(i, len / SPOTS),
			  sample + (size_t)i * SPOT_BYTES);
	for (unsigned i = 0; i < SAMPLED; i++)
		count[i % TABLES][sample[i]]++;
	return pairs_count(count) < PAIRS_INCOMPRESSIBLE;
}
