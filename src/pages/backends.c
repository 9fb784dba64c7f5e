/* SPDX-License-Identifier: MIT */
#include "pages/backends.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/ini.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/options.h"
#include "qemu/process.h"

enum {
	FDS_MAX = 4096,
	ID_MAX = 200,
	PLAIN_BYTES = 128 << 20, /* without -m */
	FDINFO_MOST = 64 << 10,
};

/* A kind of backend, and what its file is called in /proc/PID/fd. */
static const struct kind {
	const char *type;
	const char *link; /* how the link begins; NULL: by the mem-path */
	bool shared;      /* unless share= says otherwise */
	bool canonical;   /* block names of machine types up to 4.0 */
	bool named;       /* the link goes on with the id */
	bool anonymous;   /* what is not shared is no file */
} kinds[] = {
	{ .type = "memory-backend-memfd",
	  .link = "/memfd:memory-backend-memfd",
	  .shared = true,
	  .canonical = true },
	{ .type = "memory-backend-file", .canonical = true },
	{ .type = "memory-backend-shm",
	  .link = "/dev/shm/qemu-",
	  .shared = true },
	/* From QEMU 10.0 on, shared anonymous memory is a memfd too. */
	{ .type = "memory-backend-ram",
	  .link = "/memfd:",
	  .named = true,
	  .anonymous = true },
};

struct object {
	const struct kind *kind;
	const char *value; /* of its -object, in the process's words */
	char id[ID_MAX + 1];
	uint64_t size_bytes;
	bool used;        /* as RAM of the machine */
	int fd;           /* of the process; -1: none was found */
	uint64_t address; /* where the process has it mapped, 0: nowhere */
};

struct search {
	pid_t pid;
	struct words words;
	struct object objects[BACKENDS_MAX];
	unsigned count;
	uint64_t plain_bytes; /* of -m */
	bool old_machine;
	int fds[FDS_MAX]; /* of the process, in order; -1: taken */
	unsigned fds_count;
};

static void search_done(struct search *s)
{
	words_done(&s->words);
	free(s);
}

static void scope_search(struct search **s)
{
	if (*s)
		search_done(*s);
}

static const char *property(const char *value, const char *key, char *buf,
			    size_t cap)
{
	return option_property(value, "qom-type", key, buf, cap);
}

static uint64_t object_size(const char *value)
{
	char buf[32];
	const char *size = property(value, "size", buf, sizeof(buf));

	return size ? option_bytes(size, 1) : 0;
}

static void add_object(struct search *s, const char *value)
{
	char type[64], id[ID_MAX + 1];

	if (!property(value, "qom-type", type, sizeof(type)) ||
	    !property(value, "id", id, sizeof(id)))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct object *o = &s->objects[s->count];

		if (strcmp(type, kinds[i].type) != 0 ||
		    s->count == BACKENDS_MAX)
			continue;
		*o = (struct object){ .kind = &kinds[i],
				      .value = value,
				      .size_bytes = object_size(value) };
		memcpy(o->id, id, sizeof(o->id));
		s->count++;
	}
}

static void mark_used(struct search *s, const char *id)
{
	for (unsigned i = 0; i < s->count; i++)
		if (!strcmp(s->objects[i].id, id))
			s->objects[i].used = true;
}

/* "pc-i440fx-3.1": machine types up to 4.0 named some blocks by path. */
static bool is_old_machine(const char *type)
{
	const char *dash = strrchr(type, '-');
	unsigned long major, minor;
	char *dot;

	if (!dash)
		return false;
	major = strtoul(dash + 1, &dot, 10);
	if (dot == dash + 1 || *dot != '.')
		return false;
	minor = strtoul(dot + 1, NULL, 10);
	return major < 4 || (major == 4 && minor == 0);
}

