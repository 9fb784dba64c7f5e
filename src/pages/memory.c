/* SPDX-License-Identifier: MIT */
#include "pages/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "pages/backends.h"

enum { BITS = 64, ZEROS = 64 * 1024, FILL = 16 * 1024, REASON_MAX = 512 };

struct block {
	struct memory_block public; /* set before the threads start */
	uint8_t *map;               /* only of huge pages */

	/* Changed by any thread, each bit only while nobody else works on
	 * its page. */
	_Atomic uint64_t *written; /* a bit per 4 KiB page */
	_Atomic uint64_t *present; /* a bit per huge page */
};

struct guest_memory {
	unsigned count, left_out;
	struct block blocks[BACKENDS_MAX];
	char reasons[BACKENDS_MAX][REASON_MAX];
};

static bool bit_test(const _Atomic uint64_t *bits, uint64_t i)
{
	return atomic_load_explicit(&bits[i / BITS], memory_order_acquire) >>
		       i % BITS &
	       1;
}

static void bits_set(_Atomic uint64_t *bits, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t n = BITS - from % BITS;
		uint64_t mask;

		if (n > to - from)
			n = to - from;
		mask = (n == BITS ? UINT64_MAX : (1ULL << n) - 1)
		       << from % BITS;
		atomic_fetch_or_explicit(&bits[from / BITS], mask,
					 memory_order_acq_rel);
		from += n;
	}
}

static _Atomic uint64_t *bits_new(uint64_t count)
{
	return calloc(count / BITS + 1, sizeof(_Atomic uint64_t));
}

/* Everything that is no hole counts as written.  A file system that knows no
 * holes says that all of it is data. */
static void find_written(struct block *b)
{
	const struct memory_block *p = &b->public;
	off_t at = 0, end = (off_t)p->len_bytes, hole;

	while (!p->fresh && at < end) {
		at = lseek(p->fd, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			return;
		hole = at < 0 ? -1 : lseek(p->fd, at, SEEK_HOLE);
		if (hole < 0) {
			at = 0;
			hole = end;
		}
		if (hole > end)
			hole = end;
		if (at < hole)
			bits_set(b->written, (uint64_t)at / MEMORY_PAGE,
				 ((uint64_t)hole + MEMORY_PAGE - 1) /
					 MEMORY_PAGE);
		at = hole;
	}
}

static int map_huge(struct block *b, struct error *e)
{
	struct memory_block *p = &b->public;
	void *map;

	b->present = bits_new(p->len_bytes / p->page_size_bytes);
	if (!b->present)
		return error_set(e, ENOMEM, "no memory for a table of pages");
	/* Not reserved: whether a page can be had is asked page by page. */
	map = mmap(NULL, p->len_bytes, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_NORESERVE, p->fd, 0);
	if (map == MAP_FAILED)
		return error_sys(e, "map huge pages");
	b->map = map;
	return 0;
}

static void block_done(struct block *b)
{
	if (b->map)
		munmap(b->map, b->public.len_bytes);
	if (b->public.fd >= 0)
		close(b->public.fd);
	free(b->written);
	free(b->present);
}

/* Takes over what fits into @b; the caller's block_done() clears up. */
static int block_init(struct block *b, int fd, uint64_t len_bytes,
		      struct error *e)
{
	struct memory_block *p = &b->public;
	struct statfs fs;
	struct stat st;

	p->fd = fd;
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return error_sys(e, "its file");
	p->len_bytes = len_bytes ? len_bytes : (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode) || p->len_bytes == 0 ||
	    p->len_bytes % MEMORY_PAGE || p->len_bytes > (uint64_t)st.st_size)
		return error_set(e, EINVAL, "a file of %" PRIu64 " bytes",
				 (uint64_t)st.st_size);
	p->page_size_bytes = MEMORY_PAGE;
	p->fresh = st.st_blocks == 0;
	b->written = bits_new(p->len_bytes / MEMORY_PAGE);
	if (!b->written)
		return error_set(e, ENOMEM, "no memory for a table of pages");
	find_written(b);
	if (fs.f_type != HUGETLBFS_MAGIC)
		return 0;
	p->page_size_bytes = (uint64_t)fs.f_bsize;
	return map_huge(b, e);
}

/* Takes @fd; a block that cannot be used is left out with the reason. */
static void add_block(struct guest_memory *m, const char *name, int fd,
		      uint64_t len_bytes)
{
	struct block *b = &m->blocks[m->count];
	struct error e;

	if (block_init(b, fd, len_bytes, &e) == 0) {
		snprintf(b->public.name, sizeof(b->public.name), "%s", name);
		m->count++;
		return;
	}
	block_done(b);
	*b = (struct block){ 0 };
	snprintf(m->reasons[m->left_out++], REASON_MAX, "%s: %s", name, e.text);
}

