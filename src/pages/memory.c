/* SPDX-License-Identifier: MIT */
#include "pages/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "pages/backends.h"
#include "pages/bits.h"
#include "pages/kind.h"
#include "pages/numa.h"
#include "pages/private.h"

enum { ZEROS = 64 * 1024, REASON_MAX = 512 };

struct guest_memory {
	unsigned count, left_out;
	struct process_memory *process; /* NULL: all of it is files */
	struct block blocks[BACKENDS_MAX];
	char reasons[BACKENDS_MAX][REASON_MAX];
};

static void block_done(struct block *b)
{
	if (b->kind)
		b->kind->done(b);
	free(b->written);
	*b = (struct block){ 0 };
}

static void leave_out(struct guest_memory *m, const char *name, const char *why)
{
	snprintf(m->reasons[m->left_out++], REASON_MAX, "%s: %s", name, why);
}

/* @r: what has become of the block behind the others; one that cannot be used
 * is left out with the reason. */
static void added(struct guest_memory *m, const char *name, int r,
		  const struct error *e)
{
	struct block *b = &m->blocks[m->count];

	if (r == 0) {
		snprintf(b->public.name, sizeof(b->public.name), "%s", name);
		m->count++;
		return;
	}
	block_done(b);
	leave_out(m, name, e->text);
}

/* Takes @fd. */
static void add_file(struct guest_memory *m, const char *name, int fd,
		     uint64_t len_bytes, int node)
{
	struct block *b = &m->blocks[m->count];
	struct error e;

	b->node = node;
	added(m, name, file_block_init(b, fd, len_bytes, &e), &e);
}

static void add_private(struct guest_memory *m, const struct backend *b)
{
	struct error e;

	added(m, b->name,
	      private_block_init(&m->blocks[m->count], m->process, b->len_bytes,
				 &e),
	      &e);
}

static void add_backend(struct guest_memory *m, const struct backend *b,
			pid_t pid)
{
	if (b->fd >= 0)
		add_file(m, b->name, b->fd, b->len_bytes,
			 numa_node_of(pid, b->address));
	else if (b->is_private && m->process)
		add_private(m, b);
	else
		leave_out(m, b->name, b->reason);
}

/* Without the right to write there, all that is private is left out. */
static void look_into(struct guest_memory *m, struct backend *found, int n,
		      pid_t pid, enum memory_of of)
{
	struct error e;

	if (of == MEMORY_SHARED ||
	    process_memory_open(&m->process, pid, of == MEMORY_OF_CHILD, &e) ==
		    0)
		return;
	for (int i = 0; i < n; i++)
		if (found[i].is_private)
			snprintf(found[i].reason, sizeof(found[i].reason),
				 "%.150s", e.text);
}

int memory_of_process(struct guest_memory **ret, pid_t pid, enum memory_of of,
		      struct error *e)
{
	AUTO_FREE struct backend *found = calloc(BACKENDS_MAX, sizeof(*found));
	struct guest_memory *m;
	int n;

	if (!found)
		return error_set(e, ENOMEM, "no memory for a search");
	n = backends_find(found, pid, e);
	if (n < 0)
		return n;
	m = calloc(1, sizeof(*m));
	if (m)
		look_into(m, found, n, pid, of);
	for (int i = 0; i < n; i++) {
		if (m)
			add_backend(m, &found[i], pid);
		else if (found[i].fd >= 0)
			close(found[i].fd);
	}
	if (!m)
		return error_set(e, ENOMEM, "no memory for a guest's memory");
	*ret = m;
	return 0;
}

int memory_of_fd(struct guest_memory **ret, const char *name, int fd,
		 struct error *e)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	struct guest_memory *m;

	if (own < 0)
		return error_sys(e, "%s", name);
	m = calloc(1, sizeof(*m));
	if (!m) {
		close(own);
		return error_set(e, ENOMEM, "no memory for a guest's memory");
	}
	add_file(m, name, own, 0, NUMA_ANYWHERE);
	if (m->count == 0) {
		error_set(e, EINVAL, "%.200s", m->reasons[0]);
		memory_free(m);
		return error_code(e);
	}
	*ret = m;
	return 0;
}

unsigned memory_blocks(const struct guest_memory *m)
{
	return m->count;
}

const struct memory_block *memory_block(const struct guest_memory *m,
					unsigned i)
{
	return i < m->count ? &m->blocks[i].public : NULL;
}

unsigned memory_left_out(const struct guest_memory *m)
{
	return m->left_out;
}

const char *memory_reason(const struct guest_memory *m, unsigned i)
{
	return i < m->left_out ? m->reasons[i] : NULL;
}

