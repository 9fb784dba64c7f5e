/* SPDX-License-Identifier: MIT */
#include "host/kept_copies.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "pages/kept.h"

enum { COPIES_MAX = 1024 };

struct copy_entry {
	struct kept *kept;
	unsigned users;
	bool listed;
};

struct kept_copies {
	char folder[PATH_MAX]; /* set when made */

	/* One at a time is made, written and listed; taken before the other. */
	pthread_mutex_t writing;
	pthread_mutex_t lock;             /* guards what follows */
	struct copy_entry at[COPIES_MAX]; /* the oldest first */
	unsigned count;
};

struct kept_copies *kept_copies_new(const char *state_directory)
{
	struct kept_copies *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	snprintf(all->folder, sizeof(all->folder), "%.4000s/copies",
		 state_directory);
	pthread_mutex_init(&all->writing, NULL);
	pthread_mutex_init(&all->lock, NULL);
	return all;
}

void kept_copies_free(struct kept_copies *all)
{
	if (!all)
		return;
	for (unsigned i = 0; i < all->count; i++)
		kept_free(all->at[i].kept);
	pthread_mutex_destroy(&all->lock);
	pthread_mutex_destroy(&all->writing);
	free(all);
}

/* --- the list, locked */

/* What is off the list and in nobody's hands: to give a memory or a file back
 * takes a while, and is done when the lock is let go of. */
struct gone {
	unsigned count;
	struct kept *at[COPIES_MAX];
};

static void gone_done(struct gone *g)
{
	for (unsigned i = 0; i < g->count; i++)
		kept_free(g->at[i]);
}

static void take_out(struct kept_copies *all, unsigned i, struct gone *to)
{
	if (all->at[i].listed || all->at[i].users > 0)
		return;
	to->at[to->count++] = all->at[i].kept;
	all->count--;
	memmove(&all->at[i], &all->at[i + 1],
		(all->count - i) * sizeof(all->at[0]));
}

static void remove_file(const struct kept_copies *all, const struct kept *k)
{
	char path[PATH_MAX];

	kept_path(path, sizeof(path), all->folder, kept_whose(k)->uuid);
	if (unlink(path) < 0 && errno != ENOENT)
		log_error("remove %s: %s", path, strerrordesc_np(errno));
}

/* @i may be another one's place after that.  The file goes while its name is
 * this one's for sure: a newer one is listed after that only. */
static void drop(struct kept_copies *all, unsigned i, const char *why,
		 struct gone *to)
{
	struct copy_entry *c = &all->at[i];

	if (why)
		log_info("the copy of %s that was kept %s is removed: %s",
			 kept_whose(c->kept)->machine,
			 kept_is_on_disk(c->kept) ? "on disk" : "in memory",
			 why);
	if (kept_is_on_disk(c->kept))
		remove_file(all, c->kept);
	c->listed = false;
	take_out(all, i, to);
}

static int find(const struct kept_copies *all, const char *name)
{
	for (unsigned i = 0; i < all->count; i++) {
		const struct kept_of *of = kept_whose(all->at[i].kept);

		if (all->at[i].listed &&
		    (!strcmp(of->uuid, name) || !strcmp(of->machine, name)))
			return (int)i;
	}
	return -1;
}

/* false: there are too many, and it is not taken. */
static bool put(struct kept_copies *all, struct kept *k)
{
	unsigned i = all->count;

	if (all->count == COPIES_MAX)
		return false;
	for (; i > 0 && kept_whose(all->at[i - 1].kept)->since_us >
				kept_whose(k)->since_us;
	     i--)
		all->at[i] = all->at[i - 1];
	all->at[i] = (struct copy_entry){ .kept = k, .listed = true };
	all->count++;
	return true;
}

/* --- what an earlier daemon left */

static void load_one(struct kept_copies *all, const char *name)
{
	char path[PATH_MAX + NAME_MAX + 2], whole[PATH_MAX];
	struct kept *k = NULL;
	struct error e;

	snprintf(path, sizeof(path), "%s/%s", all->folder, name);
	if (kept_open(&k, path, &e) == 0) {
		kept_path(whole, sizeof(whole), all->folder,
			  kept_whose(k)->uuid);
		if (!strcmp(path, whole) && put(all, k))
			return;
		error_set(&e, EBADMSG, "%s: it has another machine's name",
			  path);
		kept_free(k);
	}
	log_warning("a copy is removed, it cannot be used: %s", e.text);
	unlink(path);
}

void kept_copies_load(struct kept_copies *all)
{
	AUTO_CLOSEDIR DIR *d = opendir(all->folder);
	const struct dirent *entry;

	WITH_LOCK(&all->lock);

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			load_one(all, entry->d_name);
}

