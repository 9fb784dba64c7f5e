/* SPDX-License-Identifier: MIT */
#include "pages/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/scope.h"
#include "pages/history.h"
#include "pages/memory.h"
#include "wire/sum.h"

enum { CHUNK = 64, DATA_ALIGN = 1 << 21, VERSION = 1 };

static const char magic[8] = "drovcopy";
static const uint8_t zeros[MEMORY_PAGE];

struct kept_block {
	char name[MEMORY_NAME_MAX + 1];
	uint64_t pages, sums_at, data_at;
};

struct file_head {
	char magic[8];
	uint32_t version, blocks;
	uint64_t seed;
	struct kept_of of;
	struct kept_block block[KEPT_BLOCKS_MAX];
	uint64_t sum; /* of all before it, and of all sums */
};

struct kept {
	struct file_head head;
	struct guest_memory *memory; /* NULL: it is on disk */
	int fd;                      /* of that */
	uint64_t *sums[KEPT_BLOCKS_MAX];
	atomic_uint_fast64_t changed;
	atomic_bool wrong;
};

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* --- of memory */

static void lay_out(struct file_head *h)
{
	uint64_t at = round_up(sizeof(*h), MEMORY_PAGE);

	for (unsigned i = 0; i < h->blocks; i++) {
		h->block[i].sums_at = at;
		at += h->block[i].pages * sizeof(uint64_t);
	}
	for (unsigned i = 0; i < h->blocks; i++) {
		at = round_up(at, DATA_ALIGN);
		h->block[i].data_at = at;
		at += h->block[i].pages * MEMORY_PAGE;
	}
}

static int describe(struct kept *k, struct error *e)
{
	struct file_head *h = &k->head;

	memcpy(h->magic, magic, sizeof(h->magic));
	h->version = VERSION;
	if (getrandom(&h->seed, sizeof(h->seed), 0) != sizeof(h->seed))
		return error_sys(e, "random numbers");
	for (unsigned i = 0; i < memory_blocks(k->memory); i++) {
		const struct memory_block *b = memory_block(k->memory, i);
		struct kept_block *to = &h->block[i];

		if (i == KEPT_BLOCKS_MAX)
			return error_set(e, E2BIG, "more than %d RAM blocks",
					 KEPT_BLOCKS_MAX);
		snprintf(to->name, sizeof(to->name), "%s", b->name);
		to->pages = b->len_bytes / MEMORY_PAGE;
		h->blocks++;
	}
	if (h->blocks == 0)
		return error_set(e, ENODATA, "its memory is no file%s%s",
				 memory_left_out(k->memory) ? ": " : "",
				 memory_left_out(k->memory)
					 ? memory_reason(k->memory, 0)
					 : "");
	lay_out(h);
	return 0;
}

int kept_of_memory(struct kept **ret, struct guest_memory *m,
		   const struct kept_of *of, struct error *e)
{
	struct kept *k = calloc(1, sizeof(*k));

	if (!k) {
		memory_free(m);
		return error_set(e, ENOMEM, "no memory for a copy");
	}
	k->memory = m;
	k->fd = -1;
	k->head.of = *of;
	if (describe(k, e) < 0) {
		kept_free(k);
		return error_code(e);
	}
	*ret = k;
	return 0;
}

/* --- to the disk */

static int write_at(int fd, const void *data, size_t len, uint64_t at,
		    struct error *e)
{
	const uint8_t *from = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, from, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_sys(e, "write a copy");
		from += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static bool is_zero(const uint8_t *page)
{
	return !memcmp(page, zeros, MEMORY_PAGE);
}

struct writing {
	const struct kept *k;
	int fd;
	uint64_t budget;  /* bytes of pages that may still be written */
	XXH3_state_t all; /* of the head and of the sums */
};

static int write_page(struct writing *w, unsigned block, uint64_t number,
		      const uint8_t *page, struct error *e)
{
	if (w->budget < MEMORY_PAGE)
		return error_set(e, EFBIG, "it takes too much");
	w->budget -= MEMORY_PAGE;
	return write_at(w->fd, page, MEMORY_PAGE,
			w->k->head.block[block].data_at + number * MEMORY_PAGE,
			e);
}

/* Up to CHUNK pages from @first on. */
static int write_chunk(struct writing *w, unsigned block, uint64_t first,
		       uint64_t *sums, struct error *e)
{
	const uint64_t rest = w->k->head.block[block].pages - first;
	const unsigned n = rest < CHUNK ? (unsigned)rest : CHUNK;
	uint8_t data[CHUNK * MEMORY_PAGE];

	if (memory_read(w->k->memory, block, first * MEMORY_PAGE, data,
			(size_t)n * MEMORY_PAGE, e) < 0)
		return error_code(e);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *page = data + (size_t)i * MEMORY_PAGE;

		if (is_zero(page))
			continue;
		sums[first + i] = history_sum(page, w->k->head.seed);
		if (write_page(w, block, first + i, page, e) < 0)
			return error_code(e);
	}
	return 0;
}

