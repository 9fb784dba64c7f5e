/* SPDX-License-Identifier: MIT */
#include "disks/nbd.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "wire/reader.h"

#define MAGIC 0x4e42444d41474943ULL        /* "NBDMAGIC" */
#define OPTION_MAGIC 0x49484156454f5054ULL /* "IHAVEOPT" */
#define REPLY_MAGIC 0x0003e889045565a9ULL

enum {
	REQUEST_MAGIC = 0x25609513,
	SIMPLE_MAGIC = 0x67446698,

	FIXED_NEWSTYLE = 1, /* of both sides */
	NO_ZEROES = 2,

	OPT_EXPORT_NAME = 1,
	OPT_ABORT = 2,
	OPT_LIST = 3,
	OPT_INFO = 6,
	OPT_GO = 7,

	REP_ACK = 1,
	REP_SERVER = 2,
	REP_INFO = 3,
	INFO_EXPORT = 0,

	HAS_FLAGS = 1 << 0,
	SEND_FLUSH = 1 << 2,
	SEND_TRIM = 1 << 5,
	SEND_WRITE_ZEROES = 1 << 6,
	EXPORT_FLAGS = HAS_FLAGS | SEND_FLUSH | SEND_TRIM | SEND_WRITE_ZEROES,

	COMMAND_NO_HOLE = 1 << 1,

	FLAGS_SIZE = 4,
	OPTION_SIZE = 16,
	PADDING = 124, /* behind the answer to EXPORT_NAME */
};

/* Refusals of options: the highest bit is set. */
#define REP_ERR_UNSUP 0x80000001U
#define REP_ERR_INVALID 0x80000003U
#define REP_ERR_UNKNOWN 0x80000006U

/* --- what leaves */

static struct writer room_in(struct nbd_out *out)
{
	return writer_to(out->bytes + out->len, sizeof(out->bytes) - out->len);
}

static void done(struct nbd_out *out, const struct writer *w)
{
	assert(!w->bad);
	out->len += writer_used(w);
}

/* Of an option, with @len bytes of data that the caller puts behind it. */
static void answer(const struct nbd *n, struct nbd_out *out, uint32_t type,
		   uint32_t len)
{
	struct writer w = room_in(out);

	write_u64(&w, REPLY_MAGIC);
	write_u32(&w, n->option);
	write_u32(&w, type);
	write_u32(&w, len);
	done(out, &w);
}

static void describe(const struct nbd *n, struct nbd_out *out)
{
	struct writer w = room_in(out);

	write_u64(&w, n->size);
	write_u16(&w, EXPORT_FLAGS);
	done(out, &w);
}

void nbd_init(struct nbd *n, const char *name, uint64_t size,
	      struct nbd_out *ret_greeting)
{
	struct writer w;

	assert(strlen(name) <= NBD_NAME_MAX);
	*n = (struct nbd){ .name = name, .size = size };
	ret_greeting->len = 0;
	w = room_in(ret_greeting);
	write_u64(&w, MAGIC);
	write_u64(&w, OPTION_MAGIC);
	write_u16(&w, FIXED_NEWSTYLE | NO_ZEROES);
	done(ret_greeting, &w);
}

void nbd_reply(uint8_t ret[NBD_REPLY_SIZE], uint64_t cookie,
	       enum nbd_error error)
{
	struct writer w = writer_to(ret, NBD_REPLY_SIZE);

	write_u32(&w, SIMPLE_MAGIC);
	write_u32(&w, (uint32_t)error);
	write_u64(&w, cookie);
	assert(!w.bad);
}

/* --- what comes */

size_t nbd_wants(const struct nbd *n)
{
	switch (n->state) {
	case NBD_FLAGS:
		return FLAGS_SIZE;
	case NBD_OPTION:
		return OPTION_SIZE;
	case NBD_DATA:
		return n->option_len;
	case NBD_REQUESTS:
		return NBD_REQUEST_SIZE;
	case NBD_ENDED:
		break;
	}
	return 0;
}

static int take_flags(struct nbd *n, struct reader *r, struct error *e)
{
	uint32_t flags = read_u32(r);

	if (!(flags & FIXED_NEWSTYLE) ||
	    flags & ~(uint32_t)(FIXED_NEWSTYLE | NO_ZEROES))
		return error_set(e, EBADMSG, "NBD: flags %#" PRIx32, flags);
	n->no_zeroes = flags & NO_ZEROES;
	n->state = NBD_OPTION;
	return 0;
}

static bool is_export(const struct nbd *n, const void *name, size_t len)
{
	return len == strlen(n->name) && !memcmp(name, n->name, len);
}

/* INFO, and GO, which takes the export. */
static void take_go(struct nbd *n, struct reader *r, struct nbd_out *out)
{
	uint32_t len = read_u32(r);
	const void *name = reader_take(r, len);
	unsigned asked = read_u16(r);
	struct writer w;

	for (unsigned i = 0; i < asked && !r->bad; i++)
		(void)read_u16(r);
	if (!reader_done(r)) {
		answer(n, out, REP_ERR_INVALID, 0);
		return;
	}
	if (!is_export(n, name, len)) {
		answer(n, out, REP_ERR_UNKNOWN, 0);
		return;
	}
	answer(n, out, REP_INFO, 12);
	w = room_in(out);
	write_u16(&w, INFO_EXPORT);
	done(out, &w);
	describe(n, out);
	answer(n, out, REP_ACK, 0);
	if (n->option == OPT_GO)
		n->state = NBD_REQUESTS;
}

