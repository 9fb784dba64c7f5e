/* SPDX-License-Identifier: MIT */
#include "move/copy.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "disks/server.h"
#include "disks/standby.h"
#include "move/disk_paths.h"
#include "move/job.h"
#include "move/paths.h"
#include "move/peer.h"
#include "qemu/definition.h"
#include "qemu/drives.h"
#include "qemu/mirror.h"
#include "session/session.h"

enum {
	ANSWER_US = 20000000,
	SEAL_US = 60000000, /* of a disk that is slow to sync */
	END_US = 20000000,
	TURN_MS = 20,
	LOOK_US = 200000,    /* between looks at jobs while the memory moves */
	IN_FLIGHT = 1 << 20, /* bytes that a guest is just writing */
};

struct copied {
	struct mirror mirror;
	char *node, *path;
	char *there; /* its path on the other host */
	char socket[PATH_MAX];
	uint64_t size, allocated;
	struct standby_job standby;
	bool started;
};

struct copy {
	const struct move_peer *peer;
	struct words asked; /* disk_paths.h, without pools */
	struct session *session;
	struct copied *at;
	struct disk_server **servers; /* one for each, in their order */
	size_t count;
	struct disk_standby *standby;
	uint64_t next_look_us;
	int in_step; /* of the last look */
	bool guest_stands;
};

/* --- where to */

/* One of an older version answers that it does not know the question, and
 * nothing has begun. */
static int ask_folder(const struct copy *c, const struct move_host *host,
		      const char *pool, struct message *ret, struct error *e)
{
	struct message m = { .type = MESSAGE_POOL };

	snprintf(m.pool, sizeof(m.pool), "%s", pool);
	if (peer_ask(host, c->peer, &m, ANSWER_US, ret, e) < 0)
		return error_code(e);
	return peer_check_answer(ret, MESSAGE_FOLDER, c->peer->name, e);
}

/* A pool's name gives way to the folder that the other host has for it. */
static int find_folder(struct copy *c, const struct move_host *host,
		       const char *line, struct error *e)
{
	AUTO_MESSAGE struct message answer = { 0 };
	const char *where = strchr(line, '=') + 1;
	char pool[DISK_POOL_CAP];

	disk_paths_pool(pool, where);
	if (!pool[0])
		return words_add(&c->asked, line, e);
	if (ask_folder(c, host, pool, &answer, e) < 0)
		return error_in(e, "pool %s", pool);
	return words_addf(&c->asked, e, "%.*s%s/", (int)(where - line), line,
			  answer.folder);
}

static int find_folders(struct copy *c, const struct move_host *host,
			const struct words *asked, struct error *e)
{
	for (size_t i = 0; asked && i < asked->count; i++)
		if (find_folder(c, host, asked->at[i], e) < 0)
			return error_code(e);
	return c->asked.count > 0 ? disk_paths_check(&c->asked, e) : 0;
}

/* --- which disks */

static struct disk_description *described_as(struct machine_description *m,
					     const char *path)
{
	for (size_t i = 0; i < m->n_disks; i++)
		if (!strcmp(m->disks[i].path, path))
			return &m->disks[i];
	return NULL;
}

static int refuse(const struct drive *d, const char *why, struct error *e)
{
	return error_set(e, EOPNOTSUPP, "disk %s (%.200s) cannot be copied: %s",
			 d->name, d->file ? d->file : "?", why);
}

static int check_drive(const struct drive *d, struct error *e)
{
	struct stat st;

	if (!d->file || d->file[0] != '/')
		return refuse(d, "it is no file of this host", e);
	if (d->filtered || !d->node)
		return refuse(d, "a filter stands in front of its image", e);
	if (!d->format || strcmp(d->format, "raw") != 0)
		return refuse(d, "only raw disks are copied so far", e);
	if (d->chain.count > 0 || d->snapshots > 0)
		return refuse(d, "what is below it, or inside, is not copied",
			      e);
	if (stat(d->file, &st) < 0 || !S_ISREG(st.st_mode))
		return refuse(d, "it is no regular file", e);
	if (d->size == 0)
		return refuse(d, "its size is not known", e);
	return 0;
}

static void name_mirror(struct mirror *m, size_t number)
{
	snprintf(m->id, sizeof(m->id), "drover-copy%zu", number);
}

