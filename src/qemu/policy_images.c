/* SPDX-License-Identifier: MIT */

/*
 * Images that name other files: QEMU opens those too.  qcow2 (docs/interop/
 * qcow2.txt of QEMU) and qcow begin alike: magic, version, offset and length of
 * the backing file's name; version 3 has features that are not to be ignored at
 * byte 72, of which bit 2 is a data file elsewhere.  Of the other formats none
 * is named by a definition that is allowed, but QEMU takes an image for one of
 * them where no format is named.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"
#include "base/text.h"
#include "qemu/image.h"
#include "qemu/policy.h"
#include "qemu/policy_rules.h"
#include "wire/reader.h"

enum {
	HEAD_CAP = 65536,
	NAME_CAP = 1024, /* QEMU's own limit is 1023 bytes */
	CHAIN_MAX = 16,
	QCOW_MAGIC = 0x514649fb,
	FEATURES_AT = 72,
	DATA_FILE = 1 << 2,
};

/* How images begin that QEMU would take for another format. */
static const struct {
	const char *bytes;
	size_t len, at;
} magics[] = {
	{ "KDMV", 4, 0 },
	{ "COWD", 4, 0 },
	{ "QED", 4, 0 },
	{ "vhdxfile", 8, 0 },
	{ "conectix", 8, 0 },
	{ "WithoutFreeSpace", 16, 0 },
	{ "WithouFreSpacExt", 16, 0 },
	{ "Bochs Virtual HD Image", 22, 0 },
	{ "\x7f\x10\xda\xbe", 4, 0x40 },
	/* A description of vmdk's, in text; cloop begins with '#' as well. */
	{ "#", 1, 0 },
	{ " ", 1, 0 },
	{ "\n", 1, 0 },
	{ "\r", 1, 0 },
	{ "version=", 8, 0 },
};

static bool is_other_format(const uint8_t *head, size_t len, const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if (len >= magics[i].at + magics[i].len &&
		    !memcmp(head + magics[i].at, magics[i].bytes,
			    magics[i].len))
			return true;
	return n > 4 && !strcmp(path + n - 4, ".dmg");
}

/* The name of the backing file into @name, "" where there is none; NULL, or
 * what is wrong with the image. */
static const char *backing_of(char name[NAME_CAP], const uint8_t *head,
			      size_t len)
{
	struct reader r = reader_of(head, len);
	uint32_t magic = read_u32(&r), version = read_u32(&r), size;
	uint64_t offset = read_u64(&r);

	size = read_u32(&r);
	name[0] = '\0';
	if (r.bad || magic != QCOW_MAGIC)
		return NULL;
	if (version >= 3) {
		r = reader_of(head, len);
		reader_take(&r, FEATURES_AT);
		if (read_u64(&r) & DATA_FILE)
			return "its data is in another file, which it names";
		if (r.bad)
			return "its header is cut off";
	}
	if (offset == 0 || size == 0)
		return NULL;
	if (size >= NAME_CAP || offset > len || size > len - offset)
		return "the name of its backing file cannot be read";
	memcpy(name, head + offset, size);
	name[size] = '\0';
	if (strlen(name) != size)
		return "the name of its backing file cannot be read";
	return NULL;
}

/* As QEMU does it: a name without '/' in front is one in the image's folder,
 * and a ':' before the first '/' ends a protocol. */
static bool beside(char *ret, size_t cap, const char *image, const char *name)
{
	const char *slash = strrchr(image, '/');
	int n;

	if (name[strcspn(name, ":/")] == ':' || !slash)
		return false;
	if (name[0] == '/')
		n = snprintf(ret, cap, "%s", name);
	else
		n = snprintf(ret, cap, "%.*s%s", (int)(slash + 1 - image),
			     image, name);
	return n >= 0 && (size_t)n < cap;
}

struct look {
	char path[PATH_MAX], words[224];
	uint8_t head[HEAD_CAP];
};

/* Looks at one image; true when there is one below it, which @l names then. */
static bool look_at(struct policy_run *r, struct look *l, bool guessed)
{
	const struct policy *p = r->policy;
	char name[NAME_CAP], next[PATH_MAX];
	int len = p->read_head(p->arg, l->path, l->head, sizeof(l->head));
	const char *wrong;

	/* One that is still to be made names nothing. */
	if (len == -ENOENT)
		return false;
	if (len < 0) {
		policy_blame(r, l->words, "it cannot be read: %s",
			     strerror(-len));
		return false;
	}
	if (guessed && is_other_format(l->head, (size_t)len, l->path)) {
		policy_blame(r, l->words,
			     "QEMU would take it for a format that may name "
			     "other files: write -drive with format=raw, or "
			     "make a qcow2 of it by qemu-img convert");
		return false;
	}
	wrong = backing_of(name, l->head, (size_t)len);
	if (wrong)
		policy_blame(r, l->words,
			     "%s: make an image of it that stands alone, by "
			     "qemu-img convert",
			     wrong);
	if (wrong || !name[0])
		return false;
	snprintf(l->words + strlen(l->words),
		 sizeof(l->words) - strlen(l->words), " (on %.100s)", name);
	if (!beside(next, sizeof(next), l->path, name)) {
		policy_blame(r, l->words,
			     "its backing file is none of this host's: make "
			     "an image of it that stands alone, by qemu-img "
			     "convert");
		return false;
	}
	memcpy(l->path, next, sizeof(next));
	return policy_path(r, l->words, l->path, PLACE_IMAGE);
}

void policy_image(struct policy_run *r, const char *words, const char *path,
		  bool guessed)
{
	AUTO_FREE struct look *l = NULL;
	size_t own;

	if (!r->policy->read_head)
		return;
	l = calloc(1, sizeof(*l));
	if (!l) {
		policy_no_memory(r);
		return;
	}
	snprintf(l->words, sizeof(l->words), "%.100s", words);
	own = strlen(l->words);
	/* policy_path() has refused what is too long. */
	snprintf(l->path, sizeof(l->path), "%s", path);
	for (int i = 0; i < CHAIN_MAX; i++) {
		if (!look_at(r, l, guessed))
			return;
		guessed = true;
		l->words[own] = '\0';
	}
	policy_blame(r, l->words, "there are more than %d images below it",
		     CHAIN_MAX);
}

int policy_read_head(void *unused, const char *path, void *buf, size_t cap)
{
	SCOPED(image_close) struct image i = { .fd = -1 };
	int r = image_open(&i, path);
	AUTO_CLOSE int fd = r < 0 ? r : image_read(&i);
	size_t have = 0;

	(void)unused;
	if (fd < 0)
		return fd;
	while (have < cap) {
		ssize_t n =
			pread(fd, (char *)buf + have, cap - have, (off_t)have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (int)have;
}

bool policy_backing(const char *path, char *ret, size_t cap)
{
	AUTO_FREE uint8_t *head = malloc(HEAD_CAP);
	char name[NAME_CAP];
	int len = head ? policy_read_head(NULL, path, head, HEAD_CAP) : 0;

	return len > 0 && !backing_of(name, head, (size_t)len) && name[0] &&
	       beside(ret, cap, path, name);
}