static void list_exports(const struct nbd *n, struct nbd_out *out)
{
	uint32_t len = (uint32_t)strlen(n->name);
	struct writer w;

	answer(n, out, REP_SERVER, 4 + len);
	w = room_in(out);
	write_u32(&w, len);
	write_bytes(&w, n->name, len);
	done(out, &w);
	answer(n, out, REP_ACK, 0);
}

/* The oldest way: it has no answer but the export, or the end. */
static int take_export_name(struct nbd *n, struct reader *r,
			    struct nbd_out *out, struct error *e)
{
	size_t len = reader_left(r);
	const void *name = reader_take(r, len);

	if (!is_export(n, name, len))
		return error_set(e, EBADMSG, "NBD: an unknown export");
	describe(n, out);
	if (!n->no_zeroes) {
		struct writer w = room_in(out);
		static const uint8_t zeros[PADDING];

		write_bytes(&w, zeros, PADDING);
		done(out, &w);
	}
	n->state = NBD_REQUESTS;
	return 0;
}

static int take_option(struct nbd *n, struct reader *r, struct nbd_out *out,
		       struct error *e)
{
	n->state = NBD_OPTION;
	switch (n->option) {
	case OPT_EXPORT_NAME:
		return take_export_name(n, r, out, e);
	case OPT_ABORT:
		answer(n, out, REP_ACK, 0);
		n->state = NBD_ENDED;
		return 0;
	case OPT_LIST:
		if (reader_left(r) > 0)
			answer(n, out, REP_ERR_INVALID, 0);
		else
			list_exports(n, out);
		return 0;
	case OPT_INFO:
	case OPT_GO:
		take_go(n, r, out);
		return 0;
	default:
		answer(n, out, REP_ERR_UNSUP, 0);
		return 0;
	}
}

static int take_option_head(struct nbd *n, struct reader *r,
			    struct nbd_out *out, struct error *e)
{
	uint64_t magic = read_u64(r);
	struct reader none = reader_of("", 0);

	n->option = read_u32(r);
	n->option_len = read_u32(r);
	if (magic != OPTION_MAGIC)
		return error_set(e, EBADMSG, "NBD: no option where one begins");
	if (n->option_len > NBD_OPTION_MAX)
		return error_set(e, EBADMSG,
				 "NBD: an option of %" PRIu32 " bytes",
				 n->option_len);
	if (++n->options > NBD_OPTIONS_MOST)
		return error_set(e, EBADMSG, "NBD: more than %d options",
				 NBD_OPTIONS_MOST);
	if (n->option_len == 0)
		return take_option(n, &none, out, e);
	n->state = NBD_DATA;
	return 0;
}

static bool is_inside(const struct nbd *n, const struct nbd_request *q)
{
	return q->len > 0 && q->offset <= n->size &&
	       q->len <= n->size - q->offset;
}

/* A WRITE that is refused has its data behind it all the same: who sends one
 * that cannot be right is not read any further. */
static int check_request(const struct nbd *n, struct nbd_request *q,
			 unsigned type, unsigned flags, struct error *e)
{
	switch (type) {
	case NBD_WRITE:
		if (!is_inside(n, q) || q->len > NBD_WRITE_MOST || flags)
			return error_set(e, EBADMSG,
					 "NBD: a write of %" PRIu32
					 " bytes at %" PRIu64
					 " of a disk of %" PRIu64,
					 q->len, q->offset, n->size);
		return 1;
	case NBD_TRIM:
	case NBD_WRITE_ZEROES:
		q->no_hole = flags & COMMAND_NO_HOLE;
		if (!is_inside(n, q) || flags & ~(unsigned)COMMAND_NO_HOLE)
			q->refused = NBD_EINVAL;
		return 1;
	case NBD_FLUSH:
		if (q->offset || q->len || flags)
			q->refused = NBD_EINVAL;
		return 1;
	default:
		q->refused = NBD_EINVAL;
		return 1;
	}
}

static int take_request(struct nbd *n, struct reader *r,
			struct nbd_request *ret, struct error *e)
{
	uint32_t magic = read_u32(r);
	unsigned flags = read_u16(r), type = read_u16(r);

	*ret = (struct nbd_request){ .command = (enum nbd_command)type };
	ret->cookie = read_u64(r);
	ret->offset = read_u64(r);
	ret->len = read_u32(r);
	if (magic != REQUEST_MAGIC)
		return error_set(e, EBADMSG,
				 "NBD: no request where one begins");
	if (type == NBD_DISCONNECT) {
		n->state = NBD_ENDED;
		return 0;
	}
	return check_request(n, ret, type, flags, e);
}

int nbd_take(struct nbd *n, const void *bytes, struct nbd_request *ret,
	     struct nbd_out *ret_out, struct error *e)
{
	struct reader r = reader_of(bytes, nbd_wants(n));

	ret_out->len = 0;
	switch (n->state) {
	case NBD_FLAGS:
		return take_flags(n, &r, e);
	case NBD_OPTION:
		return take_option_head(n, &r, ret_out, e);
	case NBD_DATA:
		return take_option(n, &r, ret_out, e);
	case NBD_REQUESTS:
		return take_request(n, &r, ret, e);
	case NBD_ENDED:
		break;
	}
	return 0;
}
