/* SPDX-License-Identifier: MIT */
#include "move/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "move/content.h"
#include "move/move.h"
#include "move/volume.h"
#include "qemu/definition.h"
#include "qemu/options.h"
#include "qemu/qmp.h"

enum {
	/* That one machine may have. */
	DISKS_MAX = 1024,
	/* Larger ones are told by their marks only: reading takes minutes. */
	SUM_GIB_MAX = 16,
};

/* Behind everything that QEMU and file systems put locks on. */
#define LOCK_FIRST ((int64_t)1 << 40)

/* --- what follows from what is known */

enum disk_outcome disk_judge(const struct disk_facts *f)
{
	enum disk_outcome unproved =
		f->said_shared ? DISK_TRUSTED : DISK_UNKNOWN;

	if (f->network || f->lock_seen)
		return DISK_SHARED;
	if (f->absent)
		return DISK_MISSING;
	if (f->hidden)
		return unproved;
	if (f->has_ids && (!f->same_id || !f->same_size))
		return DISK_OTHER;
	if (f->has_ids)
		return f->unique_id ? DISK_SHARED : unproved;
	if (f->mark_seen && f->same_inode)
		return DISK_SHARED;
	if (f->read_only && f->has_sums && f->same_sum)
		return DISK_EQUAL;
	if (f->read_only && f->firmware && f->same_size)
		return DISK_FLASH;
	/* What is written to may have grown since the source looked. */
	if ((!f->same_size && (f->read_only || !f->said_shared)) ||
	    (f->marked && !f->mark_seen) || (f->read_only && f->has_sums))
		return DISK_OTHER;
	return unproved;
}

/* --- one image */

static bool read_id(struct volume_id *ret, const struct stat *st)
{
	return S_ISBLK(st->st_mode) &&
	       volume_read_id(ret, "/sys/dev/block", st->st_rdev);
}

/* -1: not known. */
static int64_t size_of(const char *path, const struct stat *st)
{
	AUTO_CLOSE int fd = -1;
	uint64_t bytes;

	if (!S_ISBLK(st->st_mode))
		return st->st_size;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && ioctl(fd, BLKGETSIZE64, &bytes) == 0 ? (int64_t)bytes
							       : -1;
}

static void add_sum(json_t *disk, const char *path)
{
	char sum[CONTENT_SUM_SIZE];
	struct error ignored;

	if (content_sum(sum, path, (uint64_t)SUM_GIB_MAX << 30, &ignored) == 0)
		json_object_set_new(disk, "sum", json_string(sum));
}

/* --- marks */

struct disk_marks {
	struct mark {
		int fd;       /* holds the lock */
		char *beside; /* the file; NULL where none could be made */
	} * at;
	size_t count;
};

static uint64_t random_number(void)
{
	uint64_t r = 0;

	while (getrandom(&r, sizeof(r), 0) < 0)
		;
	return r;
}

static bool put_lock(int fd, int64_t at)
{
	struct flock lock = { .l_type = F_RDLCK,
			      .l_whence = SEEK_SET,
			      .l_start = at,
			      .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static bool sees_lock(const char *path, int64_t at)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = at,
			      .l_len = 1 };

	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 &&
	       lock.l_type == F_RDLCK && lock.l_start == at && lock.l_len == 1;
}

static char *beside(const char *path, const char *name)
{
	AUTO_FREE char *real = realpath(path, NULL);
	char *slash = real ? strrchr(real, '/') : NULL, *r = NULL;

	if (!slash)
		return NULL;
	*slash = '\0';
	return asprintf(&r, "%s/%s", real, name) < 0 ? NULL : r;
}

/* A file system that is full still takes an empty file. */
static char *put_file(const char *path, const char *name)
{
	char *file = beside(path, name);
	int fd =
		file ? open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444)
		     : -1;

	if (fd >= 0) {
		close(fd);
		return file;
	}
	free(file);
	return NULL;
}

static struct mark *mark_new(struct disk_marks *m)
{
	struct mark *more = reallocarray(m->at, m->count + 1, sizeof(m->at[0]));

	if (!more)
		return NULL;
	m->at = more;
	more += m->count++;
	*more = (struct mark){ .fd = -1 };
	return more;
}

static void put_marks(struct disk_marks *marks, json_t *disk, const char *path,
		      bool file)
{
	struct mark *m = mark_new(marks);
	int64_t at = LOCK_FIRST + (int64_t)(random_number() >> 32);
	char name[64];

	if (!m)
		return;
	m->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (m->fd >= 0 && put_lock(m->fd, at))
		json_object_set_new(disk, "lock", json_integer(at));
	if (!file)
		return;
	snprintf(name, sizeof(name), ".drover-%016" PRIx64, random_number());
	m->beside = put_file(path, name);
	if (m->beside)
		json_object_set_new(disk, "mark", json_string(name));
}