/* @there: what is asked; NULL: its path here. */
static int add_disk(struct copy *c, const struct drive *d, const char *there,
		    const struct move_machine *m, struct error *e)
{
	struct copied *to = &c->at[c->count];

	assert(d->node && d->file); /* check_drive() */
	to->node = strdup(d->node);
	to->path = strdup(d->file);
	to->there = disk_paths_make(there ? there : d->file, d->file);
	to->size = d->size;
	to->allocated = d->allocated;
	c->count++;
	if (!to->node || !to->path || !to->there)
		return error_set(e, ENOMEM, "no memory for disks");
	snprintf(to->socket, sizeof(to->socket), "%s/copy%zu.sock", m->run_dir,
		 c->count - 1);
	name_mirror(&to->mirror, c->count - 1);
	to->mirror.node = to->node;
	to->mirror.socket = to->socket;
	to->mirror.export = to->mirror.id;
	to->mirror.raw = true;
	return 0;
}

static const char *asked_for(const struct copy *c, const struct definition *d,
			     const char *path)
{
	const struct definition_disk *as = defined_disks_find(&d->disks, path);

	return as ? disk_paths_find(&c->asked, as->name) : NULL;
}

/* What is asked of a disk that does not go is not passed over. */
static int check_asked(const struct copy *c, const struct definition *d,
		       struct error *e)
{
	size_t n = c->asked.count;

	for (size_t i = 0; i < c->count; i++)
		n -= asked_for(c, d, c->at[i].path) != NULL;
	if (n == 0)
		return 0;
	return error_set(e, EINVAL,
			 "a path is given for a disk that does not go with the "
			 "machine: only one that has a name in the definition, "
			 "is written and is not shared can have another path "
			 "there ('drover disk list %s')",
			 d->name);
}

/* Those that are written and that the definition does not call shared. */
static int choose(struct copy *c, const struct job *job,
		  const struct move_machine *m, struct qmp *q,
		  struct machine_description *described, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	SCOPED(drives_done) struct drives drives = { .count = 0 };

	if (definition_parse(&d, m->name, m->definition, e) < 0 ||
	    drives_list(q, &drives, e) < 0)
		return error_code(e);
	c->at = calloc(drives.count + 1, sizeof(*c->at));
	c->servers = calloc(drives.count + 1, sizeof(struct disk_server *));
	if (!c->at || !c->servers)
		return error_set(e, ENOMEM, "no memory for disks");
	for (size_t i = 0; i < drives.count; i++) {
		const struct drive *one = &drives.at[i];
		struct disk_description *as;

		if (one->read_only ||
		    (one->file && definition_says_shared(&d, one->file)))
			continue;
		if (check_drive(one, e) < 0)
			return error_code(e);
		as = described_as(described, one->file);
		if (!as)
			return refuse(one, "it is named in another way", e);
		snprintf(as->copy, sizeof(as->copy), "%s", job->id);
		if (add_disk(c, one, asked_for(c, &d, one->file), m, e) < 0)
			return error_code(e);
	}
	return check_asked(c, &d, e);
}

/* By the definition that the other host is sent. */
static int place_all(const struct copy *c, struct machine_description *to,
		     struct error *e)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct copied *at = &c->at[i];

		assert(at->path && at->there); /* add_disk() */
		if (strcmp(at->path, at->there) != 0 &&
		    disk_paths_set(to, at->path, at->there, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* --- the session */

static int ask(struct copy *c, const struct job *job, struct error *e)
{
	AUTO_MESSAGE struct message answer = { 0 };
	AUTO_MESSAGE struct message m = { .type = MESSAGE_DISKS };
	int r;

	snprintf(m.disks.job, sizeof(m.disks.job), "%s", job->id);
	snprintf(m.disks.machine, sizeof(m.disks.machine), "%s", job->machine);
	m.disks.at = calloc(c->count, sizeof(*m.disks.at));
	if (!m.disks.at)
		return error_set(e, ENOMEM, "no memory for disks");
	for (; m.disks.count < c->count; m.disks.count++) {
		struct message_disk *d = &m.disks.at[m.disks.count];

		d->path = strdup(c->at[m.disks.count].there);
		d->size_bytes = c->at[m.disks.count].size;
		d->allocated_bytes = c->at[m.disks.count].allocated;
		snprintf(d->format, sizeof(d->format), "raw");
	}
	if (session_send(c->session, &m, e) < 0)
		return error_code(e);
	r = session_await(c->session, clock_us() + ANSWER_US, &answer, e);
	return r < 0 ? r
		     : peer_check_answer(&answer, MESSAGE_TAKES, c->peer->name,
					 e);
}

static uid_t user_of(const struct move_machine *m)
{
	struct stat st;

	return lstat(m->run_dir, &st) < 0 ? 0 : st.st_uid;
}

static int serve_all(struct copy *c, const struct move_machine *m,
		     struct error *e)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct disk_server_options o = {
			.session = c->session,
			.disk = (unsigned)i,
			.name = c->at[i].mirror.export,
			.size = c->at[i].size,
			.path = c->at[i].socket,
			.owner = { .number = user_of(m) },
		};

		if (disk_server_new(&c->servers[i], &o, e) < 0)
			return error_code(e);
	}
	return standby_new(&c->standby, c->session, c->servers, c->count, e);
}

