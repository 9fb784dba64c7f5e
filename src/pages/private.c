/* SPDX-License-Identifier: MIT */
#include "pages/private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/ini.h"
#include "base/scope.h"
#include "pages/bits.h"
#include "pages/kind.h"
#include "pages/maps.h"
#include "pages/numa.h"
#include "wire/frame.h"

enum {
	MAPS_MOST = 16 << 20,
	ENTRIES = 8192, /* of pagemap, at once */
	LOOK = 64,      /* pages, at once */
};

/* Of an entry of /proc/PID/pagemap, see proc(5). */
static const uint64_t present_or_swapped = 3ULL << 62;

struct process_memory {
	/* set before the threads start */
	pid_t pid;
	bool child;
	int mem_fd; /* /proc/PID/mem */

	/* Held for reading while something is written; looked at before, since
	 * readers that follow each other would keep the sealer out. */
	pthread_rwlock_t lock;
	atomic_bool sealed;
};

struct private_block {
	struct process_memory *process;

	pthread_mutex_t lock; /* guards what is expected */
	bool expects;
	uint64_t offset, sum;

	_Atomic uint64_t address; /* 0: not proved */
};

/* --- the process */

/* Who may have said no, for the user. */
static int refused(pid_t pid, struct error *e)
{
	if (e->code != EPERM && e->code != EACCES)
		return error_code(e);
	return error_set(e, EACCES,
			 "process %d may not be written into: droverd lacks "
			 "CAP_SYS_PTRACE, or kernel.yama.ptrace_scope is 3, or "
			 "AppArmor or SELinux forbids it",
			 (int)pid);
}

/* "2"; 0 where there is no Yama. */
static int ptrace_scope(void)
{
	AUTO_CLOSE int fd = open("/proc/sys/kernel/yama/ptrace_scope",
				 O_RDONLY | O_CLOEXEC);
	char c = '0';

	return fd < 0 || read(fd, &c, 1) != 1 ? 0 : c - '0';
}

int private_is_possible(struct error *e)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (ptrace_scope() >= 3)
		return error_set(e, EACCES,
				 "kernel.yama.ptrace_scope is 3, which lets "
				 "nobody write into another process");
	if (syscall(SYS_capget, &head, data) < 0)
		return error_sys(e, "capabilities");
	if (!(data[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective &
	      CAP_TO_MASK(CAP_SYS_PTRACE)))
		return error_set(e, EACCES, "droverd lacks CAP_SYS_PTRACE");
	return 0;
}

static int open_mem(int *ret, pid_t pid, struct error *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	*ret = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (*ret >= 0)
		return 0;
	error_sys(e, "%s", path);
	return refused(pid, e);
}

int process_memory_open(struct process_memory **ret, pid_t pid, bool child,
			struct error *e)
{
	struct process_memory *p;
	int fd;

	/* Opening it asks for the rights that writing needs. */
	if (open_mem(&fd, pid, e) < 0)
		return error_code(e);
	p = calloc(1, sizeof(*p));
	if (!p) {
		close(fd);
		return error_set(e, ENOMEM, "no memory for a guest's memory");
	}
	p->pid = pid;
	p->child = child;
	p->mem_fd = fd;
	pthread_rwlock_init(&p->lock, NULL);
	*ret = p;
	return 0;
}

void process_memory_seal(struct process_memory *p)
{
	p->sealed = true;
	pthread_rwlock_wrlock(&p->lock);
	pthread_rwlock_unlock(&p->lock);
}

void process_memory_free(struct process_memory *p)
{
	if (!p)
		return;
	close(p->mem_fd);
	pthread_rwlock_destroy(&p->lock);
	free(p);
}

/* --- bytes */

static ssize_t read_at(const struct process_memory *p, uint64_t address,
		       void *ret, size_t len)
{
	const struct iovec to = { ret, len };
	const struct iovec from = { (void *)(uintptr_t)address, len };

	return p->child ? process_vm_readv(p->pid, &to, 1, &from, 1, 0)
			: pread(p->mem_fd, ret, len, (off_t)address);
}

