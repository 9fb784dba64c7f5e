/* SPDX-License-Identifier: MIT */

/*
 * Placement alone, kind of memory against kind: 1 GiB in batches of 64 pages,
 * whole and scattered, into memory that another process has for itself, and
 * into a memfd by a pwrite() for each run.
 *
 *     build/bench/micro/placement [PAIRS]
 *
 * Medians of PAIRS (5) runs in turns, each into a new process's fresh memory.
 * Right before each, as many huge pages are touched and given back: in a
 * virtual machine whose host takes free memory away, new ones would come from
 * memory that is not there, which takes ten times as long (for both alike).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "pages/memory.h"
#include "relay/place.h"

#define SIZE (1UL << 30)
enum { HUGE = 2 << 20, USUAL = 5, RUNS_MOST = 99, GAP = 2, SOURCE = 16 << 20 };

static const char *const arguments[] = {
	"qemu",
	"-machine",
	"pc,memory-backend=ram",
	"-object",
	"memory-backend-ram,id=ram,size=1G",
	NULL,
};

struct target {
	pid_t pid; /* 0: a memfd */
	int to, from, fd;
	struct guest_memory *memory;
};

static _Noreturn void fail(const struct error *e)
{
	fprintf(stderr, "placement: %s\n", e->text);
	exit(1);
}

static _Noreturn void fail_sys(const char *what)
{
	struct error e;

	error_sys(&e, "%s", what);
	fail(&e);
}

/* As QEMU maps RAM: aligned for huge pages, and a page behind it that nobody
 * may touch. */
