/* SPDX-License-Identifier: MIT */

/*
 * The server's side of NBD, as far as a mirror of QEMU's needs it: bytes in,
 * requests and bytes out.  Specified in doc/proto.md of the NBD project.
 *
 *     bytes ──nbd_take──► options, answered in here ──► requests
 *
 * Fixed newstyle, one export, simple replies: a client that offers structured
 * ones hears that there are none, and goes on without.  There is nothing to be
 * read from a copy that is being made, so READ is refused, and BLOCK_STATUS
 * with it.
 *
 * Whoever has the socket reads as many bytes as nbd_wants() says, hands them
 * over, and sends what comes out; the data of a WRITE he reads himself.  Pure:
 * no socket, no thread, no memory but the struct.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum {
	NBD_GREETING_SIZE = 18,
	NBD_REQUEST_SIZE = 28,
	NBD_REPLY_SIZE = 16,
	NBD_NAME_MAX = 64,
	/* Of an option; longer ones end the connection. */
	NBD_OPTION_MAX = 4096,
	NBD_OPTIONS_MOST = 64, /* before the export is taken */
	NBD_OUT_MAX = 160,     /* bytes that one call may give */
	/* Of a WRITE: what QEMU's own server takes. */
	NBD_WRITE_MOST = 32 << 20,
};

enum nbd_command {
	NBD_WRITE = 1,
	NBD_DISCONNECT = 2,
	NBD_FLUSH = 3,
	NBD_TRIM = 4,
	NBD_WRITE_ZEROES = 6,
};

/* Errors that a client hears; their numbers are the protocol's. */
enum nbd_error {
	NBD_OK = 0,
	NBD_EIO = 5,
	NBD_EINVAL = 22,
	NBD_ENOSPC = 28,
	NBD_ESHUTDOWN = 108,
};

struct nbd_request {
	enum nbd_command command;
	/* It is to be answered with that, and nothing else done. */
	enum nbd_error refused;
	uint64_t cookie, offset;
	uint32_t len;
	/* Of WRITE_ZEROES: a later write there has to find room. */
	bool no_hole;
};

enum nbd_state {
	NBD_FLAGS,  /* the client's, after the greeting */
	NBD_OPTION, /* the head of one */
	NBD_DATA,   /* its data */
	NBD_REQUESTS,
	NBD_ENDED, /* by the client, as it should be */
};

struct nbd {
	const char *name; /* of the export; outlives it */
	uint64_t size;
	enum nbd_state state;
	bool no_zeroes;
	uint32_t option, option_len;
	unsigned options;
};

/* What is to be sent. */
struct nbd_out {
	uint8_t bytes[NBD_OUT_MAX];
	size_t len;
};

/* @ret_greeting: to be sent first. */
void nbd_init(struct nbd *n, const char *name, uint64_t size,
	      struct nbd_out *ret_greeting);

/* So many bytes are wanted next; 0: nothing more comes.  At most
 * NBD_OPTION_MAX. */
size_t nbd_wants(const struct nbd *n);

/* Takes just these.  1: @ret is a request, and the data of a WRITE follow in
 * the socket; 0: none yet; -EBADMSG, and the connection ends.  @ret_out is to
 * be sent in each case. */
int nbd_take(struct nbd *n, const void *bytes, struct nbd_request *ret,
	     struct nbd_out *ret_out, struct error *e);

void nbd_reply(uint8_t ret[NBD_REPLY_SIZE], uint64_t cookie,
	       enum nbd_error error);