static void look_at_option(struct search *s, const struct option *o)
{
	char buf[ID_MAX + 1];
	const char *driver;

	if (!strcmp(o->name, "machine") || !strcmp(o->name, "M")) {
		if (option_property(o->value, "type", "memory-backend", buf,
				    sizeof(buf)))
			mark_used(s, buf);
		if (option_property(o->value, "type", "type", buf, sizeof(buf)))
			s->old_machine |= is_old_machine(buf);
		return;
	}
	if (!strcmp(o->name, "m")) {
		if (option_property(o->value, "size", "size", buf, sizeof(buf)))
			s->plain_bytes = option_bytes(buf, 1 << 20);
		return;
	}
	if (strcmp(o->name, "numa") != 0) {
		if (strcmp(o->name, "device") != 0)
			return;
		driver = option_property(o->value, "driver", "driver", buf,
					 sizeof(buf));
		if (!driver || strcmp(driver, "pc-dimm") != 0)
			return;
	}
	if (option_property(o->value, "driver", "memdev", buf, sizeof(buf)))
		mark_used(s, buf);
}

static void read_options(struct search *s)
{
	const struct words *w = &s->words;
	struct option o;

	for (size_t at = 1; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		if (o.value && !strcmp(o.name, "object"))
			add_object(s, o.value);
	}
	for (size_t at = 1; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		if (o.value)
			look_at_option(s, &o);
	}
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int read_fds(struct search *s, struct error *e)
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)s->pid);
	dir = opendir(path);
	if (!dir)
		return error_sys(e, "descriptors of process %d", (int)s->pid);
	while ((d = readdir(dir)) && s->fds_count < FDS_MAX)
		if (d->d_name[0] != '.')
			s->fds[s->fds_count++] =
				(int)strtol(d->d_name, NULL, 10);
	closedir(dir);
	qsort(s->fds, s->fds_count, sizeof(s->fds[0]), by_number);
	return 0;
}

static int fd_path(char path[64], const struct search *s, int fd)
{
	return snprintf(path, 64, "/proc/%d/fd/%d", (int)s->pid, fd);
}

/* The mem-path of a file backend, as seen from here. */
static int stat_mem_path(const struct search *s, const char *mem_path,
			 struct stat *ret)
{
	char path[PATH_MAX];

	if (!strncmp(mem_path, "/proc/self/", 11))
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)s->pid,
			 mem_path + 11);
	else
		snprintf(path, sizeof(path), "/proc/%d/%s/%s", (int)s->pid,
			 mem_path[0] == '/' ? "root" : "cwd", mem_path);
	return stat(path, ret);
}

/* The unlinked file that QEMU makes when mem-path is a folder. */
static bool is_in_folder(const char *link, const char *id)
{
	const char *base = strrchr(link, '/');
	char begin[BACKEND_NAME_MAX + 32];

	snprintf(begin, sizeof(begin), "/qemu_back_mem.%s.", id);
	return base && !strncmp(base, begin, strlen(begin));
}

static bool begins_as(const char *link, const struct object *o)
{
	char begin[BACKEND_NAME_MAX + 32];

	snprintf(begin, sizeof(begin), "%s%s%s", o->kind->link,
		 o->kind->named ? o->id : "", o->kind->named ? " " : "");
	return !strncmp(link, begin, strlen(begin));
}

static bool is_file_of(const struct search *s, const struct object *o, int fd,
		       const struct stat *st)
{
	AUTO_FREE char *link = NULL;
	char name[32], mem_path[PATH_MAX];
	struct error ignored;
	struct stat of_path;

	if (!S_ISREG(st->st_mode) ||
	    (o->kind->link && (uint64_t)st->st_size != o->size_bytes))
		return false;
	snprintf(name, sizeof(name), "fd/%d", fd);
	if (process_link(&link, s->pid, name, &ignored) < 0)
		return false;
	if (o->kind->link)
		return begins_as(link, o);
	if (!property(o->value, "mem-path", mem_path, sizeof(mem_path)) ||
	    stat_mem_path(s, mem_path, &of_path) < 0)
		return false;
	if (S_ISDIR(of_path.st_mode))
		return is_in_folder(link, o->id);
	return st->st_dev == of_path.st_dev && st->st_ino == of_path.st_ino;
}

static int take_file(struct search *s, const struct object *o)
{
	for (unsigned i = 0; i < s->fds_count; i++) {
		struct stat st;
		char path[64];
		int fd = s->fds[i];

		if (fd < 0)
			continue;
		fd_path(path, s, fd);
		if (stat(path, &st) < 0 || !is_file_of(s, o, fd, &st))
			continue;
		s->fds[i] = -1;
		return fd;
	}
	return -1;
}

