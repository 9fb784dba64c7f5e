/* SPDX-License-Identifier: MIT */

/* A block of guest memory, as those who use it and its kinds see it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MEMORY_PAGE = 4096, MEMORY_NAME_MAX = 255 };

struct memory_block {
	char name[MEMORY_NAME_MAX + 1]; /* as in the migration stream */
	uint64_t len_bytes;
	uint64_t page_size_bytes; /* 4096, or that of the huge pages */
	bool fresh;               /* nothing was in it when it was opened */
	bool asks_proof;          /* nothing can be written before */
	int fd;                   /* -1: it is no file */
};

/* Bytes as they shall stand in a block. */
struct memory_piece {
	uint64_t offset;
	const void *data;
	size_t len;
};

enum { MEMORY_PIECES = 128 }; /* of one call */

/* Numbers of the wire's. */
enum memory_proof {
	MEMORY_UNPROVED, /* nobody has looked */
	MEMORY_PROVED,   /* it can be written */
	MEMORY_NOWHERE,
	MEMORY_AMBIGUOUS, /* in several places */
	MEMORY_REFUSED,   /* the process may not be looked into */
	MEMORY_PROOFS,
};