static int check_range(const struct guest_memory *m, unsigned block,
		       uint64_t offset, uint64_t len, struct error *e)
{
	if (block >= m->count)
		return error_set(e, ERANGE, "there is no memory block %u",
				 block);
	if (offset % MEMORY_PAGE || len % MEMORY_PAGE)
		return error_set(e, EINVAL,
				 "%s: 0x%" PRIx64 " and %" PRIu64
				 " bytes are not whole pages",
				 m->blocks[block].public.name, offset, len);
	if (offset > m->blocks[block].public.len_bytes ||
	    len > m->blocks[block].public.len_bytes - offset)
		return error_set(e, ERANGE,
				 "%s: 0x%" PRIx64 " and %" PRIu64
				 " bytes are beyond its end",
				 m->blocks[block].public.name, offset, len);
	return 0;
}

void memory_run_near(const struct guest_memory *m, unsigned block)
{
	numa_run_near(m->blocks[block].node);
}

int memory_write_pieces(struct guest_memory *m, unsigned block,
			const struct memory_piece *pieces, unsigned n,
			struct error *e)
{
	struct block *b;

	for (unsigned i = 0; i < n; i++)
		if (check_range(m, block, pieces[i].offset, pieces[i].len, e) <
		    0)
			return error_code(e);
	b = &m->blocks[block];
	/* Before the data: a write that fails half-way has left something. */
	for (unsigned i = 0; i < n; i++)
		bits_set(b->written, pieces[i].offset / MEMORY_PAGE,
			 (pieces[i].offset + pieces[i].len) / MEMORY_PAGE);
	return b->kind->put(b, pieces, n, e);
}

int memory_write(struct guest_memory *m, unsigned block, uint64_t offset,
		 const void *data, size_t len, struct error *e)
{
	const struct memory_piece all = { offset, data, len };

	return memory_write_pieces(m, block, &all, 1, e);
}

/* How many bytes from @offset on are alike: all written, or all not. */
static uint64_t run_of(const struct block *b, uint64_t offset, uint64_t end,
		       bool written)
{
	uint64_t at = offset;

	while (at < end && bit_test(b->written, at / MEMORY_PAGE) == written)
		at += MEMORY_PAGE;
	return at - offset;
}

/* Zeros are written and no hole is made: a device that has pinned the page
 * would go on with the old one. */
unsigned memory_zeros(const struct guest_memory *m, unsigned block,
		      struct memory_range *r, struct memory_piece *ret,
		      unsigned most)
{
	static const uint8_t zeros[ZEROS];
	const struct block *b = &m->blocks[block];
	uint64_t end = r->offset + r->len;
	unsigned n = 0;

	while (r->offset < end && n < most) {
		uint64_t len;

		r->offset += run_of(b, r->offset, end, false);
		len = run_of(b, r->offset, end, true);
		if (len > ZEROS)
			len = ZEROS;
		if (len > 0)
			ret[n++] = (struct memory_piece){ r->offset, zeros,
							  (size_t)len };
		r->offset += len;
	}
	r->len = end - r->offset;
	return n;
}

int memory_zero(struct guest_memory *m, unsigned block, uint64_t offset,
		uint64_t len, struct error *e)
{
	struct memory_piece pieces[MEMORY_PIECES];
	struct memory_range r = { offset, len };

	if (check_range(m, block, offset, len, e) < 0)
		return error_code(e);
	while (r.len > 0) {
		unsigned n = memory_zeros(m, block, &r, pieces, MEMORY_PIECES);

		if (n > 0 && memory_write_pieces(m, block, pieces, n, e) < 0)
			return error_code(e);
	}
	return 0;
}

int memory_read(const struct guest_memory *m, unsigned block, uint64_t offset,
		void *ret, size_t len, struct error *e)
{
	uint64_t end = offset + len;
	const struct block *b;
	uint8_t *to = ret;

	if (check_range(m, block, offset, len, e) < 0)
		return error_code(e);
	b = &m->blocks[block];
	while (offset < end) {
		bool written = bit_test(b->written, offset / MEMORY_PAGE);
		size_t n = (size_t)run_of(b, offset, end, written);

		if (!written)
			memset(to, 0, n);
		else if (b->kind->get(b, offset, to, n, e) < 0)
			return error_code(e);
		to += n;
		offset += n;
	}
	return 0;
}

int memory_expect(struct guest_memory *m, unsigned block, uint64_t offset,
		  uint64_t sum, struct error *e)
{
	if (check_range(m, block, offset, MEMORY_PAGE, e) < 0)
		return error_code(e);
	if (!m->blocks[block].public.asks_proof)
		return error_set(e, EBADMSG, "a proof of %s, which needs none",
				 m->blocks[block].public.name);
	private_expect(&m->blocks[block], offset, sum);
	return 0;
}

enum memory_proof memory_prove(struct guest_memory *m, unsigned block,
			       struct error *why)
{
	if (block < m->count && m->blocks[block].public.asks_proof)
		return private_prove(&m->blocks[block], why);
	error_set(why, ERANGE, "there is no memory block %u to be proved",
		  block);
	return MEMORY_NOWHERE;
}

void memory_seal(struct guest_memory *m)
{
	if (m && m->process)
		process_memory_seal(m->process);
}

void memory_free(struct guest_memory *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < m->count; i++)
		block_done(&m->blocks[i]);
	process_memory_free(m->process);
	free(m);
}