enum { MAPS_DEVICE = 3, MAPS_INODE = 4, MAPS_WORDS = 5 };

static unsigned split_words(char *words[static MAPS_WORDS], char *line)
{
	char *rest = line;
	unsigned n = 0;

	while (n < MAPS_WORDS && (words[n] = strsep(&rest, " ")))
		n++;
	return n;
}

/* Where the process has its file mapped. */
static uint64_t mapped_at(const struct search *s, int fd)
{
	AUTO_FREE char *line = NULL;
	char path[64], device[32];
	struct stat st;
	size_t cap = 0;
	uint64_t found = 0;
	FILE *maps;

	fd_path(path, s, fd);
	if (stat(path, &st) < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)s->pid);
	maps = fopen(path, "re");
	snprintf(device, sizeof(device), "%02x:%02x", major(st.st_dev),
		 minor(st.st_dev));
	/* "7fe695ffe000-7fe696ffe000 rw-s 00000000 00:01 18316   /memfd:..." */
	while (maps && found == 0 && getline(&line, &cap, maps) > 0) {
		char *words[MAPS_WORDS];

		if (split_words(words, line) == MAPS_WORDS &&
		    !strcmp(words[MAPS_DEVICE], device) &&
		    strtoull(words[MAPS_INODE], NULL, 10) == st.st_ino)
			found = strtoull(words[0], NULL, 16);
	}
	if (maps)
		fclose(maps);
	return found;
}

/* Also for those that nobody uses, so that the others find their own. */
static void take_files(struct search *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		struct object *o = &s->objects[i];

		o->fd = take_file(s, o);
		if (o->fd >= 0)
			o->address = mapped_at(s, o->fd);
	}
}

/*
 * Files of one kind and size differ by nothing but their order.  QEMU makes
 * them in the order of its options: descriptors go upwards then, and mappings
 * downwards.  A descriptor or a hole that was free in between puts one of the
 * two out of order, and nobody can say whose memory is whose.
 */
static bool is_doubtful(const struct search *s, const struct object *o)
{
	if (!o->kind->link || o->kind->named)
		return false;
	for (unsigned i = 0; i < s->count; i++) {
		const struct object *p = &s->objects[i];

		if (p == o || p->kind != o->kind || p->fd < 0 ||
		    p->size_bytes != o->size_bytes)
			continue;
		if (p->address == 0 || o->address == 0 ||
		    (p < o) != (p->address > o->address))
			return true;
	}
	return false;
}

/* What the kernel says of a descriptor. */
struct descriptor {
	unsigned flags;
	unsigned long mount, inode;
};

static int read_descriptor(struct descriptor *ret, const char *process,
			   int number, struct error *e)
{
	AUTO_FREE char *text = NULL;
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%d", process, number);
	if (ini_load(&text, &len, path, FDINFO_MOST, e) < 0)
		return error_code(e);
	/* NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers */
	if (sscanf(text, "pos: %*u flags: %o mnt_id: %lu ino: %lu", &ret->flags,
		   &ret->mount, &ret->inode) != 3)
		return error_set(e, EOPNOTSUPP, "%s: not readable", path);
	return 0;
}

/* What the process has said may be untrue, and change while it is looked at.
 * What we hold is its file if it has just this one open, and can write to it.
 */
static int check_descriptor(const struct search *s, int number, int held,
			    struct error *e)
{
	struct descriptor own, theirs;
	struct stat st;
	char process[16];

	snprintf(process, sizeof(process), "%d", (int)s->pid);
	if (read_descriptor(&own, "self", held, e) < 0 ||
	    read_descriptor(&theirs, process, number, e) < 0)
		return error_code(e);
	if (own.mount == theirs.mount && own.inode == theirs.inode &&
	    (theirs.flags & O_ACCMODE) == O_RDWR && !(theirs.flags & O_PATH) &&
	    fstat(held, &st) == 0 && S_ISREG(st.st_mode))
		return 0;
	return error_set(e, EACCES,
			 "descriptor %d of process %d is no file that it may "
			 "write to",
			 number, (int)s->pid);
}