static int mirror_all(struct copy *c, struct qmp *q, struct error *e)
{
	for (size_t i = 0; i < c->count; i++) {
		c->at[i].started = true;
		if (mirror_start(q, &c->at[i].mirror, e) < 0)
			return error_in(e, "mirror %s", c->at[i].path);
	}
	return 0;
}

static int begin(struct copy *c, const struct job *job,
		 const struct session_options *so, const struct move_machine *m,
		 struct qmp *q, struct error *e)
{
	if (session_open(&c->session, so, e) < 0 || ask(c, job, e) < 0)
		return error_code(e);
	return serve_all(c, m, e) < 0 ? error_code(e) : mirror_all(c, q, e);
}

/* NOLINTNEXTLINE(readability-function-size): all that a move is made of */
int copy_begin(struct copy **ret, struct job *job, const struct move_host *host,
	       const struct move_machine *machine, const struct move_peer *peer,
	       const struct move_options *o, struct qmp *q,
	       struct machine_description *described, struct error *e)
{
	struct session_options so =
		peer_session(host, peer, &o->paths, o->outage_limit_us);
	struct copy *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(e, ENOMEM, "no memory for disks");
	so.cards.rdma = NULL; /* it has no pages */
	c->peer = peer;
	if (find_folders(c, host, o->disk_paths, e) == 0 &&
	    choose(c, job, machine, q, described, e) == 0 &&
	    place_all(c, described, e) == 0 &&
	    (c->count == 0 || begin(c, job, &so, machine, q, e) == 0)) {
		*ret = c;
		return 0;
	}
	copy_end(c, q);
	return error_code(e);
}

/* --- while it goes on */

int copy_paths(const struct copy *c, struct words *ret, struct error *e)
{
	for (size_t i = 0; i < c->count; i++)
		if (words_add(ret, c->at[i].path, e) < 0)
			return error_code(e);
	return 0;
}

void copy_switchover(struct copy *c, uint64_t outage_limit_us)
{
	if (c->count == 0)
		return;
	c->guest_stands = true;
	standby_guest_stands(c->standby);
	session_switchover(c->session, outage_limit_us);
}

static int drain_messages(struct copy *c, struct error *e)
{
	struct message got;
	int r = session_receive(c->session, &got, e);

	if (r <= 0)
		return r;
	r = got.type == MESSAGE_FAILED
		    ? peer_error(&got.failed, c->peer->name, e)
		    : 0;
	message_done(&got);
	return r;
}

int copy_check(struct copy *c, struct error *e)
{
	if (c->count == 0)
		return 0;
	if (session_check(c->session, e) < 0 || drain_messages(c, e) < 0)
		return error_in(e, "the disks");
	return 0;
}

/* 0: it goes on, or will. */
static int tend(struct copy *c, size_t i, struct qmp *q,
		const struct mirror_state *now, struct error *e)
{
	struct copied *d = &c->at[i];
	struct disk_server_stats st;
	struct error ignored;
	bool rests;

	disk_server_stats(c->servers[i], &st);
	/* What was in flight arrives first: nobody is taken before. */
	rests = standby_rests(c->standby) ||
		(!st.connected && st.in_flight > 0);
	switch (now->step == MIRROR_STANDS
			? standby_act(&d->standby, clock_us(), rests)
			: STANDBY_GIVE_UP) {
	case STANDBY_WAIT:
		return 0;
	case STANDBY_RESUME:
		/* It may go on by itself meanwhile, which is as good. */
		if (mirror_resume(q, &d->mirror, &ignored) < 0)
			log_debug("disk %s: %s", d->path, ignored.text);
		return 0;
	case STANDBY_GIVE_UP:
		break;
	}
	return error_set(e, EIO, "the copy of disk %s has stopped%s%s%s%s",
			 d->path, now->why[0] ? ": " : "", now->why,
			 st.why[0] ? ": " : "", st.why);
}

static int look_at(struct copy *c, size_t i, struct qmp *q,
		   struct copy_progress *ret, struct error *e)
{
	struct copied *d = &c->at[i];
	struct mirror_state now;

	if (mirror_look(q, &d->mirror, &now, e) < 0)
		return error_code(e);
	ret->done += now.done;
	ret->all += now.all;
	if (now.step == MIRROR_READY)
		return standby_in_step(&d->standby, clock_us(),
				       now.all - now.done,
				       c->guest_stands ? 0 : IN_FLIGHT);
	return now.step == MIRROR_COPIES ? 0 : tend(c, i, q, &now, e);
}

