/* SPDX-License-Identifier: MIT */

/* What a client of the NBD server sends: a QEMU that its guest has taken over,
 * say.  What comes out is a request for the disk, or refused. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "disks/nbd.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct nbd *n, const struct nbd_request *q)
{
	bool inside = q->len > 0 && q->offset <= n->size &&
		      q->len <= n->size - q->offset;

	assert(n->state == NBD_REQUESTS);
	if (q->command == NBD_WRITE)
		assert(!q->refused && inside && q->len <= NBD_WRITE_MOST);
	else if (q->command == NBD_TRIM || q->command == NBD_WRITE_ZEROES)
		assert(inside || q->refused == NBD_EINVAL);
	else if (q->command == NBD_FLUSH)
		assert(q->refused || (q->offset == 0 && q->len == 0));
	else
		assert(q->refused == NBD_EINVAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct reader in = reader_of(data, len);
	uint64_t size = read_u64(&in);
	struct nbd_out out;
	struct nbd n;
	int r = 0;

	nbd_init(&n, "disk-root", size, &out);
	assert(out.len == NBD_GREETING_SIZE);
	while (r >= 0 && nbd_wants(&n) > 0) {
		size_t wants = nbd_wants(&n);
		struct nbd_request q = { .refused = NBD_OK };
		struct error e = { 0 };
		const void *bytes;

		assert(wants <= NBD_OPTION_MAX);
		bytes = reader_take(&in, wants);
		if (!bytes)
			break;
		r = nbd_take(&n, bytes, &q, &out, &e);
		assert(out.len <= sizeof(out.bytes));
		if (r < 0)
			assert(r == -EBADMSG && e.code == EBADMSG && e.text[0]);
		if (r == 1)
			check(&n, &q);
		/* The data of a write are not looked at; here they are few. */
		if (r == 1 && q.command == NBD_WRITE)
			(void)reader_take(&in, q.len % 64);
	}
	return 0;
}