void disks_unmark(struct disk_marks *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++) {
		if (m->at[i].fd >= 0)
			close(m->at[i].fd);
		if (m->at[i].beside)
			unlink(m->at[i].beside);
		free(m->at[i].beside);
	}
	free(m->at);
	free(m);
}

/* --- the source: which are there? */

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

/* QEMU shows what a path does not say as "json:{...}". */
static char *path_of(const json_t *node, const char *directory)
{
	const char *file = json_string_value(json_object_get(node, "file"));
	json_t *o = NULL;
	char *path = NULL;

	if (file && !strncmp(file, "json:", 5)) {
		o = json_loads(file + 5, 0, NULL);
		file = json_string_value(json_object_get(o, "filename"));
	}
	if (file && !strncmp(file, "file:", 5))
		file += 5;
	if (file && file[0] == '/')
		path = strdup(file);
	else if (file && asprintf(&path, "%s/%s", directory, file) < 0)
		path = NULL;
	json_decref(o);
	return path;
}

static bool has_text(const json_t *o, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(o, key));

	return value && !strcmp(value, text);
}

/* Does it name @path, or QEMU's node for it, as what flash memory begins with:
 * "-drive if=pflash,file=", "-machine pflash0="? */
static bool fills_flash(const char *option, const char *path, const char *node)
{
	json_t *p;
	bool r;

	if (!option || !strstr(option, "pflash"))
		return false;
	p = option_properties(option, NULL);
	r = (has_text(p, "if", "pflash") && has_text(p, "file", path)) ||
	    has_text(p, "pflash0", node) || has_text(p, "pflash1", node);
	json_decref(p);
	return r;
}

/* Flash memory is a block of RAM; its file only fills it at the start.  A file
 * may have several nodes, one on the other. */
static bool is_firmware(const struct definition *d, const json_t *nodes,
			const json_t *file, const char *path)
{
	const struct words *w = &d->arguments;
	const json_t *node;
	size_t i;

	json_array_foreach (nodes, i, node) {
		const char *name =
			json_string_value(json_object_get(node, "node-name"));
		struct option o;

		if (!name || !json_equal(file, json_object_get(node, "file")))
			continue;
		if (fills_flash(d->machine, path, name))
			return true;
		for (size_t at = 0; at < w->count; at += o.words) {
			o = option_at(w->at, w->count, at);
			if (fills_flash(o.value, path, name))
				return true;
		}
	}
	return false;
}

static json_t *find(const json_t *disks, const char *path)
{
	json_t *disk;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)disks, i, disk) {
		const char *p =
			json_string_value(json_object_get(disk, "path"));

		if (p && !strcmp(p, path))
			return disk;
	}
	return NULL;
}

bool disks_have(const json_t *disks, const char *path)
{
	return find(disks, path) != NULL;
}

/* What nobody can compare: QEMU opens it by a file descriptor, or by itself. */
static void add_own(json_t *all, const json_t *node)
{
	const char *file = json_string_value(json_object_get(node, "file"));

	if (file && file[0] && !find(all, file))
		json_array_append_new(all, json_pack("{s:s,s:b}", "path", file,
						     "near", true));
}

/* Somebody has it open already. */
static void add_again(json_t *disk, bool read_only)
{
	if (read_only)
		return;
	json_object_set_new(disk, "read_only", json_false());
	json_object_del(disk, "sum");
	json_object_del(disk, "firmware");
}

static void add_local(json_t *all, const struct definition *d,
		      const json_t *nodes, const json_t *node, json_t *blockers,
		      struct disk_marks *marks)
{
	AUTO_FREE char *path = path_of(node, d->directory);
	bool ro = json_is_true(json_object_get(node, "ro"));
	struct volume_id id;
	struct stat st;
	json_t *disk;
	char text[200];

