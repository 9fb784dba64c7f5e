/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "pages/memory.h"
#include "qemu.h"
#include "qemu/qmp.h"
#include "scratch.h"

enum { MIB = 1 << 20, PAGE = MEMORY_PAGE };
#define LIE "/dev/shm/drover-unit-lie"

static uint8_t page_of[256][PAGE];

static const uint8_t *page(uint8_t byte)
{
	memset(page_of[byte], byte, PAGE);
	return page_of[byte];
}

static int shared_file(uint64_t len, unsigned flags)
{
	int fd = memfd_create("test", MFD_CLOEXEC | flags);

	if (fd >= 0 && ftruncate(fd, (off_t)len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static struct guest_memory *memory_of(int fd)
{
	struct guest_memory *m;
	struct error e;

	if (memory_of_fd(&m, "pc.ram", fd, &e) < 0)
		fail_msg("%s", e.text);
	return m;
}

static int byte_at(int fd, uint64_t offset)
{
	uint8_t byte = 0xee;

	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	return byte;
}

static uint64_t allocated(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void what_is_written_is_there(void **state)
{
	int fd = shared_file(MIB, 0);
	struct guest_memory *m = memory_of(fd);
	struct error e;

	(void)state;
	assert_int_equal(memory_blocks(m), 1);
	assert_string_equal(memory_block(m, 0)->name, "pc.ram");
	assert_int_equal(memory_block(m, 0)->len_bytes, MIB);
	assert_int_equal(memory_block(m, 0)->page_size_bytes, PAGE);
	assert_true(memory_block(m, 0)->fresh);
	assert_null(memory_block(m, 1));
	assert_int_equal(memory_write(m, 0, MIB - PAGE, page(7), PAGE, &e), 0);
	assert_int_equal(byte_at(fd, MIB - 1), 7);
	assert_int_equal(allocated(fd), PAGE);
	memory_free(m);
	close(fd);
}

static void zeros_do_not_touch_what_was_never_written(void **state)
{
	int fd = shared_file(MIB, 0);
	struct guest_memory *m = memory_of(fd);
	struct error e;

	(void)state;
	assert_int_equal(memory_zero(m, 0, 0, MIB, &e), 0);
	assert_int_equal(allocated(fd), 0);
	assert_int_equal(memory_write(m, 0, 5 * PAGE, page(9), PAGE, &e), 0);
	assert_int_equal(memory_zero(m, 0, 0, MIB, &e), 0);
	assert_int_equal(byte_at(fd, 5 * PAGE), 0);
	assert_int_equal(allocated(fd), PAGE);
	memory_free(m);
	close(fd);
}

static void old_content_is_cleared_by_zeros_but_holes_stay(void **state)
{
	int fd = shared_file(MIB, 0);
	struct guest_memory *m;
	struct error e;

	(void)state;
	assert_int_equal(pwrite(fd, page(3), PAGE, 17 * PAGE), PAGE);
	m = memory_of(fd);
	assert_false(memory_block(m, 0)->fresh);
	assert_int_equal(memory_zero(m, 0, 0, MIB, &e), 0);
	assert_int_equal(byte_at(fd, 17 * PAGE), 0);
	assert_int_equal(allocated(fd), PAGE);
	memory_free(m);
	close(fd);
}

static void nothing_is_written_outside_of_a_block(void **state)
{
	int fd = shared_file(MIB, 0);
	struct guest_memory *m = memory_of(fd);
	struct error e;

	(void)state;
	assert_int_equal(memory_write(m, 1, 0, page(1), PAGE, &e), -ERANGE);
	assert_int_equal(memory_write(m, 0, MIB, page(1), PAGE, &e), -ERANGE);
	assert_string_equal(e.text, "pc.ram: 0x100000 and 4096 bytes are "
				    "beyond its end");
	assert_int_equal(memory_write(m, 0, UINT64_MAX - PAGE + 1, page(1),
				      PAGE, &e),
			 -ERANGE);
	assert_int_equal(memory_zero(m, 0, PAGE, UINT64_MAX - PAGE + 1, &e),
			 -ERANGE);
	assert_int_equal(memory_zero(m, 0, 0, MIB + PAGE, &e), -ERANGE);
	assert_int_equal(memory_write(m, 0, 12, page(1), PAGE, &e), -EINVAL);
	assert_int_equal(memory_write(m, 0, 0, page(1), 12, &e), -EINVAL);
	assert_int_equal(memory_write(m, 0, MIB, page(1), 0, &e), 0);
	assert_int_equal(allocated(fd), 0);
	memory_free(m);
	close(fd);
}

static void reading_gives_what_is_there_and_allocates_nothing(void **state)
{
	uint8_t *got = malloc(MIB);
	int fd = shared_file(MIB, 0);
	struct guest_memory *m;
	struct error e;

	(void)state;
	assert_int_equal(pwrite(fd, page(3), PAGE, 17 * PAGE), PAGE);
	m = memory_of(fd);
	assert_int_equal(memory_write(m, 0, 19 * PAGE, page(4), PAGE, &e), 0);
	memset(got, 0xee, MIB);
	assert_int_equal(memory_read(m, 0, 0, got, MIB, &e), 0);
	for (int i = 0; i < MIB / PAGE; i++)
		assert_memory_equal(got + (size_t)i * PAGE,
				    page(i == 17   ? 3
					 : i == 19 ? 4
						   : 0),
				    PAGE);
	assert_int_equal(allocated(fd), 2 * PAGE);
	assert_int_equal(memory_read(m, 0, MIB - PAGE, got, 2 * PAGE, &e),
			 -ERANGE);
	assert_int_equal(memory_read(m, 1, 0, got, PAGE, &e), -ERANGE);
	assert_int_equal(memory_read(m, 0, 12, got, PAGE, &e), -EINVAL);
	assert_int_equal(ftruncate(fd, 18 * PAGE), 0);
	assert_int_equal(memory_read(m, 0, 19 * PAGE, got, PAGE, &e), -EIO);
	assert_string_equal(e.text, "read 4.0 KiB of pc.ram at 0x13000: "
				    "Input/output error");
	memory_free(m);
	close(fd);
	free(got);
}

struct worker {
	struct guest_memory *memory;
	unsigned first;
};

static void *write_every_fourth(void *arg)
{
	const struct worker *w = arg;
	struct error e;

	for (unsigned i = w->first; i < 1024; i += 4)
		if (memory_write(w->memory, 0, (uint64_t)i * PAGE,
				 page_of[i % 251], PAGE, &e) < 0 ||
		    (i % 3 == 0 && memory_zero(w->memory, 0, (uint64_t)i * PAGE,
					       PAGE, &e) < 0))
			return arg;
	return NULL;
}

static void many_threads_write_neighbouring_pages(void **state)
{
	int fd = shared_file(4 * MIB, 0);
	struct guest_memory *m = memory_of(fd);
	struct worker workers[4];
	pthread_t threads[4];
	void *failed;

	(void)state;
	for (unsigned i = 0; i < 251; i++)
		page((uint8_t)i);
	for (unsigned i = 0; i < 4; i++) {
		workers[i] = (struct worker){ m, i };
		assert_int_equal(pthread_create(&threads[i], NULL,
						write_every_fourth,
						&workers[i]),
				 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(byte_at(fd, (uint64_t)i * PAGE + 100),
				 i % 3 ? i % 251 : 0);
	memory_free(m);
	close(fd);
}

/* A tmpfs of 1 MiB in a mount namespace of this process. */
static int small_tmpfs(void)
{
	char dir[SCRATCH_CAP], path[96];
	int fd = -1;

	scratch_folder(dir);
	snprintf(path, sizeof(path), "%s/ram", dir);
	if (unshare(CLONE_NEWNS) == 0 &&
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("none", dir, "tmpfs", 0, "size=1m") == 0) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd >= 0 && ftruncate(fd, 4 * MIB) < 0)
			fd = -1;
		umount2(dir, MNT_DETACH);
	}
	return fd;
}

static void a_full_memory_is_an_error_and_no_signal(void **state)
{
	uint8_t *data = calloc(1, 2 * MIB);
	struct guest_memory *m;
	struct error e;
	int fd = small_tmpfs();

	(void)state;
	if (fd < 0) {
		free(data);
		print_message("no permission to mount a tmpfs: skipped\n");
		skip();
	}
	m = memory_of(fd);
	assert_int_equal(memory_write(m, 0, MIB, data, 2 * MIB, &e), -ENOSPC);
	assert_string_equal(e.text, "write 1.0 MiB of pc.ram at 0x200000: No "
				    "space left on device");
	memory_free(m);
	close(fd);
	free(data);
}

/* The number of huge pages of 2 MiB, one for the whole host: who changes it
 * holds its lock, tests/lib/lab/huge.py too. */
static const char huge_pages[] = "/proc/sys/vm/nr_hugepages";
static int huge_pages_fd = -1;
static long huge_pages_before;

/* Without it the number would stay changed. */
static void put_off_the_end(int how)
{
	sigset_t ending;

	sigemptyset(&ending);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	sigprocmask(how, &ending, NULL);
}

static int take_huge_pages(void **state)
{
	char text[32] = "";

	(void)state;
	huge_pages_fd = open(huge_pages, O_RDONLY | O_CLOEXEC);
	if (huge_pages_fd < 0)
		return 0; /* there are none to be had */
	if (flock(huge_pages_fd, LOCK_EX) < 0 ||
	    read(huge_pages_fd, text, sizeof(text) - 1) < 0)
		return -1;
	huge_pages_before = atol(text);
	put_off_the_end(SIG_BLOCK);
	return 0;
}

static bool set_huge_pages(long n)
{
	FILE *f = fopen(huge_pages, "w");

	if (!f)
		return false;
	fprintf(f, "%ld\n", n);
	return fclose(f) == 0;
}

static int give_huge_pages_back(void **state)
{
	(void)state;
	if (huge_pages_fd < 0)
		return 0;
	set_huge_pages(huge_pages_before);
	close(huge_pages_fd);
	put_off_the_end(SIG_UNBLOCK);
	return 0;
}

#define with_huge_pages(f) \
	cmocka_unit_test_setup_teardown(f, take_huge_pages, \
					give_huge_pages_back)

static void huge_pages_are_written_page_by_page(void **state)
{
	uint8_t got[2 * PAGE];
	struct guest_memory *m;
	struct error e;
	void *map;
	int fd = -1;

	(void)state;
	if (set_huge_pages(4))
		fd = shared_file(8 * MIB, MFD_HUGETLB | MFD_HUGE_2MB);
	if (fd < 0) {
		print_message("no huge pages: skipped\n");
		skip();
	}
	m = memory_of(fd);
	assert_int_equal(memory_block(m, 0)->page_size_bytes, 2 * MIB);
	assert_true(memory_block(m, 0)->fresh);
	assert_int_equal(memory_zero(m, 0, 0, 8 * MIB, &e), 0);
	assert_int_equal(allocated(fd), 0);
	assert_int_equal(memory_write(m, 0, 2 * MIB - PAGE, page(5), PAGE, &e),
			 0);
	assert_int_equal(allocated(fd), 2 * MIB);
	assert_int_equal(memory_zero(m, 0, 0, 8 * MIB, &e), 0);
	assert_int_equal(allocated(fd), 2 * MIB);
	map = mmap(NULL, 8 * MIB, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(((uint8_t *)map)[2 * MIB - 1], 0);
	assert_int_equal(memory_write(m, 0, 2 * MIB - PAGE, page(5), PAGE, &e),
			 0);
	assert_int_equal(((uint8_t *)map)[2 * MIB - 1], 5);
	assert_int_equal(memory_read(m, 0, 2 * MIB - PAGE, got, sizeof(got),
				     &e),
			 0);
	assert_memory_equal(got, page(5), PAGE);
	assert_memory_equal(got + PAGE, page(0), PAGE);
	munmap(map, 8 * MIB);
	memory_free(m);
	/* Not fresh: all may have been written, and most was not. */
	m = memory_of(fd);
	assert_int_equal(memory_read(m, 0, 6 * MIB, got, PAGE, &e), 0);
	assert_memory_equal(got, page(0), PAGE);
	assert_int_equal(allocated(fd), 2 * MIB);
	memory_free(m);
	close(fd);
}

static void used_up_huge_pages_are_an_error_and_no_signal(void **state)
{
	struct guest_memory *m;
	struct error e;
	int fd = -1;

	(void)state;
	if (set_huge_pages(1))
		fd = shared_file(8 * MIB, MFD_HUGETLB | MFD_HUGE_2MB);
	if (fd < 0) {
		print_message("no huge pages: skipped\n");
		skip();
	}
	m = memory_of(fd);
	assert_int_equal(memory_write(m, 0, 0, page(5), PAGE, &e), 0);
	assert_int_equal(memory_write(m, 0, 4 * MIB, page(5), PAGE, &e),
			 -ENOSPC);
	assert_string_equal(e.text, "write 4.0 KiB of pc.ram at 0x400000: No "
				    "space left on device");
	memory_free(m);
	close(fd);
}

/* Four bytes of the guest's physical memory, as QEMU itself sees them. */
static void assert_qemu_sees(const struct guest *g, uint64_t address,
			     const char *expected)
{
	char command[64];
	struct error e;
	struct qmp *q;
	json_t *o = NULL;

	snprintf(command, sizeof(command), "xp/1xw 0x%llx",
		 (unsigned long long)address);
	if (qmp_open(&q, g->process.qmp_path, clock_us() + 5 * USEC_PER_SEC,
		     &e) < 0 ||
	    qmp_run(q, "human-monitor-command",
		    json_pack("{s:s}", "command-line", command), &o, &e) < 0)
		fail_msg("%s", e.text);
	assert_non_null(strstr(json_string_value(o), expected));
	json_decref(o);
	qmp_close(q);
}

static struct guest_memory *memory_in(const struct guest *g)
{
	struct guest_memory *m;
	struct error e;

	if (memory_of_process(&m, g->process.pid, MEMORY_SHARED, &e) < 0)
		fail_msg("%s", e.text);
	return m;
}

static void a_waiting_qemu_sees_what_was_written(void **state)
{
	struct guest_memory *m;
	struct guest g;
	struct error e;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start(&g, "memory = 64M\narguments = -nodefaults\n", true);
	m = memory_in(&g);
	assert_int_equal(memory_blocks(m), 1);
	assert_int_equal(memory_left_out(m), 0);
	assert_string_equal(memory_block(m, 0)->name, "pc.ram");
	assert_int_equal(memory_block(m, 0)->len_bytes, 64 * MIB);
	assert_int_equal(memory_write(m, 0, 32 * MIB, page(0xa5), PAGE, &e), 0);
	assert_qemu_sees(&g, 32 * MIB, "0xa5a5a5a5");
	assert_int_equal(memory_zero(m, 0, 32 * MIB, PAGE, &e), 0);
	assert_qemu_sees(&g, 32 * MIB, "0x00000000");
	memory_free(m);
	guest_end(&g);
}

/* n0 and n1, of 32 MiB each, stand there in the guest one after the other. */
static void assert_two_nodes(struct guest_memory *m, const struct guest *g,
			     uint64_t address)
{
	struct error e;

	assert_int_equal(memory_blocks(m), 2);
	assert_string_equal(memory_block(m, 0)->name, "n0");
	assert_string_equal(memory_block(m, 1)->name, "n1");
	assert_int_equal(memory_write(m, 1, MIB, page(0x11), PAGE, &e), 0);
	assert_int_equal(memory_write(m, 0, MIB, page(0x22), PAGE, &e), 0);
	assert_qemu_sees(g, address + MIB, "0x22222222");
	assert_qemu_sees(g, address + 33 * MIB, "0x11111111");
}

static void backends_of_equal_size_are_told_apart(void **state)
{
	struct guest_memory *m;
	struct guest g;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start(&g,
		    "memory = 64M\narguments = -nodefaults\n"
		    "  -object memory-backend-memfd,id=n0,size=32M,share=on\n"
		    "  -object '{\"qom-type\":\"memory-backend-memfd\","
		    "\"id\":\"n1\",\"size\":33554432,\"share\":true}'\n"
		    "  -numa node,memdev=n0 -numa node,memdev=n1\n",
		    true);
	m = memory_in(&g);
	assert_two_nodes(m, &g, 0);
	memory_free(m);
	guest_end(&g);
}

/* Private memory has no file, and does not take that of another one. */
static void private_memory_takes_no_others_file(void **state)
{
	struct guest_memory *m;
	struct guest g;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start(&g,
		    "memory = 96M\narguments = -nodefaults\n"
		    "  -object memory-backend-ram,id=r0,size=32M\n"
		    "  -object memory-backend-memfd,id=n0,size=32M,share=on\n"
		    "  -object memory-backend-memfd,id=n1,size=32M,share=on\n"
		    "  -numa node,memdev=r0 -numa node,memdev=n0\n"
		    "  -numa node,memdev=n1\n",
		    true);
	m = memory_in(&g);
	assert_int_equal(memory_left_out(m), 1);
	assert_two_nodes(m, &g, 32 * MIB);
	memory_free(m);
	guest_end(&g);
}

/* What a QEMU looks like in which a descriptor or a hole was free while it
 * made its memory: this program with a QEMU's arguments. */
static const char *const disordered[] = {
	"qemu",
	"-machine",
	"pc,memory-backend=a",
	"-object",
	"memory-backend-memfd,id=a,size=4M",
	"-object",
	"memory-backend-memfd,id=b,size=4M",
	NULL,
};

static void *map_file(int fd, void *at)
{
	return mmap(at, 4 * MIB, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
}

/* The first file lies below the second, until standard input ends. */
static int imitate_disorder(void)
{
	uint8_t *base = mmap(NULL, 16 * MIB, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char c;

	munmap(base, 16 * MIB);
	for (unsigned i = 0; i < 2; i++) {
		int fd = memfd_create("memory-backend-memfd", 0);

		if (ftruncate(fd, 4 * MIB) < 0 ||
		    map_file(fd, base + i * 8 * MIB) == MAP_FAILED)
			return 1;
	}
	if (write(STDOUT_FILENO, "r", 1) < 0)
		return 1;
	return read(STDIN_FILENO, &c, 1) != 0;
}

static void files_that_cannot_be_told_apart_are_left_out(void **state)
{
	struct guest_memory *m;
	struct error e;
	int to[2], from[2], status;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execv("/proc/self/exe", (char **)(uintptr_t)disordered);
		_exit(1);
	}
	assert_int_equal(read(from[0], &c, 1), 1);
	if (memory_of_process(&m, pid, MEMORY_SHARED, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(memory_blocks(m), 0);
	assert_string_equal(memory_reason(m, 0),
			    "a: its file cannot be told from that of another "
			    "backend of its type and size");
	memory_free(m);
	for (unsigned i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_file_backend_is_found_by_its_path(void **state)
{
	struct guest_memory *m;
	struct guest g;
	struct error e;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start_plain(&g,
			  "-S -nodefaults -display none -m 32M -machine "
			  "pc-i440fx-3.1,accel=tcg,memory-backend=main -object "
			  "memory-backend-file,id=main,size=32M,mem-path=ram,"
			  "share=on -qmp unix:qmp.sock,server=on,wait=off");
	m = memory_in(&g);
	assert_int_equal(memory_blocks(m), 1);
	assert_string_equal(memory_block(m, 0)->name, "/objects/main");
	assert_int_equal(memory_write(m, 0, MIB, page(0x33), PAGE, &e), 0);
	assert_qemu_sees(&g, MIB, "0x33333333");
	memory_free(m);
	guest_end(&g);
}

static void private_memory_is_left_out_with_the_reason(void **state)
{
	struct guest_memory *m;
	struct guest g;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start_plain(&g, "-S -nodefaults -display none -m 32M -machine "
			      "pc,accel=tcg,memory-backend=x -object "
			      "memory-backend-ram,id=x,size=32M "
			      "-qmp unix:qmp.sock,server=on,wait=off");
	m = memory_in(&g);
	assert_int_equal(memory_blocks(m), 0);
	assert_int_equal(memory_left_out(m), 1);
	assert_string_equal(memory_reason(m, 0),
			    "x: private memory (share=off)");
	memory_free(m);
	guest_end(&g);

	guest_start_plain(&g, "-S -nodefaults -display none -machine pc,accel="
			      "tcg -qmp unix:qmp.sock,server=on,wait=off");
	m = memory_in(&g);
	assert_int_equal(memory_blocks(m), 0);
	assert_string_equal(memory_reason(m, 0),
			    "pc.ram: private memory (no backend)");
	memory_free(m);
	guest_end(&g);
}

/* What a QEMU that was taken over may say: that a file which it can only read
 * is its memory.  This program again, with a QEMU's arguments. */
static const char *const untrue[] = {
	"qemu-that-lies",
	"-machine",
	"pc,memory-backend=a",
	"-object",
	"memory-backend-file,id=a,size=4M,share=on,mem-path=" LIE,
	NULL,
};

static int lie(void)
{
	int fd = open(LIE, O_RDONLY);
	char c;

	if (fd < 0 || write(STDOUT_FILENO, "r", 1) < 0)
		return 1;
	return read(STDIN_FILENO, &c, 1) != 0;
}

static void a_file_that_the_process_can_only_read_is_not_written(void **state)
{
	int to[2], from[2], status,
		fd = open(LIE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct guest_memory *m;
	struct error e;
	pid_t pid;
	char c;

	(void)state;
	assert_true(fd >= 0 && ftruncate(fd, 4 * MIB) == 0);
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execv("/proc/self/exe", (char **)(uintptr_t)untrue);
		_exit(1);
	}
	assert_int_equal(read(from[0], &c, 1), 1);
	if (memory_of_process(&m, pid, MEMORY_SHARED, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(memory_blocks(m), 0);
	assert_non_null(
		strstr(memory_reason(m, 0), "is no file that it may write to"));
	memory_free(m);
	for (unsigned i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	unlink(LIE);
}

static void a_process_that_is_gone_is_an_error(void **state)
{
	struct guest_memory *m;
	struct error e;

	(void)state;
	assert_int_equal(memory_of_process(&m, 0x3fffffff, MEMORY_SHARED, &e),
			 -ESRCH);
	assert_string_equal(e.text, "there is no process 1073741823");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_there),
		cmocka_unit_test(zeros_do_not_touch_what_was_never_written),
		cmocka_unit_test(
			old_content_is_cleared_by_zeros_but_holes_stay),
		cmocka_unit_test(nothing_is_written_outside_of_a_block),
		cmocka_unit_test(
			reading_gives_what_is_there_and_allocates_nothing),
		cmocka_unit_test(many_threads_write_neighbouring_pages),
		cmocka_unit_test(a_full_memory_is_an_error_and_no_signal),
		with_huge_pages(huge_pages_are_written_page_by_page),
		with_huge_pages(used_up_huge_pages_are_an_error_and_no_signal),
		cmocka_unit_test(a_waiting_qemu_sees_what_was_written),
		cmocka_unit_test(backends_of_equal_size_are_told_apart),
		cmocka_unit_test(private_memory_takes_no_others_file),
		cmocka_unit_test(files_that_cannot_be_told_apart_are_left_out),
		cmocka_unit_test(a_file_backend_is_found_by_its_path),
		cmocka_unit_test(private_memory_is_left_out_with_the_reason),
		cmocka_unit_test(
			a_file_that_the_process_can_only_read_is_not_written),
		cmocka_unit_test(a_process_that_is_gone_is_an_error),
	};

	if (argc > 1 && !strcmp(argv[0], disordered[0]))
		return imitate_disorder();
	if (argc > 1 && !strcmp(argv[0], untrue[0]))
		return lie();
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
