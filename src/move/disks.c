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
#include "move/defined.h"
#include "move/move.h"
#include "move/volume.h"
#include "qemu/definition.h"
#include "qemu/files.h"
#include "qemu/image.h"
#include "qemu/nodes.h"
#include "qemu/options.h"
#include "qemu/process.h"
#include "wire/description.h"

enum {
	/* That one machine may have. */
	DISKS_MAX = 1024,
	/* Larger ones are told by their marks only: reading takes minutes. */
	SUM_GIB_MAX = 16,
	MARK_CAP = 32,
};

/* Behind everything that QEMU and file systems put locks on. */
#define LOCK_FIRST ((int64_t)1 << 40)

/* --- what follows from what is known */

enum disk_outcome disk_judge(const struct disk_facts *f)
{
	enum disk_outcome unproved =
		f->said_shared ? DISK_TRUSTED : DISK_UNKNOWN;

	if (f->copied)
		return DISK_COPIED;
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
static int64_t size_of(const struct image *i)
{
	AUTO_CLOSE int fd = -1;
	uint64_t bytes;

	if (!S_ISBLK(i->st.st_mode))
		return i->st.st_size;
	fd = image_read(i);
	return fd >= 0 && ioctl(fd, BLKGETSIZE64, &bytes) == 0 ? (int64_t)bytes
							       : -1;
}

static void add_sum(struct disk_description *disk, const struct image *i)
{
	char sum[CONTENT_SUM_SIZE];
	struct error ignored;

	if (content_sum(sum, i->by_fd, (uint64_t)SUM_GIB_MAX << 30, &ignored) ==
	    0)
		snprintf(disk->sum, sizeof(disk->sum), "%s", sum);
}

/* --- marks */

struct disk_marks {
	struct mark {
		int fd;     /* holds the lock */
		int folder; /* of the file; -1 where none could be made */
		char beside[MARK_CAP];
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

static bool sees_lock(const struct image *i, int64_t at)
{
	AUTO_CLOSE int fd = image_read(i);
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = at,
			      .l_len = 1 };

	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 &&
	       lock.l_type == F_RDLCK && lock.l_start == at && lock.l_len == 1;
}

/* A file system that is full still takes an empty file. */
static int put_file(const struct image *i, const char *name)
{
	AUTO_CLOSE int folder = image_folder(i);
	int fd = folder < 0 ? -1
			    : openat(folder, name,
				     O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				     0444);

	if (fd < 0)
		return -1;
	close(fd);
	return take_fd(&folder);
}

static struct mark *mark_new(struct disk_marks *m)
{
	struct mark *more = reallocarray(m->at, m->count + 1, sizeof(m->at[0]));