int memory_of_process(struct guest_memory **ret, pid_t pid, struct error *e)
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
	for (int i = 0; i < n; i++) {
		const struct backend *b = &found[i];

		if (!m && b->fd >= 0)
			close(b->fd);
		else if (m && b->fd >= 0)
			add_block(m, b->name, b->fd, b->len_bytes);
		else if (m)
			snprintf(m->reasons[m->left_out++], REASON_MAX,
				 "%s: %s", b->name, b->reason);
	}
	if (!m)
		return error_set(e, ENOMEM, "no memory for a guest's memory");
	if (n == 0)
		snprintf(m->reasons[m->left_out++], REASON_MAX,
			 "process %d has no memory backend: its memory is "
			 "private",
			 (int)pid);
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
	add_block(m, name, own, 0);
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

static int failed(const struct block *b, const char *verb, uint64_t offset,
		  uint64_t len, struct error *e)
{
	char size[32];
	int code = errno;

	text_bytes(size, sizeof(size), len);
	errno = code;
	return error_sys(e, "%s %s of %s at 0x%" PRIx64, verb, size,
			 b->public.name, offset);
}

/* Have the huge pages of a range allocated: a touch of one that is not there
 * kills the process when there is none left. */
static int allocate(struct block *b, uint64_t offset, uint64_t len,
		    struct error *e)
{
	uint64_t size = b->public.page_size_bytes;

	for (uint64_t i = offset / size; i * size < offset + len; i++) {
		int r;

		if (bit_test(b->present, i))
			continue;
		do
			r = fallocate(b->public.fd, 0, (off_t)(i * size),
				      (off_t)size);
		while (r < 0 && errno == EINTR);
		if (r < 0)
			return failed(b, "write", offset, len, e);
		bits_set(b->present, i, i + 1);
	}
	return 0;
}

static int put(struct block *b, uint64_t offset, const void *data, size_t len,
	       struct error *e)
{
	const uint8_t *at = data;

	if (b->map) {
		if (allocate(b, offset, len, e) < 0)
			return error_code(e);
		memcpy(b->map + offset, data, len);
		return 0;
	}
	while (len > 0) {
		ssize_t n = pwrite(b->public.fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return failed(b, "write", offset, len, e);
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int memory_write(struct guest_memory *m, unsigned block, uint64_t offset,
		 const void *data, size_t len, struct error *e)
{
	struct block *b;

	if (check_range(m, block, offset, len, e) < 0)
		return error_code(e);
	b = &m->blocks[block];
	/* Before the data: a write that fails half-way has left something. */
	bits_set(b->written, offset / MEMORY_PAGE,
		 (offset + len) / MEMORY_PAGE);
	return put(b, offset, data, len, e);
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
int memory_zero(struct guest_memory *m, unsigned block, uint64_t offset,
		uint64_t len, struct error *e)
{
	static const uint8_t zeros[ZEROS];
	uint64_t end = offset + len;
	struct block *b;

	if (check_range(m, block, offset, len, e) < 0)
		return error_code(e);
	b = &m->blocks[block];
	while (offset < end) {
		uint64_t n;

		offset += run_of(b, offset, end, false);
		n = run_of(b, offset, end, true);
		if (n > ZEROS)
			n = ZEROS;
		if (n > 0 && put(b, offset, zeros, (size_t)n, e) < 0)
			return error_code(e);
		offset += n;
	}
	return 0;
}

int memory_fill(struct guest_memory *m, unsigned block, uint64_t offset,
		uint64_t len, uint64_t word, struct error *e)
{
	uint64_t words[FILL / sizeof(word)];
	uint64_t chunk = len < FILL ? len : FILL;

	if (word == 0)
		return memory_zero(m, block, offset, len, e);
	if (check_range(m, block, offset, len, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < chunk / sizeof(word); i++)
		words[i] = word;
	for (; len > 0; offset += chunk, len -= chunk) {
		if (chunk > len)
			chunk = len;
		if (memory_write(m, block, offset, words, (size_t)chunk, e) < 0)
			return error_code(e);
	}
	return 0;
}

static int get(const struct block *b, uint64_t offset, uint8_t *ret, size_t len,
	       struct error *e)
{
	while (len > 0) {
		ssize_t n = pread(b->public.fd, ret, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return failed(b, "read", offset, len, e);
		ret += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
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
		else if (get(b, offset, to, n, e) < 0)
			return error_code(e);
		to += n;
		offset += n;
	}
	return 0;
}

void memory_free(struct guest_memory *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < m->count; i++)
		block_done(&m->blocks[i]);
	free(m);
}