static int write_block(struct writing *w, unsigned block, struct error *e)
{
	const struct kept_block *b = &w->k->head.block[block];
	AUTO_FREE uint64_t *sums = calloc(b->pages, sizeof(*sums));

	if (!sums)
		return error_set(e, ENOMEM, "no memory for the sums of a copy");
	for (uint64_t p = 0; p < b->pages; p += CHUNK)
		if (write_chunk(w, block, p, sums, e) < 0)
			return error_code(e);
	XXH3_64bits_update(&w->all, sums, b->pages * sizeof(*sums));
	return write_at(w->fd, sums, b->pages * sizeof(*sums), b->sums_at, e);
}

static int write_all(const struct kept *k, int fd, uint64_t most,
		     struct error *e)
{
	struct writing w = { .k = k, .fd = fd, .budget = most };
	struct file_head h = k->head;

	XXH3_64bits_reset(&w.all);
	XXH3_64bits_update(&w.all, &h, offsetof(struct file_head, sum));
	for (unsigned i = 0; i < h.blocks; i++)
		if (write_block(&w, i, e) < 0)
			return error_code(e);
	h.sum = XXH3_64bits_digest(&w.all);
	if (write_at(fd, &h, sizeof(h), 0, e) < 0)
		return error_code(e);
	return fsync(fd) < 0 ? error_sys(e, "sync a copy") : 0;
}

void kept_path(char *buf, unsigned long cap, const char *folder,
	       const char *uuid)
{
	snprintf(buf, cap, "%s/%s.copy", folder, uuid);
}

int kept_write(const struct kept *k, const char *folder, uint64_t most,
	       struct error *e)
{
	char path[PATH_MAX], aside[PATH_MAX + 8];
	AUTO_CLOSE int fd = -1;

	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return error_sys(e, "make folder %s", folder);
	kept_path(path, sizeof(path), folder, k->head.of.uuid);
	snprintf(aside, sizeof(aside), "%s.new", path);
	fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	if (fd < 0)
		return error_sys(e, "make %s", aside);
	if (write_all(k, fd, most, e) < 0) {
		unlink(aside);
		return error_code(e);
	}
	if (rename(aside, path) < 0) {
		error_sys(e, "rename %s", aside);
		unlink(aside);
		return error_code(e);
	}
	return folder_sync(folder, e);
}

/* --- from the disk */