/* --- a machine has left */

int kept_copies_excess(const uint64_t *bytes, unsigned n, uint64_t need,
		       uint64_t most)
{
	uint64_t used = 0;
	unsigned gone = 0;

	if (need > most)
		return -1;
	for (unsigned i = 0; i < n; i++)
		used += bytes[i];
	for (; gone < n && used > most - need; gone++)
		used -= bytes[gone];
	return (int)gone;
}

static int make_place(struct kept_copies *all, uint64_t need, uint64_t most)
{
	AUTO_FREE uint64_t *bytes = calloc(COPIES_MAX, sizeof(*bytes));
	SCOPED(gone_done) struct gone gone = { .count = 0 };
	int excess = -1;
	unsigned n = 0;

	WITH_LOCK(&all->lock);

	for (unsigned i = 0; bytes && i < all->count; i++)
		if (all->at[i].listed && kept_is_on_disk(all->at[i].kept))
			bytes[n++] = kept_bytes(all->at[i].kept);
	if (bytes)
		excess = kept_copies_excess(bytes, n, need, most);
	for (int left = excess; left > 0; left--)
		for (unsigned i = 0; i < all->count; i++)
			if (all->at[i].listed &&
			    kept_is_on_disk(all->at[i].kept)) {
				drop(all, i,
				     "keep-copy-size leaves no place for it "
				     "beside a newer one",
				     &gone);
				break;
			}
	return excess;
}

/* @k is in memory, and goes either way; writing. */
static struct kept *to_disk(struct kept_copies *all, struct kept *k,
			    uint64_t most)
{
	char path[PATH_MAX], size[32];
	struct kept *written = NULL;
	struct error e;

	text_bytes(size, sizeof(size), most);
	kept_path(path, sizeof(path), all->folder, kept_whose(k)->uuid);
	if (make_place(all, kept_bytes(k), most) < 0)
		error_set(&e, EFBIG,
			  "it takes more than keep-copy-size, which is %s",
			  size);
	else if (kept_write(k, all->folder, most, &e) == 0)
		(void)kept_open(&written, path, &e);
	if (!written) {
		log_warning("no copy of %s is kept on disk: %s",
			    kept_whose(k)->machine, e.text);
		remove_file(all, k);
	}
	kept_free(k);
	return written;
}

/* @k is taken over. */
static void list_new(struct kept_copies *all, struct kept *k)
{
	SCOPED(gone_done) struct gone gone = { .count = 0 };

	WITH_LOCK(&all->lock);

	if (put(all, k))
		return;
	log_warning("no copy of %s is kept: there are %d already",
		    kept_whose(k)->machine, COPIES_MAX);
	if (kept_is_on_disk(k))
		remove_file(all, k);
	gone.at[gone.count++] = k;
}

void kept_copies_add(struct kept_copies *all, const struct kept_of *of,
		     struct guest_memory *m, const struct move_settings *s)
{
	struct kept *k;
	struct error e;

	/* From the removal of the older one until the newer is listed: a name
	 * in the folder is that of one copy. */
	WITH_LOCK(&all->writing);

	kept_copies_drop(all, of->uuid, NULL);
	if (kept_of_memory(&k, m, of, &e) < 0) {
		log_warning("no copy of %s is kept: %s", of->machine, e.text);
		return;
	}
	if (s->keep_copy == KEEP_COPY_DISK)
		k = to_disk(all, k, s->keep_copy_size);
	if (k)
		list_new(all, k);
}

/* --- it comes back, or does not */

struct kept *kept_copies_claim(struct kept_copies *all, const char *uuid,
			       const char *peer)
{
	int i;

	WITH_LOCK(&all->lock);

	i = find(all, uuid);
	if (i < 0 || strcmp(kept_whose(all->at[i].kept)->peer, peer) != 0)
		return NULL;
	all->at[i].users++;
	return all->at[i].kept;
}

void kept_copies_give_back(struct kept_copies *all, struct kept *k)
{
	SCOPED(gone_done) struct gone gone = { .count = 0 };

	WITH_LOCK(&all->lock);

	for (unsigned i = 0; i < all->count; i++)
		if (all->at[i].kept == k) {
			all->at[i].users--;
			if (all->at[i].listed && kept_is_wrong(k))
				drop(all, i,
				     "a page of it was not what this host had "
				     "said that it is",
				     &gone);
			else
				take_out(all, i, &gone);
			return;
		}
}

