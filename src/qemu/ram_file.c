/* SPDX-License-Identifier: MIT */
#include "qemu/ram_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/definition.h"
#include "qemu/huge.h"

#define FOLDER "memory"

enum { HUGE_BYTES = 2 << 20, SIZE_CAP = 32 };

/* --- pages that are set aside */

/* Of "free_hugepages", say; 0 where there are none of that size. */
static uint64_t pages_of(uint64_t page_bytes, const char *which)
{
	char path[128], text[32] = "";
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
		 page_bytes / 1024, which);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	return strtoull(text, NULL, 10);
}

static int check_transparent(const struct definition *d, struct error *e)
{
	if (!huge_are_off())
		return 0;
	return error_set(e, EOPNOTSUPP,
			 "machine %s asks for transparent huge pages "
			 "(huge-pages = thp), which are switched off here: "
			 "write madvise into " HUGE_SWITCH,
			 d->name);
}

int ram_file_check_pages(const struct definition *d, struct error *e)
{
	uint64_t page = d->huge_page_bytes, need, have, reserved;
	char size[SIZE_CAP];

	if (d->huge_pages == HUGE_PAGES_THP)
		return check_transparent(d, e);
	if (page == 0)
		return 0;
	need = d->memory_bytes / page;
	have = pages_of(page, "free_hugepages");
	reserved = pages_of(page, "resv_hugepages");
	have = have > reserved ? have - reserved : 0;
	if (have >= need)
		return 0;
	text_bytes(size, sizeof(size), page);
	return error_set(e, ENOMEM,
			 "machine %s needs %" PRIu64 " huge pages of %s and "
			 "%" PRIu64 " are free: %" PRIu64 " are missing; write "
			 "%" PRIu64 " into /sys/kernel/mm/hugepages/"
			 "hugepages-%" PRIu64 "kB/nr_hugepages",
			 d->name, need, size, have, need - have,
			 pages_of(page, "nr_hugepages") + need - have,
			 page / 1024);
}

static int make_reserved(const struct definition *d, struct error *e)
{
	unsigned log = (unsigned)__builtin_ctzll(d->huge_page_bytes);
	int fd;

	if (ram_file_check_pages(d, e) < 0)
		return error_code(e);
	fd = memfd_create("drover",
			  MFD_CLOEXEC | MFD_HUGETLB | log << MFD_HUGE_SHIFT);
	return fd < 0 ? error_sys(e, "a file of huge pages") : fd;
}

/* --- a tmpfs */

/* The unit's, -ENOENT where it is not mounted. */
static int open_mounted(const char *run_directory, struct error *e)
{
	char path[PATH_MAX];
	AUTO_CLOSE int fd = -1;
	struct stat st, above;
	struct statfs fs;

	if (!run_directory)
		return error_set(e, ENOENT, "there is no service");
	snprintf(path, sizeof(path), "%s/" FOLDER, run_directory);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 ||
	    stat(run_directory, &above) < 0 || st.st_dev == above.st_dev ||
	    fs.f_type != TMPFS_MAGIC)
		return error_set(e, ENOENT, "no tmpfs is mounted at %s", path);
	return take_fd(&fd);
}

/* One that is in no tree of mounts. */
static int make_tmpfs(uint64_t bytes, struct error *e)
{
	AUTO_CLOSE int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	char size[SIZE_CAP];
	int fd;

	bytes = (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
	snprintf(size, sizeof(size), "%" PRIu64, bytes);
	if (fs < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "huge", "within_size", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_sys(e, "a tmpfs for memory");
	fd = fsmount(fs, FSMOUNT_CLOEXEC,
		     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return fd < 0 ? error_sys(e, "a tmpfs for memory") : fd;
}

/* Without either the file has no huge pages, and is one all the same. */
static int make_file(const char *run_directory, const struct definition *d,
		     struct error *e)
{
	AUTO_CLOSE int folder = open_mounted(run_directory, e);
	int fd;

	if (folder < 0)
		folder = make_tmpfs(d->memory_bytes, e);
	if (folder >= 0) {
		fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		return fd < 0 ? error_sys(e, "a file for memory") : fd;
	}
	if (d->huge_pages == HUGE_PAGES_THP)
		return error_in(e, "huge-pages is thp: start the unit "
				   "run-drover-memory.mount");
	log_warning("machine %s: its memory has no huge pages: %s: start the "
		    "unit run-drover-memory.mount",
		    d->name, e->text);
	fd = memfd_create("drover", MFD_CLOEXEC);
	return fd < 0 ? error_sys(e, "a file for memory") : fd;
}

int ram_file_make(const char *run_directory, const struct definition *d,
		  uid_t owner, struct error *e)
{
	AUTO_CLOSE int fd = d->huge_page_bytes ? make_reserved(d, e)
					       : make_file(run_directory, d, e);

	if (fd < 0)
		return error_code(e);
	if (ftruncate(fd, (off_t)d->memory_bytes) < 0)
		return error_sys(e, "a file of %" PRIu64 " bytes for memory",
				 d->memory_bytes);
	if (fchown(fd, owner, (gid_t)-1) < 0 || fchmod(fd, 0600) < 0)
		return error_sys(e, "give a file to user %u", (unsigned)owner);
	return take_fd(&fd);
}