static int read_at(int fd, void *ret, size_t len, uint64_t at, struct error *e)
{
	uint8_t *to = ret;

	while (len > 0) {
		ssize_t n = pread(fd, to, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(e, "read a copy");
		if (n == 0)
			return error_set(e, EBADMSG, "it ends too early");
		to += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static bool is_sane(const struct file_head *h)
{
	if (memcmp(h->magic, magic, sizeof(magic)) != 0 ||
	    h->version != VERSION || h->blocks == 0 ||
	    h->blocks > KEPT_BLOCKS_MAX)
		return false;
	for (unsigned i = 0; i < h->blocks; i++)
		if (h->block[i].pages == 0 || h->block[i].pages > 1ULL << 36 ||
		    h->block[i].sums_at > 1ULL << 60 ||
		    h->block[i].data_at > 1ULL << 60 ||
		    !memchr(h->block[i].name, 0, sizeof(h->block[i].name)))
			return false;
	return memchr(h->of.uuid, 0, sizeof(h->of.uuid)) &&
	       memchr(h->of.machine, 0, sizeof(h->of.machine)) &&
	       memchr(h->of.peer, 0, sizeof(h->of.peer));
}

static int read_sums(struct kept *k, struct error *e)
{
	XXH3_state_t all;
	struct stat st;

	if (fstat(k->fd, &st) < 0)
		return error_sys(e, "look at a copy");
	XXH3_64bits_reset(&all);
	XXH3_64bits_update(&all, &k->head, offsetof(struct file_head, sum));
	for (unsigned i = 0; i < k->head.blocks; i++) {
		const struct kept_block *b = &k->head.block[i];
		size_t len = b->pages * sizeof(uint64_t);

		if (b->sums_at + len > (uint64_t)st.st_size)
			return error_set(e, EBADMSG, "it ends too early");
		k->sums[i] = malloc(len);
		if (!k->sums[i])
			return error_set(e, ENOMEM, "no memory for the sums");
		if (read_at(k->fd, k->sums[i], len, b->sums_at, e) < 0)
			return error_code(e);
		XXH3_64bits_update(&all, k->sums[i], len);
	}
	return XXH3_64bits_digest(&all) == k->head.sum
		       ? 0
		       : error_set(e, EBADMSG,
				   "it does not have the sum that was written "
				   "with it");
}

static int read_file(struct kept *k, const char *path, struct error *e)
{
	k->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (k->fd < 0)
		return error_sys(e, "open it");
	if (read_at(k->fd, &k->head, sizeof(k->head), 0, e) < 0)
		return error_code(e);
	if (!is_sane(&k->head))
		return error_set(e, EBADMSG, "it is no copy of this version");
	return read_sums(k, e);
}

int kept_open(struct kept **ret, const char *path, struct error *e)
{
	struct kept *k = calloc(1, sizeof(*k));

	if (!k)
		return error_set(e, ENOMEM, "no memory for a copy");
	k->fd = -1;
	if (read_file(k, path, e) < 0) {
		kept_free(k);
		return error_in(e, "%s", path);
	}
	*ret = k;
	return 0;
}

void kept_free(struct kept *k)
{
	if (!k)
		return;
	memory_free(k->memory);
	if (k->fd >= 0)
		close(k->fd);
	for (unsigned i = 0; i < KEPT_BLOCKS_MAX; i++)
		free(k->sums[i]);
	free(k);
}

/* --- what is in it */

const struct kept_of *kept_whose(const struct kept *k)
{
	return &k->head.of;
}

bool kept_is_on_disk(const struct kept *k)
{
	return !k->memory;
}

uint64_t kept_bytes(const struct kept *k)
{
	uint64_t bytes = 0;
	struct stat st;

	if (!k->memory)
		return fstat(k->fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
	for (unsigned i = 0; i < k->head.blocks; i++)
		if (fstat(memory_block(k->memory, i)->fd, &st) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	return bytes;
}

uint64_t kept_changed(const struct kept *k)
{
	return atomic_load(&k->changed);
}

void kept_set_wrong(struct kept *k)
{
	atomic_store(&k->wrong, true);
}

bool kept_is_wrong(const struct kept *k)
{
	return atomic_load(&k->wrong);
}

uint64_t kept_seed(const struct kept *k)
{
	return k->head.seed;
}

/* -1: none. */
static int find(const struct kept *k, const char *name, uint64_t first,
		uint64_t count)
{
	for (unsigned i = 0; i < k->head.blocks; i++) {
		const struct kept_block *b = &k->head.block[i];

		if (!strcmp(b->name, name))
			return first <= b->pages && count <= b->pages - first
				       ? (int)i
				       : -1;
	}
	return -1;
}

static bool get(struct kept *k, unsigned block, uint64_t page, uint8_t *ret)
{
	struct error ignored;

	if (k->memory)
		return memory_read(k->memory, block, page * MEMORY_PAGE, ret,
				   MEMORY_PAGE, &ignored) == 0;
	return read_at(k->fd, ret, MEMORY_PAGE,
		       k->head.block[block].data_at + page * MEMORY_PAGE,
		       &ignored) == 0;
}

bool kept_page(struct kept *k, const char *name, uint64_t page, uint8_t *ret)
{
	int block = find(k, name, page, 1);

	return block >= 0 && get(k, (unsigned)block, page, ret);
}

static uint64_t sum_now(struct kept *k, unsigned block, uint64_t page)
{
	uint8_t data[MEMORY_PAGE];
	uint64_t sum;

	if (!k->memory && k->sums[block][page] == 0)
		return 0;
	sum = get(k, block, page, data) && !is_zero(data)
		      ? history_sum(data, k->head.seed)
		      : 0;
	if (k->memory || sum == k->sums[block][page])
		return sum;
	atomic_fetch_add(&k->changed, 1);
	return 0;
}

bool kept_sums(struct kept *k, const char *name, uint64_t first, unsigned count,
	       uint64_t *ret)
{
	int block = find(k, name, first, count);

	for (unsigned i = 0; block >= 0 && i < count; i++)
		ret[i] = sum_now(k, (unsigned)block, first + i);
	return block >= 0;
}
