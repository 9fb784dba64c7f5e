/* SPDX-License-Identifier: MIT */

/*
 * Memory that is a file.
 *
 * Writing goes through pwrite(): a full memory is an error then and not a
 * SIGBUS, and a page that was not there before costs no fault, which makes it
 * twice as fast as a mapping for the pages that most are, new ones.  Only huge
 * pages are mapped: the host's, which need it, and those of a tmpfs, where a
 * fault is one for 512 pages.  Each of them is allocated by fallocate(), which
 * can say no, before it is touched.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "pages/bits.h"
#include "pages/kind.h"

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

	b->kind = &memory_huge;
	b->present =
		bits_new((p->len_bytes + b->unit_bytes - 1) / b->unit_bytes);
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

int file_block_init(struct block *b, int fd, uint64_t len_bytes,
		    struct error *e)
{
	struct memory_block *p = &b->public;
	struct statfs fs;
	struct stat st;

	b->kind = &memory_file;
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
	/* A tmpfs says so of files that may have some. */
	b->unit_bytes = (uint64_t)st.st_blksize;
	if (fs.f_type == TMPFS_MAGIC && b->unit_bytes > MEMORY_PAGE)
		return map_huge(b, e);
	if (fs.f_type != HUGETLBFS_MAGIC)
		return 0;
	b->unit_bytes = p->page_size_bytes = (uint64_t)fs.f_bsize;
	return map_huge(b, e);
}

/* Of one kind as of the other: reading a file allocates no page. */
static int get(const struct block *b, uint64_t offset, void *ret, size_t len,
	       struct error *e)
{
	uint8_t *to = ret;

	while (len > 0) {
		ssize_t n = pread(b->public.fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return block_failed(b, "read", offset, len, e);
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_piece(struct block *b, const struct memory_piece *p,
		     struct error *e)
{
	for (size_t done = 0; done < p->len;) {
		ssize_t n =
			pwrite(b->public.fd, (const uint8_t *)p->data + done,
			       p->len - done, (off_t)(p->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return block_failed(b, "write", p->offset + done,
					    p->len - done, e);
		done += (size_t)n;
	}
	return 0;
}

static int put(struct block *b, const struct memory_piece *pieces, unsigned n,
	       struct error *e)
{
	for (unsigned i = 0; i < n; i++)
		if (put_piece(b, &pieces[i], e) < 0)
			return error_code(e);
	return 0;
}

static void done(struct block *b)
{
	if (b->public.fd >= 0)
		close(b->public.fd);
}

const struct memory_kind memory_file = { "file", put, get, done };

/* --- huge pages */

/* Have the huge pages of a range allocated: a touch of one that is not there
 * kills the process when there is none left. */
static int allocate(struct block *b, uint64_t offset, uint64_t len,
		    struct error *e)
{
	uint64_t size = b->unit_bytes, end = b->public.len_bytes;

	for (uint64_t i = offset / size; i * size < offset + len; i++) {
		uint64_t rest = end - i * size;
		int r;

		if (bit_test(b->present, i))
			continue;
		do
			r = fallocate(b->public.fd, 0, (off_t)(i * size),
				      (off_t)(rest < size ? rest : size));
		while (r < 0 && errno == EINTR);
		if (r < 0)
			return block_failed(b, "write", offset, len, e);
		bits_set(b->present, i, i + 1);
	}
	return 0;
}

static int huge_put(struct block *b, const struct memory_piece *pieces,
		    unsigned n, struct error *e)
{
	for (unsigned i = 0; i < n; i++) {
		const struct memory_piece *p = &pieces[i];

		if (allocate(b, p->offset, p->len, e) < 0)
			return error_code(e);
		memcpy(b->map + p->offset, p->data, p->len);
	}
	return 0;
}

static void huge_done(struct block *b)
{
	if (b->map)
		munmap(b->map, b->public.len_bytes);
	free(b->present);
	done(b);
}

const struct memory_kind memory_huge = { "huge", huge_put, get, huge_done };