	if (!more)
		return NULL;
	m->at = more;
	more += m->count++;
	*more = (struct mark){ .fd = -1, .folder = -1 };
	return more;
}

static void put_marks(struct disk_marks *marks, struct disk_description *disk,
		      const struct image *i)
{
	struct mark *m = mark_new(marks);
	int64_t at = LOCK_FIRST + (int64_t)(random_number() >> 32);

	if (!m)
		return;
	m->fd = image_read(i);
	if (m->fd >= 0 && put_lock(m->fd, at))
		disk->lock = at;
	disk->has_lock = disk->lock != 0;
	if (!S_ISREG(i->st.st_mode))
		return;
	snprintf(m->beside, sizeof(m->beside), ".drover-%016" PRIx64,
		 random_number());
	m->folder = put_file(i, m->beside);
	if (m->folder >= 0)
		snprintf(disk->mark, sizeof(disk->mark), "%s", m->beside);
}

void disks_unmark(struct disk_marks *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++) {
		if (m->at[i].fd >= 0)
			close(m->at[i].fd);
		if (m->at[i].folder < 0)
			continue;
		unlinkat(m->at[i].folder, m->at[i].beside, 0);
		close(m->at[i].folder);
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

/* On the heap; NULL: it has none. */
static char *path_of(const struct block_node *node, const char *directory)
{
	char *path = NULL;

	if (!node->path || node->path[0] == '/')
		return node->path ? strdup(node->path) : NULL;
	return asprintf(&path, "%s/%s", directory, node->path) < 0 ? NULL
								   : path;
}

static bool says(const char *option, const char *key, const char *text)
{
	char buf[PATH_MAX];
	const char *value =
		option_property(option, NULL, key, buf, sizeof(buf));

	return value && !strcmp(value, text);
}

/* Does it name @path, or QEMU's node for it, as what flash memory begins with:
 * "-drive if=pflash,file=", "-machine pflash0="? */
static bool fills_flash(const char *option, const char *path, const char *node)
{
	if (!option || !strstr(option, "pflash"))
		return false;
	return (says(option, "if", "pflash") && says(option, "file", path)) ||
	       says(option, "pflash0", node) || says(option, "pflash1", node);
}

/* Flash memory is a block of RAM; its file only fills it at the start.  A file
 * may have several nodes, one on the other. */
static bool is_firmware(const struct definition *d,
			const struct block_nodes *nodes, const char *file,
			const char *path)
{
	const struct words *w = &d->arguments;

	for (size_t i = 0; i < nodes->count; i++) {
		const struct block_node *node = &nodes->at[i];
		struct option o;

		if (!node->name || !node->file || strcmp(file, node->file) != 0)
			continue;
		if (fills_flash(d->machine, path, node->name))
			return true;
		for (size_t at = 0; at < w->count; at += o.words) {
			o = option_at(w->at, w->count, at);
			if (fills_flash(o.value, path, node->name))
				return true;
		}
	}
	return false;
}

static struct disk_description *find(const struct machine_description *m,
				     const char *path)
{
	for (size_t i = 0; i < m->n_disks; i++)
		if (!strcmp(m->disks[i].path, path))
			return &m->disks[i];
	return NULL;
}

bool disks_have(const struct machine_description *m, const char *path)
{
	return find(m, path) != NULL;
}

/* Where the nodes of a QEMU are read into. */
struct listing {
	const struct definition *definition;
	const struct block_nodes *nodes;
	/* Who QEMU is: as another user it may say anything. */
	struct image_claim claim;
	pid_t pid;
	bool adopted; /* somebody else has started it */
	const struct named_files *named;
	struct machine_description *to;
	struct disk_marks *marks;
	struct error *error;
	bool stays; /* on this host: a mark tells all */
};

/* One that is not there yet; NULL: no memory. */
static struct disk_description *add(struct listing *l, const char *path)
{
	struct machine_description *m = l->to;
	struct disk_description *more =
		reallocarray(m->disks, m->n_disks + 1, sizeof(*more));
	char *copy = strdup(path);

	if (more)
		m->disks = more;
	if (!more || !copy) {
		free(copy);
		error_set(l->error, ENOMEM, "no memory for a list of disks");
		return NULL;
	}
	more += m->n_disks++;
	*more = (struct disk_description){ .path = copy };
	return more;
}

/* What nobody can compare: QEMU opens it by a file descriptor, or by itself; or
 * it alone says that it has it. */
static int add_own(struct listing *l, const char *file)
{
	struct disk_description *disk;

	if (!file || !file[0] || find(l->to, file))
		return 0;
	disk = add(l, file);
	if (!disk)
		return error_code(l->error);
	disk->near = true;
	return 0;
}

/* Somebody has it open already. */
static int add_again(struct disk_description *disk, bool read_only)
{
	if (read_only)
		return 0;
	disk->read_only = disk->firmware = false;
	disk->sum[0] = '\0';
	return 0;
}

static int look_at(struct listing *l, struct disk_description *disk,
		   const struct block_node *node, const struct image *i)
{
	struct volume_id id;

	disk->size = size_of(i);
	disk->inode = (int64_t)i->st.st_ino;
	disk->has_size = disk->has_inode = true;
	put_marks(l->marks, disk, i);
	if (read_id(&id, &i->st)) {
		disk->id = strdup(id.text);
		if (!disk->id)
			return error_set(l->error, ENOMEM, "no memory");
	}
	if (disk->read_only &&
	    is_firmware(l->definition, l->nodes, node->file, disk->path))
		disk->firmware = true;
	else if (disk->read_only && S_ISREG(i->st.st_mode) && !l->stays)
		add_sum(disk, i);
	return 0;
}

static bool is_among(const struct words *w, const struct stat *st)
{
	struct stat one;

	for (size_t i = 0; i < w->count; i++)
		if (stat(w->at[i], &one) == 0 && one.st_dev == st->st_dev &&
		    one.st_ino == st->st_ino)
			return true;
	return false;
}

static bool believe(const struct listing *l, const struct image *i,
		    bool read_only)
{
	/* The header of an image that it writes is its own word. */
	bool below = is_among(&l->named->below, &i->st);
	struct image_claim c = l->claim;

	c.named = !below && (is_among(&l->named->writes, &i->st) ||
			     is_among(&l->named->reads, &i->st));
	c.opened = (l->adopted || below) &&
		   process_has_open(l->pid, &i->st, !read_only);
	return image_believe(&c, &i->st);
}

/* One that is not there: "snapshot=on" makes such files. */
static int add_missing(struct listing *l, const struct block_node *node,
		       const char *path)
{
	if (node->read_only)
		return add_own(l, path);
	return words_addf(&l->to->blockers, l->error,
			  "what it writes goes into a temporary file (%.100s), "
			  "as with snapshot=on, and would be lost",
			  path);
}

static int add_local(struct listing *l, const struct block_node *node)
{
	AUTO_FREE char *path = path_of(node, l->definition->directory);
	SCOPED(image_close) struct image i = { .fd = -1 };
	bool ro = node->read_only;
	struct disk_description *disk = path ? find(l->to, path) : NULL;
	int r = path ? image_open(&i, path) : -ENOENT;

	if (path && r == -ENOENT)
		return add_missing(l, node, path);
	if (r < 0 || !believe(l, &i, ro))
		return add_own(l, path ? path : node->file);
	if (disk)
		return add_again(disk, ro);
	disk = add(l, path);
	if (!disk)
		return error_code(l->error);
	disk->read_only = ro;
	return look_at(l, disk, node, &i);
}

/* "nbd://host:10809/disk": means the same everywhere, but where it names this
 * host or a socket on it. */
static int add_network(struct listing *l, const struct block_node *node)
{
	static const char *const near[] = { "unix:",     "+unix", "localhost",
					    "127.0.0.1", "[::1]", "socket" };
	const char *url = node->file;
	struct disk_description *disk;

	if (!url || find(l->to, url))
		return 0;
	disk = add(l, url);
	if (!disk)
		return error_code(l->error);
	for (size_t i = 0; i < ARRAY_SIZE(near); i++)
		disk->near |= strstr(url, near[i]) != NULL;
	disk->network = !disk->near;
	return 0;
}

static int add_node(struct listing *l, const struct block_node *node)
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
	const char *driver = node->driver, *file = node->file;

	if (!driver)
		return 0;
	if (is_one_of(driver, own, ARRAY_SIZE(own)) ||
	    (file && !strncmp(file, "/dev/fdset/", 11)))
		return add_own(l, file);
	if (is_one_of(driver, local, ARRAY_SIZE(local)))
		return add_local(l, node);
	if (is_one_of(driver, network, ARRAY_SIZE(network)))
		return add_network(l, node);
	return 0;
}

/* QEMU's own words for it, where somebody wrote them. */
static int look_for_snapshot(const struct definition *d, struct words *blockers,
			     struct error *e)
{
	const struct words *w = &d->arguments;
	struct option o;
	bool is = false;

