/* SPDX-License-Identifier: MIT */
#include "host/room.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/kept_copies.h"
#include "move/job.h"
#include "pages/backends.h"
#include "qemu/definition.h"

enum { SPARE_BYTES = 64 << 20 };

/* On the list from room_claim() on. */
struct room_claim {
	struct job *job;
	uint64_t bytes, before; /* taken before it began */
	struct room_claim *next;
};

struct room {
	const char *host_name; /* set when made */
	struct kept_copies *kept;

	pthread_mutex_t lock; /* guards what follows */
	struct room_claim *first;
};

struct room *room_new(const char *host_name, struct kept_copies *kept)
{
	struct room *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->host_name = host_name;
	all->kept = kept;
	pthread_mutex_init(&all->lock, NULL);
	return all;
}

void room_free(struct room *all)
{
	if (!all)
		return;
	pthread_mutex_destroy(&all->lock);
	free(all);
}

/* --- how much there is */

/* Behind @key, which begins a line; UINT64_MAX: none, as of "max". */
static uint64_t read_number(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	uint64_t found = UINT64_MAX;
	char line[256];

	while (f && found == UINT64_MAX && fgets(line, sizeof(line), f)) {
		const char *at = line + strlen(key);

		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		at += strspn(at, " \t"); /* meminfo has blanks, status a tab */
		if (isdigit((unsigned char)*at))
			found = strtoull(at, NULL, 10);
	}
	if (f)
		fclose(f);
	return found;
}

static uint64_t in_folder(const char *folder, const char *file, const char *key)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.4000s/%s", folder, file);
	return read_number(path, key);
}

struct controller {
	const char *mount, *limit, *usage, *cached;
};

static const struct controller second = { "/sys/fs/cgroup", "memory.max",
					  "memory.current", "inactive_file " };
static const struct controller first = { "/sys/fs/cgroup/memory",
					 "memory.limit_in_bytes",
					 "memory.usage_in_bytes",
					 "total_inactive_file " };

/* Of the group at @path and all above it; UINT64_MAX: nothing bounds it. */
static uint64_t group_room(const struct controller *c, const char *path)
{
	uint64_t least = UINT64_MAX;
	char folder[PATH_MAX];
	char *slash;

	snprintf(folder, sizeof(folder), "%s%.3000s", c->mount, path);
	while (strlen(folder) > strlen(c->mount)) {
		uint64_t limit = in_folder(folder, c->limit, "");
		uint64_t usage = in_folder(folder, c->usage, "");
		uint64_t cached = in_folder(folder, "memory.stat", c->cached);

		if (cached == UINT64_MAX)
			cached = 0;
		if (limit != UINT64_MAX && usage != UINT64_MAX) {
			uint64_t left = limit + cached > usage
						? limit + cached - usage
						: 0;

			least = left < least ? left : least;
		}
		slash = strrchr(folder, '/');
		*slash = '\0';
	}
	return least;
}

static uint64_t groups_room(pid_t pid)
{
	char path[64], line[PATH_MAX];
	uint64_t least = UINT64_MAX, left = UINT64_MAX;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *name = strchr(line, ':');
		char *group = name ? strchr(name + 1, ':') : NULL;

		if (!group)
			continue;
		line[strcspn(line, "\n")] = '\0';
		*group++ = '\0';
		if (!strncmp(line, "0:", 2))
			left = group_room(&second, group);
		else if (!strcmp(name + 1, "memory"))
			left = group_room(&first, group);
		least = left < least ? left : least;
	}
	if (f)
		fclose(f);
	return least;
}

uint64_t room_available(pid_t pid)
{
	uint64_t kib = read_number("/proc/meminfo", "MemAvailable:");
	uint64_t here = kib == UINT64_MAX ? UINT64_MAX : kib * 1024;
	uint64_t group = groups_room(pid);

	return group < here ? group : here;
}

/* --- who takes how much of it */

/* Its own pages and those of its memory's files, which others may write into:
 * they are not all mapped.  UINT64_MAX: it has ended. */
static uint64_t taken_by(pid_t pid)
{
	char path[64];
	uint64_t kib;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	kib = read_number(path, "RssAnon:");
	return kib == UINT64_MAX ? kib : kib * 1024 + backends_use(pid).filled;
}

struct room_need room_of_arrival(const struct definition *d)
{
	/* Huge pages are set aside: QEMU says itself when there are too few. */
	return (struct room_need){
		.machine = d->name,
		.bytes = d->huge_page_bytes ? 0 : d->memory_bytes + SPARE_BYTES
	};
}

struct room_need room_of_departure(const char *machine, pid_t pid)
{
	return (struct room_need){ .machine = machine,
				   .bytes = backends_use(pid).holes,
				   .leaves = pid };
}