void kept_copies_drop(struct kept_copies *all, const char *uuid,
		      const char *why)
{
	SCOPED(gone_done) struct gone gone = { .count = 0 };
	int i;

	WITH_LOCK(&all->lock);

	i = find(all, uuid);
	if (i >= 0)
		drop(all, (unsigned)i, why, &gone);
}

void kept_copies_expire(struct kept_copies *all, uint64_t time_us)
{
	SCOPED(gone_done) struct gone gone = { .count = 0 };
	const uint64_t now = clock_wall_us();

	WITH_LOCK(&all->lock);

	for (unsigned i = all->count; time_us > 0 && i-- > 0;) {
		const struct copy_entry *c = &all->at[i];
		uint64_t since = kept_whose(c->kept)->since_us;

		if (c->listed && now > since && now - since > time_us)
			drop(all, i, "keep-copy-time has passed", &gone);
	}
}

uint64_t kept_copies_spare(struct kept_copies *all)
{
	uint64_t bytes = 0;

	WITH_LOCK(&all->lock);

	for (unsigned i = 0; i < all->count; i++) {
		const struct copy_entry *c = &all->at[i];

		if (c->listed && c->users == 0 && !kept_is_on_disk(c->kept))
			bytes += kept_bytes(c->kept);
	}
	return bytes;
}

void kept_copies_make_room(struct kept_copies *all, uint64_t bytes)
{
	SCOPED(gone_done) struct gone gone = { .count = 0 };
	uint64_t freed = 0;

	WITH_LOCK(&all->lock);

	for (unsigned i = 0; i < all->count && freed < bytes;) {
		const struct copy_entry *c = &all->at[i];

		if (!c->listed || c->users > 0 || kept_is_on_disk(c->kept)) {
			i++;
			continue;
		}
		freed += kept_bytes(c->kept);
		drop(all, i, "its memory is needed", &gone);
	}
}

/* --- for who looks */

static const char *const places[] = { "memory", "disk" };

#define AT(m) SHAPE_AT(struct kept_view, m)

static void show_place(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%s", places[*(const bool *)at]);
}

static const struct shape_code place_code = { show_place, NULL };

static const struct shape_field view_fields[] = {
	{ "machine", SHAPE_TEXT, 0, AT(machine) },
	{ "uuid", SHAPE_TEXT, 0, AT(uuid) },
	{ "host", SHAPE_TEXT, 0, AT(host) },
	{ "kept", SHAPE_CODE, 0, AT(on_disk), .code = &place_code },
	{ "bytes", SHAPE_NUMBER, 0, AT(bytes) },
	{ "since", SHAPE_SECONDS, 0, AT(since_us) },
};

#undef AT

const struct shape kept_view_shape = SHAPE(struct kept_view, view_fields);

static const struct shape_field views_fields[] = {
	{ NULL, SHAPE_LIST, 0, SHAPE_AT(struct kept_views, at),
	  SHAPE_COUNT(struct kept_views, count), .of = &kept_view_shape },
};

const struct shape kept_views_shape = {
	.bytes = sizeof(struct kept_views),
	.fields = views_fields,
	.count = 1,
	.form = SHAPE_BARE,
};

static struct kept_view view_of(const struct kept *k)
{
	const struct kept_of *of = kept_whose(k);
	struct kept_view v = { .on_disk = kept_is_on_disk(k),
			       .bytes = kept_bytes(k),
			       .since_us = of->since_us };

	snprintf(v.machine, sizeof(v.machine), "%s", of->machine);
	snprintf(v.uuid, sizeof(v.uuid), "%s", of->uuid);
	snprintf(v.host, sizeof(v.host), "%s", of->peer);
	return v;
}

int kept_copies_list(struct kept_copies *all, struct kept_views *ret,
		     struct error *e)
{
	*ret = (struct kept_views){ 0 };

	WITH_LOCK(&all->lock);

	ret->at = calloc(all->count + 1, sizeof(*ret->at));
	if (!ret->at)
		return error_set(e, ENOMEM, "no memory for a list");
	for (unsigned i = 0; i < all->count; i++)
		if (all->at[i].listed)
			ret->at[ret->count++] = view_of(all->at[i].kept);
	return 0;
}

int kept_copies_remove(struct kept_copies *all, const char *name,
		       struct kept_view *ret, struct error *e)
{
	SCOPED(gone_done) struct gone gone = { .count = 0 };
	int i;

	WITH_LOCK(&all->lock);

	i = find(all, name);
	if (i < 0)
		return error_set(e, ENOENT,
				 "no copy of a machine %s is kept here: "
				 "'drover copy list' shows those that are",
				 name);
	*ret = view_of(all->at[i].kept);
	drop(all, (unsigned)i, "it was asked for", &gone);
	return 0;
}