int copy_look(struct copy *c, struct qmp *q, struct copy_progress *ret,
	      struct error *e)
{
	int ready = 1;

	*ret = (struct copy_progress){ 0 };
	if (copy_check(c, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < c->count; i++) {
		int r = look_at(c, i, q, ret, e);

		if (r < 0) {
			(void)copy_check(c, e); /* knows better why */
			return error_code(e);
		}
		ready &= r;
	}
	return ready;
}

int copy_tend(struct copy *c, struct qmp *q, struct error *e)
{
	struct copy_progress ignored;

	if (c->count == 0)
		return 1;
	if (clock_us() >= c->next_look_us) {
		c->next_look_us = clock_us() + LOOK_US;
		c->in_step = copy_look(c, q, &ignored, e);
		if (c->in_step < 0)
			return c->in_step;
	} else if (copy_check(c, e) < 0) {
		return error_code(e);
	}
	return c->in_step && !standby_rests(c->standby);
}

/* --- its end */

static int await_end(struct copied *d, struct qmp *q, uint64_t deadline_us,
		     struct error *e)
{
	struct mirror_state now;

	do {
		if (mirror_look(q, &d->mirror, &now, e) < 0)
			return error_code(e);
		if (now.step == MIRROR_NONE || now.step == MIRROR_ENDED)
			return now.why[0] ? error_set(e, EIO,
						      "the copy of disk %s: %s",
						      d->path, now.why)
					  : 0;
		poll(NULL, 0, TURN_MS);
	} while (clock_us() < deadline_us);
	return error_set(e, ETIMEDOUT, "the copy of disk %s does not end",
			 d->path);
}

int copy_seal(struct copy *c, struct qmp *q, struct error *e)
{
	AUTO_MESSAGE struct message answer = { 0 };
	int r;

	if (c->count == 0)
		return 0;
	for (size_t i = 0; i < c->count; i++)
		if (mirror_end(q, &c->at[i].mirror, false, e) < 0)
			return error_code(e);
	for (size_t i = 0; i < c->count; i++) {
		if (await_end(&c->at[i], q, clock_us() + END_US, e) < 0)
			return error_code(e);
		(void)mirror_clear(q, &c->at[i].mirror);
		c->at[i].started = false;
	}
	if (session_say(c->session, MESSAGE_SEAL, e) < 0)
		return error_code(e);
	r = session_await(c->session, clock_us() + SEAL_US, &answer, e);
	return r < 0 ? r
		     : peer_check_answer(&answer, MESSAGE_SEALED, c->peer->name,
					 e);
}

static bool sweep_one(struct copied *d, struct qmp *q)
{
	struct mirror_state now;
	struct error e;

	if (mirror_look(q, &d->mirror, &now, &e) < 0)
		return false;
	if (now.step != MIRROR_NONE) {
		(void)mirror_end(q, &d->mirror, true, &e);
		(void)await_end(d, q, clock_us() + END_US, &e);
	}
	return mirror_clear(q, &d->mirror) || now.step != MIRROR_NONE;
}

void copy_sweep(struct qmp *q)
{
	struct copied d = { .path = (char[]){ "of before" } };
	size_t n = 0;

	do
		name_mirror(&d.mirror, n);
	while (sweep_one(&d, q) && ++n < MESSAGE_DISKS_MAX);
}

static void stop_mirror(struct copied *d, struct qmp *q)
{
	struct error e;

	if (!d->started || !q)
		return;
	(void)mirror_end(q, &d->mirror, true, &e);
	if (await_end(d, q, clock_us() + END_US, &e) < 0)
		log_debug("disk %s: %s", d->path, e.text);
	(void)mirror_clear(q, &d->mirror);
}

void copy_end(struct copy *c, struct qmp *q)
{
	if (!c)
		return;
	/* A job that waits for an answer ends when the connection does. */
	if (c->session)
		session_end(c->session, "the disks are copied no longer");
	standby_free(c->standby);
	for (size_t i = 0; i < c->count; i++)
		disk_server_stop(c->servers[i]);
	for (size_t i = 0; i < c->count; i++)
		stop_mirror(&c->at[i], q);
	session_free(c->session);
	for (size_t i = 0; i < c->count; i++) {
		disk_server_free(c->servers[i]);
		free(c->at[i].node);
		free(c->at[i].path);
		free(c->at[i].there);
	}
	words_done(&c->asked);
	free(c->servers);
	free(c->at);
	free(c);
}