/* As much as it has by now; its job says, once it is there, which it is. */
struct room_need room_of_update(const char *machine, pid_t pid, bool handed)
{
	uint64_t taken = handed ? 0 : taken_by(pid);

	return (struct room_need){
		.machine = machine,
		.bytes = (taken == UINT64_MAX ? 0 : taken) + SPARE_BYTES,
	};
}

static uint64_t still_to_come(const struct room_claim *c)
{
	pid_t pid = atomic_load(&c->job->fills);
	uint64_t now = pid ? taken_by(pid) : 0;
	uint64_t grown = now > c->before ? now - c->before : 0;

	return grown < c->bytes ? c->bytes - grown : 0;
}

/* Locked. */
static uint64_t all_to_come(const struct room *all)
{
	uint64_t claimed = 0;

	for (const struct room_claim *o = all->first; o; o = o->next)
		claimed += still_to_come(o);
	return claimed;
}

/* With what copies give back. */
static uint64_t could_have(const struct room *all, pid_t pid)
{
	uint64_t have = room_available(pid);

	return have == UINT64_MAX ? have : have + kept_copies_spare(all->kept);
}

/* Bytes that copies have to give back beside @bytes more; locked. */
static uint64_t lacking(const struct room *all, uint64_t bytes)
{
	uint64_t have = room_available(getpid());
	uint64_t want = bytes + all_to_come(all);

	return have < want ? want - have : 0;
}

void room_make(struct room *all, uint64_t bytes)
{
	uint64_t lacks;

	{
		WITH_LOCK(&all->lock);

		lacks = bytes > 0 ? lacking(all, bytes) : 0;
	}
	kept_copies_make_room(all->kept, lacks);
}

uint64_t room_left(struct room *all)
{
	uint64_t have = could_have(all, getpid()), claimed;

	WITH_LOCK(&all->lock);

	claimed = all_to_come(all);
	return have > claimed ? have - claimed : 0;
}

/* Locked. */
static int check(const struct room *all, const struct room_need *need,
		 struct error *e)
{
	uint64_t have = could_have(all, need->leaves ? need->leaves : getpid());
	const uint64_t claimed = all_to_come(all);
	char n[32], a[32], c[32];

	if (need->bytes == 0 || have == UINT64_MAX ||
	    have >= claimed + need->bytes)
		return 0;
	text_bytes(n, sizeof(n), need->bytes);
	text_bytes(a, sizeof(a), have);
	text_bytes(c, sizeof(c), claimed);
	if (need->leaves)
		return error_set(e, EBUSY,
				 "machine %s needs %s of memory here while it "
				 "moves, and %s has %s, %s of it for moves "
				 "that go on: its memory is shared, and what "
				 "the "
				 "guest never used is filled when QEMU reads "
				 "it; wait for them, or stop something first",
				 need->machine, n, all->host_name, a, c);
	return error_set(e, EBUSY,
			 "the machine needs %s of memory and %s has %s, %s of "
			 "it for moves that go on: wait for them, or stop or "
			 "move something there first",
			 n, all->host_name, a, c);
}

int room_check(struct room *all, const struct room_need *n, struct error *e)
{
	WITH_LOCK(&all->lock);

	return check(all, n, e);
}

static int claim(struct room *all, struct room_claim *c,
		 const struct room_need *n, uint64_t *lacks, struct error *e)
{
	WITH_LOCK(&all->lock);

	if (check(all, n, e) < 0)
		return error_code(e);
	atomic_store(&c->job->fills, n->leaves);
	c->before = n->leaves ? taken_by(n->leaves) : 0;
	*lacks = n->bytes > 0 ? lacking(all, n->bytes) : 0;
	c->next = all->first;
	all->first = c;
	return 0;
}

int room_claim(struct room *all, struct room_claim **ret, struct job *j,
	       const struct room_need *n, struct error *e)
{
	struct room_claim *c = calloc(1, sizeof(*c));
	uint64_t lacks;

	if (!c)
		return error_set(e, ENOMEM, "no memory for a move");
	*c = (struct room_claim){ .job = j, .bytes = n->bytes };
	if (claim(all, c, n, &lacks, e) < 0) {
		free(c);
		return error_code(e);
	}
	*ret = c;
	kept_copies_make_room(all->kept, lacks);
	return 0;
}

void room_release(struct room *all, struct room_claim *c)
{
	if (!c)
		return;
	{
		WITH_LOCK(&all->lock);

		for (struct room_claim **p = &all->first; *p; p = &(*p)->next) {
			if (*p == c) {
				*p = c->next;
				break;
			}
		}
	}
	free(c);
}