static uint8_t *map_ram(void)
{
	uint8_t *all = mmap(NULL, SIZE + 2 * HUGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at =
		(uint8_t *)(((uintptr_t)all + HUGE) & ~((uintptr_t)HUGE - 1));

	at = mmap(at, SIZE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (all == MAP_FAILED || at == MAP_FAILED ||
	    madvise(at, SIZE, MADV_HUGEPAGE) < 0)
		fail_sys("map 1 GiB");
	return at;
}

static void make_page(uint8_t page[WIRE_PAGE], unsigned seed)
{
	for (unsigned i = 0; i < WIRE_PAGE; i++)
		page[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

/* The process that is written into: it loads one page, says so, and in the end
 * how many KiB of huge pages it has. */
static int be_qemu(void)
{
	uint8_t *ram = map_ram();
	char line[128];
	long huge = 0;
	FILE *f;

	make_page(ram, 0);
	if (write(STDOUT_FILENO, "r", 1) != 1 ||
	    read(STDIN_FILENO, line, 1) != 1)
		return 1;
	f = fopen("/proc/self/smaps_rollup", "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "AnonHugePages:", 14))
			huge = strtol(line + 14, NULL, 10);
	if (f)
		fclose(f);
	return write(STDOUT_FILENO, &huge, sizeof(huge)) != sizeof(huge);
}

static void memory_at_hand(void)
{
	uint8_t *at = map_ram();

	for (size_t i = 0; i < SIZE; i += WIRE_PAGE)
		at[i] = 1;
	munmap(at - HUGE, SIZE + 2 * HUGE);
}

static void prove(struct target *t)
{
	uint8_t page[WIRE_PAGE];
	struct error e;

	make_page(page, 0);
	if (memory_expect(t->memory, 0, 0, page_sum(page), &e) < 0 ||
	    memory_prove(t->memory, 0, &e) != MEMORY_PROVED)
		fail(&e);
}

static struct target private_target(void)
{
	struct target t = { .fd = -1 };
	int to[2], from[2];
	struct error e;
	char c;

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		fail_sys("pipe");
	t.pid = fork();
	if (t.pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execv("/proc/self/exe", (char **)(uintptr_t)arguments);
		_exit(1);
	}
	close(to[0]);
	close(from[1]);
	t.to = to[1];
	t.from = from[0];
	if (t.pid < 0 || read(t.from, &c, 1) != 1)
		fail_sys("a process");
	if (memory_of_process(&t.memory, t.pid, MEMORY_OF_CHILD, &e) < 0)
		fail(&e);
	prove(&t);
	return t;
}

static struct target file_target(void)
{
	struct target t = { .fd = memfd_create("placement", MFD_CLOEXEC) };
	struct error e;

	if (t.fd < 0 || ftruncate(t.fd, SIZE) < 0)
		fail_sys("a memfd");
	if (memory_of_fd(&t.memory, "pc.ram", t.fd, &e) < 0)
		fail(&e);
	return t;
}

/* KiB of huge pages that it had. */
static long target_done(struct target *t)
{
	long huge = 0;

	memory_free(t->memory);
	if (t->pid) {
		if (write(t->to, "x", 1) != 1 ||
		    read(t->from, &huge, sizeof(huge)) != sizeof(huge))
			fail_sys("a process");
		close(t->to);
		close(t->from);
		waitpid(t->pid, NULL, 0);
	} else {
		close(t->fd);
	}
	return huge;
}

/* One run of all pages, or one of each. */
static void make_batch(struct batch_head *b, uint64_t first, bool scattered)
{
	*b = (struct batch_head){ .pages = BATCH_MAX_PAGES, .runs = 1 };
	b->run[0] = (struct batch_run){ first, BATCH_MAX_PAGES, RUN_DATA };
	if (!scattered)
		return;
	b->runs = BATCH_MAX_PAGES;
	for (uint32_t i = 0; i < BATCH_MAX_PAGES; i++)
		b->run[i] = (struct batch_run){ first + (uint64_t)i * GAP, 1,
						RUN_DATA };
}

/* All pages: with gaps, the others in a second pass. */
static void place_all(struct place *p, const uint8_t *data, bool scattered)
{
	const uint64_t pages = SIZE / WIRE_PAGE;
	const unsigned passes = scattered ? GAP : 1;
	const size_t len = (size_t)BATCH_MAX_PAGES * WIRE_PAGE;
	struct batch_body body = { .len = len };
	struct batch_head b;
	struct error e;
	size_t n = 0;

	for (unsigned pass = 0; pass < passes; pass++)
		for (uint64_t at = pass; at < pages;
		     at += (uint64_t)BATCH_MAX_PAGES * passes) {
			body.data = data + n++ * len % SOURCE;
			make_batch(&b, at, scattered);
			if (p->sink.apply(p->sink.context, &b, &body, &e) < 0)
				fail(&e);
		}
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct figure {
	double processor[RUNS_MOST], wall[RUNS_MOST];
	long huge_kib;
};

static void measure(struct figure *f, int i, bool private, bool scattered,
		    const uint8_t *data)
{
	struct target t = private ? private_target() : file_target();
	struct place p;

	place_init(&p, t.memory);
	memory_at_hand();
	f->wall[i] = seconds(CLOCK_MONOTONIC);
	f->processor[i] = seconds(CLOCK_PROCESS_CPUTIME_ID);
	place_all(&p, data, scattered);
	f->processor[i] = seconds(CLOCK_PROCESS_CPUTIME_ID) - f->processor[i];
	f->wall[i] = seconds(CLOCK_MONOTONIC) - f->wall[i];
	f->huge_kib = target_done(&t);
}

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *of, int n)
{
	qsort(of, (size_t)n, sizeof(*of), ascending);
	return of[n / 2];
}

static void compare(bool scattered, int pairs, const uint8_t *data)
{
	static struct figure file, own;
	double before, now;

	for (int i = 0; i < pairs; i++) {
		measure(&file, i, false, scattered, data);
		measure(&own, i, true, scattered, data);
	}
	before = median(file.processor, pairs);
	now = median(own.processor, pairs);
	printf("%-10s file %.3f s of processor per GiB, %.2f GB/s; private "
	       "%.3f s, %.2f GB/s, %ld MiB huge; %.2f times\n",
	       scattered ? "scattered" : "whole", before,
	       SIZE / median(file.wall, pairs) / 1e9, now,
	       SIZE / median(own.wall, pairs) / 1e9, own.huge_kib / 1024,
	       now / before);
}

int main(int argc, char **argv)
{
	int pairs = argc > 1 ? atoi(argv[1]) : USUAL;
	uint8_t *data;

	if (argc > 1 && !strcmp(argv[0], arguments[0]))
		return be_qemu();
	if (pairs < 1 || pairs > RUNS_MOST) {
		fprintf(stderr, "usage: placement [PAIRS]\n");
		return 2;
	}
	data = malloc(SOURCE);
	if (!data)
		fail_sys("memory");
	for (unsigned i = 0; i < SOURCE / WIRE_PAGE; i++)
		make_page(data + (size_t)i * WIRE_PAGE, i);
	compare(false, pairs, data);
	compare(true, pairs, data);
	free(data);
	return 0;
}
