/* SPDX-License-Identifier: MIT */

/*
 * The probe for data that does not press.
 *
 * Data that was compressed or encrypted before has all byte values equally
 * often; nearly everything else prefers some.  So: the bytes at spots that are
 * spread evenly over the pieces, and how many pairs of them are equal.  Of N
 * evenly distributed bytes N * (N - 1) / 256 ordered pairs are; with N = 1024,
 * 4092, with a standard deviation of 90.  A tenth more, four and a half
 * deviations, is what about a twelfth of text among random pages gives.
 */
#include "codec/codec.h"

enum {
	SPOTS = 128,
	SPOT_BYTES = 8,
	SAMPLED = SPOTS * SPOT_BYTES,
	/* Of SAMPLED even bytes, and a tenth. */
	PAIRS_EVEN = SAMPLED * (SAMPLED - 1) / 256,
	PAIRS_DENSE = PAIRS_EVEN + PAIRS_EVEN / 10,
};

/* One spot in each stretch; where in it changes, so that the spots do not
 * always meet the same field of pages that are built alike. */
static size_t spot_at(unsigned spot, size_t stretch)
{
	const unsigned stride = 1237;

	return spot * stretch + spot * stride % (stretch - SPOT_BYTES + 1);
}

static unsigned pairs_count(const uint16_t count[256])
{
	unsigned squares = 0;

	for (int i = 0; i < 256; i++)
		squares += (unsigned)count[i] * count[i];
	return squares - SAMPLED;
}

bool codec_is_dense(const struct iovec *in, int n)
{
	uint16_t count[256] = { 0 };
	size_t len = 0, before = 0;

	for (int i = 0; i < n; i++)
		len += in[i].iov_len;
	if (len < SAMPLED)
		return false;
	for (unsigned spot = 0; spot < SPOTS; spot++) {
		size_t at = spot_at(spot, len / SPOTS);

		for (int left = SPOT_BYTES; left > 0; left--, at++) {
			while (at - before >= in->iov_len)
				before += in++->iov_len;
			count[((const uint8_t *)in->iov_base)[at - before]]++;
		}
	}
	return pairs_count(count) < PAIRS_DENSE;
}