static int open_file(const struct search *s, int number, struct error *e)
{
	AUTO_CLOSE int held = -1;
	char path[64];
	int fd;

	fd_path(path, s, number);
	held = open(path, O_PATH | O_CLOEXEC);
	if (held < 0)
		return error_sys(e, "%s", path);
	if (check_descriptor(s, number, held, e) < 0)
		return error_code(e);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? error_sys(e, "descriptor %d of process %d", number,
				  (int)s->pid)
		      : fd;
}

/* Why it cannot be opened; NULL: it can. */
static const char *reason_against(const struct search *s,
				  const struct object *o)
{
	char buf[32];
	const char *offset = property(o->value, "offset", buf, sizeof(buf));

	if (!option_property_is_on(o->value, "qom-type", "share",
				   o->kind->shared))
		return "private memory (share=off)";
	if (offset && strcmp(offset, "0") != 0)
		return "memory at an offset in its file";
	if (o->fd < 0)
		return "no file of it can be opened";
	if (is_doubtful(s, o))
		return "its file cannot be told from that of another backend "
		       "of its type and size";
	return NULL;
}

static void open_backend(struct backend *b, const struct search *s,
			 const struct object *o)
{
	bool canonical = s->old_machine && o->kind->canonical;
	const char *reason = reason_against(s, o);
	struct error e;

	canonical =
		option_property_is_on(o->value, "qom-type",
				      "x-use-canonical-path-for-ramblock-id",
				      canonical);
	snprintf(b->name, sizeof(b->name), "%s%s", canonical ? "/objects/" : "",
		 o->id);
	b->fd = -1;
	b->address = o->address;
	b->len_bytes = o->size_bytes;
	b->is_private = o->kind->anonymous &&
			!option_property_is_on(o->value, "qom-type", "share",
					       o->kind->shared);
	if (!reason) {
		b->fd = open_file(s, o->fd, &e);
		reason = b->fd < 0 ? e.text : "";
	}
	snprintf(b->reason, sizeof(b->reason), "%.159s", reason);
}

/* QEMU's own, of a machine that names no backend; of all machines of x86. */
static struct backend plain_memory(const struct search *s)
{
	return (struct backend){ .name = "pc.ram",
				 .len_bytes = s->plain_bytes,
				 .fd = -1,
				 .is_private = true,
				 .reason = "private memory (no backend)" };
}

int backends_find(struct backend ret[BACKENDS_MAX], pid_t pid, struct error *e)
{
	SCOPED(scope_search) struct search *s = calloc(1, sizeof(*s));
	int n = 0;

	if (!s)
		return error_set(e, ENOMEM, "no memory for a search");
	s->pid = pid;
	s->plain_bytes = PLAIN_BYTES;
	if (process_words(&s->words, pid, e) < 0 || read_fds(s, e) < 0)
		return error_code(e);
	read_options(s);
	take_files(s);
	for (unsigned i = 0; i < s->count; i++) {
		struct backend b = { 0 };

		open_backend(&b, s, &s->objects[i]);
		if (s->objects[i].used)
			ret[n++] = b;
		else if (b.fd >= 0)
			close(b.fd);
	}
	if (n == 0)
		ret[n++] = plain_memory(s);
	return n;
}

static void add_use(struct backends_use *use, const struct backend *b)
{
	struct statfs fs;
	struct stat st;
	uint64_t there;

	if (b->fd < 0 || fstat(b->fd, &st) < 0 || fstatfs(b->fd, &fs) < 0 ||
	    fs.f_type == HUGETLBFS_MAGIC)
		return;
	there = (uint64_t)st.st_blocks * 512;
	use->filled += there;
	use->holes += there < b->len_bytes ? b->len_bytes - there : 0;
}

struct backends_use backends_use(pid_t pid)
{
	struct backend all[BACKENDS_MAX];
	struct backends_use use = { 0 };
	struct error ignored;
	int n = backends_find(all, pid, &ignored);

	for (int i = 0; i < n; i++) {
		add_use(&use, &all[i]);
		if (all[i].fd >= 0)
			close(all[i].fd);
	}
	return use;
}