	for (size_t at = 0; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		is |= !strcmp(o.name, "snapshot") ||
		      (o.value && !strcmp(o.name, "drive") &&
		       option_property_is_on(o.value, NULL, "snapshot", false));
	}
	if (!is)
		return 0;
	if (words_add(blockers,
		      "it was started with snapshot=on: what it writes to that "
		      "disk would be lost",
		      e) < 0)
		return error_code(e);
	return 1;
}

static int list_nodes(struct listing *l)
{
	int r = look_for_snapshot(l->definition, &l->to->blockers, l->error);

	l->to->has_disks = true;
	if (r != 0)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < l->nodes->count; i++)
		if (add_node(l, &l->nodes->at[i]) < 0)
			return error_code(l->error);
	return 0;
}

/* A machine whose folder belongs to its QEMU was started by us from its
 * definition, and may open what that names.  Another user's was adopted: it
 * may change where the paths of its folders lead. */
static int find_claim(struct listing *l, struct named_files *ret,
		      const struct move_machine *m)
{
	pid_t pid = m->process.pid;
	struct stat st;

	l->named = ret;
	l->pid = pid;
	if (process_user(&l->claim.user, pid, l->error) < 0)
		return error_code(l->error);
	l->claim.is_us = l->claim.user == geteuid();
	if (l->claim.is_us)
		return 0;
	if (lstat(m->run_dir, &st) < 0 || st.st_uid != l->claim.user) {
		l->adopted = true;
		return 0;
	}
	return files_named(ret, l->definition, m->run_dir, l->error);
}

/* What an adopted QEMU's words name is not looked into. */
static int check_defined(const struct listing *l, const struct move_machine *m)
{
	SCOPED(files_done) struct named_files named = { .writes = { 0 } };
	const struct definition *d = l->definition;

	if (l->adopted || l->to->blockers.count > 0)
		return 0;
	if (files_named(&named, d, m->run_dir, l->error) < 0)
		return error_code(l->error);
	return defined_check(l->nodes, &named, d->directory, m->run_dir,
			     &l->to->blockers, l->error);
}

int disks_describe(struct qmp *q, const struct definition *d,
		   const struct move_machine *m, struct machine_description *to,
		   struct disk_marks **ret_marks, struct error *e)
{
	SCOPED(files_done) struct named_files named = { .writes = { 0 } };
	SCOPED(nodes_done) struct block_nodes nodes = { .count = 0 };
	struct disk_marks *marks = calloc(1, sizeof(*marks));
	struct listing l = { .definition = d,
			     .nodes = &nodes,
			     .to = to,
			     .marks = marks,
			     .error = e,
			     .stays = m->stays };