	if (!path) {
		add_own(all, node);
		return;
	}
	disk = find(all, path);
	if (disk) {
		add_again(disk, ro);
		return;
	}
	if (stat(path, &st) < 0 && errno == ENOENT && !ro) {
		snprintf(text, sizeof(text),
			 "what it writes goes into a temporary file (%.100s), "
			 "as with snapshot=on, and would be lost",
			 path);
		json_array_append_new(blockers, json_string(text));
		return;
	}
	disk = json_pack("{s:s,s:b}", "path", path, "read_only", ro);
	json_array_append_new(all, disk);
	if (stat(path, &st) < 0)
		return;
	json_object_set_new(disk, "size", json_integer(size_of(path, &st)));
	json_object_set_new(disk, "inode", json_integer((json_int_t)st.st_ino));
	put_marks(marks, disk, path, S_ISREG(st.st_mode));
	if (read_id(&id, &st))
		json_object_set_new(disk, "id", json_string(id.text));
	if (ro && is_firmware(d, nodes, json_object_get(node, "file"), path))
		json_object_set_new(disk, "firmware", json_true());
	else if (ro && S_ISREG(st.st_mode))
		add_sum(disk, path);
}

/* "nbd://host:10809/disk": means the same everywhere, but where it names this
 * host or a socket on it. */
static void add_network(json_t *all, const json_t *node)
{
	static const char *const near[] = { "unix:",     "+unix", "localhost",
					    "127.0.0.1", "[::1]", "socket" };
	const char *url = json_string_value(json_object_get(node, "file"));
	bool everywhere = true;

	if (!url || find(all, url))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(near); i++)
		everywhere &= !strstr(url, near[i]);
	json_array_append_new(all,
			      json_pack("{s:s,s:b}", "path", url,
					everywhere ? "network" : "near", 1));
}

static void add_node(json_t *all, const struct definition *d,
		     const json_t *nodes, const json_t *node, json_t *blockers,
		     struct disk_marks *marks)
{
	static const char *const local[] = { "file", "host_device",
					     "host_cdrom" };
	static const char *const network[] = { "nbd",  "rbd",    "iscsi", "nfs",
					       "ssh",  "http",   "https", "ftp",
					       "ftps", "gluster" };
	static const char *const own[] = { "vvfat",
					   "nvme",
					   "nvme-io_uring",
					   "virtio-blk-vfio-pci",
					   "virtio-blk-vhost-user",
					   "virtio-blk-vhost-vdpa",
					   "io_uring" };
	const char *driver = json_string_value(json_object_get(node, "drv"));
	const char *file = json_string_value(json_object_get(node, "file"));

	if (!driver)
		return;
	if (is_one_of(driver, own, ARRAY_SIZE(own)) ||
	    (file && !strncmp(file, "/dev/fdset/", 11)))
		add_own(all, node);
	else if (is_one_of(driver, local, ARRAY_SIZE(local)))
		add_local(all, d, nodes, node, blockers, marks);
	else if (is_one_of(driver, network, ARRAY_SIZE(network)))
		add_network(all, node);
}

/* QEMU's own words for it, where somebody wrote them. */
static void look_for_snapshot(const struct definition *d, json_t *blockers)
{
	const struct words *w = &d->arguments;
	struct option o;

	for (size_t at = 0; at < w->count; at += o.words) {
		json_t *p = NULL;

		o = option_at(w->at, w->count, at);
		if (o.value && !strcmp(o.name, "drive"))
			p = option_properties(o.value, NULL);
		if (!strcmp(o.name, "snapshot") ||
		    option_is_on(p, "snapshot", false))
			json_array_append_new(
				blockers,
				json_string("it was started with snapshot=on: "
					    "what it writes to that disk would "
					    "be lost"));
		json_decref(p);
	}
}

int disks_describe(struct qmp *q, const struct definition *d, json_t **ret,
		   json_t *blockers, struct disk_marks **ret_marks,
		   struct error *e)
{
	struct disk_marks *marks = calloc(1, sizeof(*marks));
	json_t *nodes, *node, *all = json_array();
	size_t i;

	if (!marks || qmp_run(q, "query-named-block-nodes",
			      json_pack("{s:b}", "flat", 1), &nodes, e) < 0) {
		json_decref(all);
		free(marks);
		return marks ? error_code(e)
			     : error_set(e, ENOMEM, "no memory");
	}
	i = json_array_size(blockers);
	look_for_snapshot(d, blockers);
	if (i == json_array_size(blockers))
		json_array_foreach (nodes, i, node)
			add_node(all, d, nodes, node, blockers, marks);
	json_decref(nodes);
	*ret_marks = marks;
	*ret = all;
	return 0;
}

/* --- the destination: are they the same? */

static bool says_shared(const struct definition *d, const char *path)
{
	for (size_t i = 0; i < d->shared.count; i++)
		if (!strcmp(d->shared.at[i], path))
			return true;
	return false;
}