/* Under the lock. */
static int get_locked(const struct block *b, uint64_t offset, void *ret,
		      size_t len, struct error *e)
{
	const struct private_block *own = b->private;
	uint64_t address = atomic_load(&own->address);
	uint8_t *to = ret;

	while (len > 0) {
		ssize_t n = read_at(own->process, address + offset, to, len);

		if (n == 0)
			errno = ESRCH;
		if (n <= 0)
			return block_failed(b, "read", offset, len, e);
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int check_proved(const struct block *b, struct error *e)
{
	if (atomic_load(&b->private->address) != 0)
		return 0;
	return error_set(e, EBADMSG,
			 "a page of %s before its address is proved",
			 b->public.name);
}

static int get(const struct block *b, uint64_t offset, void *ret, size_t len,
	       struct error *e)
{
	struct process_memory *p = b->private->process;
	int r;

	pthread_rwlock_rdlock(&p->lock);
	if (p->sealed)
		r = error_set(e, ESRCH, "%s: its QEMU has been ended",
			      b->public.name);
	else if (check_proved(b, e) < 0)
		r = error_code(e);
	else
		r = get_locked(b, offset, ret, len, e);
	pthread_rwlock_unlock(&p->lock);
	return r;
}

/* What is not written yet of a call's pieces. */
struct rest {
	struct iovec local[MEMORY_PIECES], remote[MEMORY_PIECES];
	unsigned first, count;
};

/* Pieces that follow each other in the guest are one there. */
static void rest_of(struct rest *r, uint64_t address,
		    const struct memory_piece *pieces, unsigned n)
{
	r->first = 0;
	r->count = n;
	for (unsigned i = 0; i < n; i++) {
		uint64_t at = address + pieces[i].offset;

		r->local[i] = (struct iovec){ (void *)(uintptr_t)pieces[i].data,
					      pieces[i].len };
		r->remote[i] =
			(struct iovec){ (void *)(uintptr_t)at, pieces[i].len };
	}
}

static void took(struct rest *r, size_t bytes)
{
	while (r->first < r->count && bytes >= r->local[r->first].iov_len)
		bytes -= r->local[r->first++].iov_len;
	if (bytes == 0)
		return;
	assert(r->first < r->count);
	r->local[r->first].iov_base =
		(char *)r->local[r->first].iov_base + bytes;
	r->remote[r->first].iov_base =
		(char *)r->remote[r->first].iov_base + bytes;
	r->local[r->first].iov_len -= bytes;
	r->remote[r->first].iov_len -= bytes;
}

static ssize_t write_some(const struct process_memory *p, const struct rest *r)
{
	const struct iovec *local = &r->local[r->first];
	const struct iovec *remote = &r->remote[r->first];
	unsigned n = r->count - r->first;

	return p->child ? process_vm_writev(p->pid, local, n, remote, n, 0)
			: pwrite(p->mem_fd, local->iov_base, local->iov_len,
				 (off_t)(uintptr_t)remote->iov_base);
}

static int explain_write(const struct block *b, const struct rest *r,
			 uint64_t address, struct error *e)
{
	uint64_t at = (uint64_t)(uintptr_t)r->remote[r->first].iov_base;

	block_failed(b, "write", at - address, r->local[r->first].iov_len, e);
	if (e->code == EFAULT || e->code == EIO || e->code == ENOMEM)
		return error_in(e,
				"no memory for the guest: its QEMU's control "
				"group may be at its limit");
	return refused(b->private->process->pid, e);
}

/* What is written to a QEMU that has ended goes nowhere, as into a file that
 * nobody has any more: who watches the process knows why it did, and says so.
 */
static int put_locked(struct block *b, const struct memory_piece *pieces,
		      unsigned n, struct error *e)
{
	uint64_t address = atomic_load(&b->private->address);
	struct rest r;

	for (rest_of(&r, address, pieces, n); r.first < r.count;) {
		ssize_t bytes = write_some(b->private->process, &r);

		/* /proc/PID/mem of an address space that is gone takes none. */
		if (bytes == 0 || (bytes < 0 && errno == ESRCH))
			return 0;
		if (bytes < 0)
			return explain_write(b, &r, address, e);
		took(&r, (size_t)bytes);
	}
	return 0;
}

static int put(struct block *b, const struct memory_piece *pieces, unsigned n,
	       struct error *e)
{
	struct process_memory *p = b->private->process;
	int r;

	if (p->sealed)
		return 0;
	pthread_rwlock_rdlock(&p->lock);
	if (p->sealed)
		r = 0;
	else if (check_proved(b, e) < 0)
		r = error_code(e);
	else
		r = put_locked(b, pieces, n, e);
	pthread_rwlock_unlock(&p->lock);
	return r;
}

/* --- the proof */

void private_expect(struct block *b, uint64_t offset, uint64_t sum)
{
	struct private_block *own = b->private;

	WITH_LOCK(&own->lock);

	own->expects = true;
	own->offset = offset;
	own->sum = sum;
}

/* How many of the candidates have the page, and which one. */
static int candidates(const struct block *b, uint64_t *ret_address,
		      struct error *e)
{
	const struct private_block *own = b->private;
	uint64_t at[MAPS_FOUND_MAX];
	AUTO_FREE char *text = NULL;
	uint8_t page[MEMORY_PAGE];
	unsigned n, good = 0;
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)own->process->pid);
	if (ini_load(&text, &len, path, MAPS_MOST, e) < 0)
		return error_code(e);
	n = maps_find(text, b->public.len_bytes, at);
	if (n > MAPS_FOUND_MAX)
		return (int)n;
	for (unsigned i = 0; i < n; i++) {
		ssize_t got = read_at(own->process, at[i] + own->offset, page,
				      sizeof(page));

		if (got < 0 && (errno == EPERM || errno == EACCES))
			return error_sys(e, "read process %d",
					 (int)own->process->pid);
		if (got != sizeof(page) || page_sum(page) != own->sum)
			continue;
		*ret_address = at[i];
		good++;
	}
	return (int)good;
}

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && !memcmp(page, page + 1, MEMORY_PAGE - 1);
}