	if (!marks)
		return error_set(e, ENOMEM, "no memory");
	if (nodes_list(q, &nodes, e) < 0 || find_claim(&l, &named, m) < 0 ||
	    list_nodes(&l) < 0 || check_defined(&l, m) < 0) {
		disks_unmark(marks);
		return error_code(e);
	}
	*ret_marks = marks;
	return 0;
}

/* --- the destination: are they the same? */

static void look_beside(struct disk_facts *f,
			const struct disk_description *disk,
			const struct image *i)
{
	const char *name = disk->mark;
	AUTO_CLOSE int folder = -1;
	struct stat st;

	if (strncmp(name, ".drover-", 8) != 0 || strchr(name, '/'))
		return;
	folder = image_folder(i);
	f->mark_seen = folder >= 0 &&
		       fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	f->marked = f->mark_seen || folder < 0 || errno == ENOENT;
}

static void look_at_content(struct disk_facts *f,
			    const struct disk_description *disk,
			    const struct image *i)
{
	char ours[CONTENT_SUM_SIZE];
	struct error ignored;

	f->has_sums = f->read_only && f->same_size && disk->sum[0] &&
		      content_sum(ours, i->by_fd, (uint64_t)SUM_GIB_MAX << 30,
				  &ignored) == 0;
	f->same_sum = f->has_sums && !strcmp(ours, disk->sum);
}

static void look_at_file(struct disk_facts *f,
			 const struct disk_description *disk)
{
	SCOPED(image_close) struct image i = { .fd = -1 };
	int r = image_open(&i, disk->path);
	struct volume_id ours;
	int64_t size;

	if (r < 0) {
		f->absent = r == -ENOENT || r == -ENOTDIR;
		f->hidden = !f->absent;
		return;
	}
	if (!image_is_plain(&i.st)) {
		f->hidden = true;
		return;
	}
	f->lock_seen = disk->has_lock && sees_lock(&i, disk->lock);
	size = size_of(&i);
	f->same_size = size >= 0 && size == disk->size;
	f->same_inode = (int64_t)i.st.st_ino == disk->inode;
	f->has_ids = disk->id && read_id(&ours, &i.st);
	f->same_id = f->has_ids && !strcmp(ours.text, disk->id);
	f->unique_id = f->same_id && ours.unique;
	if (f->lock_seen)
		return;
	look_beside(f, disk, &i);
	if (!f->mark_seen || !f->same_inode)
		look_at_content(f, disk, &i);
}

static struct disk_facts look(const struct disk_description *disk,
			      const struct definition *d,
			      const struct move_host *host)
{
	struct disk_facts f = {
		.copied = disk->copy[0] &&
			  host->has_copy(host->context, disk->copy, disk->path),
		.network = disk->network,
		.hidden = disk->near,
		.read_only = disk->read_only,
		.firmware = disk->firmware,
		.said_shared = definition_says_shared(d, disk->path),
	};

	if (!f.copied && !f.network && !f.hidden)
		look_at_file(&f, disk);
	return f;
}

static void say(struct findings *findings, enum disk_outcome outcome,
		const char *path, const char *own_name)
{
	static const char *const words[] = {
		[DISK_SHARED] = "is the disk that the guest has: shared",
		[DISK_EQUAL] = "is only read, and has the same content",
		[DISK_FLASH] = "is of the same size, and only read at a start",
		[DISK_COPIED] = "comes with the machine",
		[DISK_TRUSTED] = "is shared, says the definition; that could "
				 "not be looked at",
		[DISK_MISSING] = "is not there: put it on storage that both "
				 "hosts share, under the same path, or let it "
				 "move along (--disks)",
		[DISK_OTHER] = "is another disk, not the one that the guest "
			       "has: put it on storage that both hosts share, "
			       "under the same path",
		[DISK_UNKNOWN] = "may be the disk that the guest has or "
				 "another one, which cannot be told: if both "
				 "hosts share it, add 'shared = PATH' to the "
				 "definition, which 'drover vm define' takes "
				 "while the machine runs, too",
	};

	findings_add(findings,
		     outcome <= DISK_TRUSTED ? SEVERITY_OK : SEVERITY_ERROR,
		     "%.500s on %s %s", path, own_name, words[outcome]);
}

void disks_check(const struct machine_description *m,
		 const struct definition *d, const struct move_host *host,
		 struct findings *findings)
{
	if (m->n_disks > DISKS_MAX) {
		findings_add(findings, SEVERITY_ERROR,
			     "the machine has %zu images open; %s checks at "
			     "most %d",
			     m->n_disks, host->own_name, DISKS_MAX);
		return;
	}
	for (size_t i = 0; i < m->n_disks; i++) {
		struct disk_facts f = look(&m->disks[i], d, host);

		say(findings, disk_judge(&f), m->disks[i].path, host->own_name);
	}
}