static void look_beside(struct disk_facts *f, const json_t *disk,
			const char *path)
{
	const char *name = json_string_value(json_object_get(disk, "mark"));
	AUTO_FREE char *file = NULL;

	if (!name || strncmp(name, ".drover-", 8) != 0 || strchr(name, '/'))
		return;
	file = beside(path, name);
	f->mark_seen = file && access(file, F_OK) == 0;
	f->marked = f->mark_seen || !file || errno == ENOENT;
}

static void look_at_content(struct disk_facts *f, const json_t *disk,
			    const char *path)
{
	const char *theirs = json_string_value(json_object_get(disk, "sum"));
	char ours[CONTENT_SUM_SIZE];
	struct error ignored;

	f->has_sums = f->read_only && f->same_size && theirs &&
		      content_sum(ours, path, (uint64_t)SUM_GIB_MAX << 30,
				  &ignored) == 0;
	f->same_sum = f->has_sums && !strcmp(ours, theirs);
}

static void look_at_file(struct disk_facts *f, const json_t *disk,
			 const char *path)
{
	const char *theirs = json_string_value(json_object_get(disk, "id"));
	const json_t *lock = json_object_get(disk, "lock");
	int64_t size;
	struct volume_id ours;
	struct stat st;

	if (stat(path, &st) < 0) {
		f->absent = errno == ENOENT || errno == ENOTDIR;
		f->hidden = !f->absent;
		return;
	}
	/* To open anything else may have effects. */
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		f->hidden = true;
		return;
	}
	f->lock_seen = json_is_integer(lock) &&
		       sees_lock(path, json_integer_value(lock));
	size = size_of(path, &st);
	f->same_size =
		size >= 0 &&
		size == json_integer_value(json_object_get(disk, "size"));
	f->same_inode = (json_int_t)st.st_ino ==
			json_integer_value(json_object_get(disk, "inode"));
	f->has_ids = theirs && read_id(&ours, &st);
	f->same_id = f->has_ids && !strcmp(ours.text, theirs);
	f->unique_id = f->same_id && ours.unique;
	if (f->lock_seen)
		return;
	look_beside(f, disk, path);
	if (!f->mark_seen || !f->same_inode)
		look_at_content(f, disk, path);
}

static struct disk_facts look(const json_t *disk, const struct definition *d,
			      const char *path)
{
	struct disk_facts f = {
		.network = json_is_true(json_object_get(disk, "network")),
		.hidden = json_is_true(json_object_get(disk, "near")),
		.read_only = json_is_true(json_object_get(disk, "read_only")),
		.firmware = json_is_true(json_object_get(disk, "firmware")),
		.said_shared = says_shared(d, path),
	};

	if (!f.network && !f.hidden)
		look_at_file(&f, disk, path);
	return f;
}

static void say(json_t *findings, enum disk_outcome outcome, const char *path,
		const char *own_name)
{
	static const char *const words[] = {
		[DISK_SHARED] = "is the disk that the guest has: shared",
		[DISK_EQUAL] = "is only read, and has the same content",
		[DISK_FLASH] = "is of the same size, and only read at a start",
		[DISK_TRUSTED] = "is shared, says the definition; that could "
				 "not be looked at",
		[DISK_MISSING] = "is not there: put it on storage that both "
				 "hosts share, under the same path",
		[DISK_OTHER] = "is another disk, not the one that the guest "
			       "has: put it on storage that both hosts share, "
			       "under the same path",
		[DISK_UNKNOWN] = "may be the disk that the guest has or "
				 "another one, which cannot be told: if both "
				 "hosts share it, add 'shared = PATH' to the "
				 "definition, which 'drover vm define' takes "
				 "while the machine runs, too",
	};

	compare_finding(findings, outcome <= DISK_TRUSTED ? "ok" : "error",
			"%.500s on %s %s", path, own_name, words[outcome]);
}

void disks_check(const json_t *disks, const struct definition *d,
		 const char *own_name, json_t *findings)
{
	json_t *disk;
	size_t i;

	if (json_array_size(disks) > DISKS_MAX) {
		compare_finding(findings, "error",
				"the machine has %zu images open; %s checks at "
				"most %d",
				json_array_size(disks), own_name, DISKS_MAX);
		return;
	}
	json_array_foreach ((json_t *)(uintptr_t)disks, i, disk) {
		const char *path =
			json_string_value(json_object_get(disk, "path"));
		struct disk_facts f;

		if (!path)
			continue;
		f = look(disk, d, path);
		say(findings, disk_judge(&f), path, own_name);
	}
}