/* @n pages that are there, LOOK at most, from @from on: what they hold says
 * whether they are written.  A zero that QEMU has read is there as well. */
static int look_at(struct block *b, uint64_t address, uint64_t from, uint64_t n,
		   struct error *e)
{
	uint8_t pages[LOOK][MEMORY_PAGE];
	const size_t len = n * MEMORY_PAGE;

	if (read_at(b->private->process, address + from * MEMORY_PAGE, pages,
		    len) != (ssize_t)len)
		return error_sys(e, "read process %d",
				 (int)b->private->process->pid);
	for (uint64_t i = 0; i < n; i++)
		if (!is_zero(pages[i]))
			bits_set(b->written, from + i, from + i + 1);
	return 0;
}

/* How many from @entry on are there, LOOK at most. */
static uint64_t there(const uint64_t *entry, uint64_t n)
{
	uint64_t i = 0;

	while (i < n && i < LOOK && entry[i] & present_or_swapped)
		i++;
	return i;
}

/* @n pages from @at on, whose entries of pagemap are @entry. */
static int look_through(struct block *b, uint64_t address, uint64_t at,
			const uint64_t *entry, uint64_t n, struct error *e)
{
	for (uint64_t i = 0, run; i < n; i += run ? run : 1) {
		run = there(entry + i, n - i);
		if (run && look_at(b, address, at + i, run, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* What QEMU had put there before the proof. */
static int find_written(struct block *b, uint64_t address, struct error *e)
{
	uint64_t pages = b->public.len_bytes / MEMORY_PAGE;
	AUTO_FREE uint64_t *entry = malloc(ENTRIES * sizeof(*entry));
	AUTO_CLOSE int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap",
		 (int)b->private->process->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !entry)
		return error_sys(e, "%s", path);
	for (uint64_t at = 0; at < pages; at += ENTRIES) {
		uint64_t n = pages - at < ENTRIES ? pages - at : ENTRIES;
		uint64_t page = address / MEMORY_PAGE + at;

		if (pread(fd, entry, n * sizeof(*entry),
			  (off_t)(page * sizeof(*entry))) !=
		    (ssize_t)(n * sizeof(*entry)))
			return error_sys(e, "%s", path);
		if (b->private->process->sealed)
			return error_set(e, ECANCELED, "its QEMU is ended");
		if (look_through(b, address, at, entry, n, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* Under both locks. */
static enum memory_proof prove(struct block *b, struct error *why)
{
	struct private_block *own = b->private;
	uint64_t address = 0;
	int n;

	if (own->process->sealed || !own->expects) {
		error_set(why, EBADMSG, "no page of %s was named",
			  b->public.name);
		return MEMORY_NOWHERE;
	}
	n = candidates(b, &address, why);
	if (n == 1 && find_written(b, address, why) == 0) {
		b->node = numa_node_of(own->process->pid, address);
		atomic_store(&own->address, address);
		return MEMORY_PROVED;
	}
	if (n < 0 || n == 1)
		return MEMORY_REFUSED;
	if (n == 0)
		error_set(why, ENOENT,
			  "no mapping of process %d has the page of %s that "
			  "QEMU has loaded",
			  (int)own->process->pid, b->public.name);
	else
		error_set(why, ENOTUNIQ,
			  "%d mappings of process %d have the page of %s that "
			  "QEMU has loaded",
			  n, (int)own->process->pid, b->public.name);
	return n == 0 ? MEMORY_NOWHERE : MEMORY_AMBIGUOUS;
}

enum memory_proof private_prove(struct block *b, struct error *why)
{
	struct private_block *own = b->private;
	enum memory_proof proof;

	WITH_LOCK(&own->lock);

	if (atomic_load(&own->address) != 0)
		return MEMORY_PROVED;
	pthread_rwlock_rdlock(&own->process->lock);
	proof = prove(b, why);
	pthread_rwlock_unlock(&own->process->lock);
	return proof;
}

/* --- life */

static void done(struct block *b)
{
	if (!b->private)
		return;
	pthread_mutex_destroy(&b->private->lock);
	free(b->private);
}

const struct memory_kind memory_private = { "private", put, get, done };

int private_block_init(struct block *b, struct process_memory *p,
		       uint64_t len_bytes, struct error *e)
{
	b->kind = &memory_private;
	b->node = NUMA_ANYWHERE;
	b->public.fd = -1;
	b->public.len_bytes = len_bytes;
	b->public.page_size_bytes = MEMORY_PAGE;
	b->public.fresh = true;
	b->public.asks_proof = true;
	if (len_bytes == 0 || len_bytes % MEMORY_PAGE)
		return error_set(e, EINVAL, "memory of %" PRIu64 " bytes",
				 len_bytes);
	b->written = bits_new(len_bytes / MEMORY_PAGE);
	b->private = calloc(1, sizeof(*b->private));
	if (!b->written || !b->private)
		return error_set(e, ENOMEM, "no memory for a table of pages");
	pthread_mutex_init(&b->private->lock, NULL);
	b->private->process = p;
	return 0;
}
