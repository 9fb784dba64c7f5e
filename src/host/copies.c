/* SPDX-License-Identifier: MIT */
#include "host/copies.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "disks/sink.h"
#include "host/parts.h"
#include "host/pools.h"
#include "host/registry.h"
#include "host/terms.h"
#include "move/permit.h"
#include "session/session.h"
#include "wire/message.h"

enum {
	TURN_US = 500000,
	GIVE_UP_US = 15000000, /* for a session of before to end */
	PROMISES_MOST = 256,   /* files that come at once, and are counted */
	SECTOR = 512,
};

struct copy {
	struct copy *next;
	char job[17], peer[64], machine[64];
	struct disk_sink *sink;
	struct words paths;
	uint64_t *promised; /* bytes, of each */
	/* guarded by the list */
	struct session *session; /* NULL: it has ended */
	unsigned owners;
	bool takes; /* its files are made: others find it */
	bool here, given_up;
	pthread_mutex_t sealing; /* one seals, the other hears so */
};

struct copies {
	pthread_mutex_t lock; /* guards the list and owners */
	struct copy *first;
};

struct copies *copies_new(void)
{
	struct copies *all = calloc(1, sizeof(*all));

	if (all)
		pthread_mutex_init(&all->lock, NULL);
	return all;
}

void copies_free(struct copies *all)
{
	if (!all)
		return;
	pthread_mutex_destroy(&all->lock);
	free(all);
}

/* Locked. */
static struct copy *find(struct copies *all, const char *job)
{
	struct copy *c = all->first;

	while (c && (!c->takes || strcmp(c->job, job) != 0))
		c = c->next;
	return c;
}

/* @peer NULL: of whichever. */
static struct copy *claim(struct copies *all, const char *job, const char *peer)
{
	struct copy *c;

	WITH_LOCK(&all->lock);

	c = find(all, job);
	if (!c || c->given_up || (peer && strcmp(c->peer, peer) != 0))
		return NULL;
	c->owners++;
	return c;
}

struct copy *copies_claim(struct copies *all, const char *job, const char *peer)
{
	return claim(all, job, peer);
}

static void copy_free(struct copy *c)
{
	sink_free(c->sink, c->here);
	words_done(&c->paths);
	free(c->promised);
	pthread_mutex_destroy(&c->sealing);
	free(c);
}

void copies_drop(struct copies *all, struct copy *c, bool here)
{
	struct copy **at;

	if (!c)
		return;
	{
		WITH_LOCK(&all->lock);

		c->here |= here;
		if (--c->owners > 0)
			return;
		for (at = &all->first; *at != c; at = &(*at)->next)
			;
		*at = c->next;
	}
	copy_free(c);
}

bool copies_have(struct copies *all, const char *job, const char *path)
{
	const struct copy *c;

	WITH_LOCK(&all->lock);

	c = find(all, job);
	return c && words_have(&c->paths, path);
}

static int seal(struct copy *c, struct error *e)
{
	WITH_LOCK(&c->sealing);

	return sink_is_sealed(c->sink) ? 0 : sink_seal(c->sink, e);
}

int copies_seal(struct copies *all, const char *job, struct error *e)
{
	struct copy *c = claim(all, job, NULL);
	int r;

	if (!c)
		return 0;
	r = seal(c, e);
	copies_drop(all, c, false);
	return r;
}

/* --- the session */

/* Locked.  What the copies that come may still take, into @ret. */
static size_t promised_to(struct copies *all, struct pool_need *ret, size_t cap)
{
	size_t n = 0;

	for (const struct copy *c = all->first; c; c = c->next)
		for (size_t i = 0; i < c->paths.count && n < cap; i++) {
			const char *path = c->paths.at[i];
			struct stat st = { .st_blocks = 0 };
			uint64_t has;

			(void)stat(path, &st);
			has = (uint64_t)st.st_blocks * SECTOR;
			if (has < c->promised[i])
				ret[n++] = (struct pool_need){
					path, c->promised[i] - has
				};
		}
	return n;
}

/* Locked. */
static int check_room(struct host *h, const struct copy *c, struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(h);
	struct pool_need promised[PROMISES_MOST];
	AUTO_FREE struct pool_need *need =
		calloc(c->paths.count + 1, sizeof(*need));
	size_t n = promised_to(h->copies, promised, PROMISES_MOST);

	if (!need)
		return error_set(e, ENOMEM, "no memory for disks");
	for (size_t i = 0; i < c->paths.count; i++)
		need[i] = (struct pool_need){ c->paths.at[i], c->promised[i] };
	return pools_check_room(&t.settings->pools,
				(struct pool_needs){ need, c->paths.count },
				(struct pool_needs){ promised, n },
				t.host.own_name, e);
}

/* Whoever comes next counts what this one was promised. */
static int enter(struct host *h, struct copy *c, struct error *e)
{
	WITH_LOCK(&h->copies->lock);

	if (check_room(h, c, e) < 0)
		return error_code(e);
	c->next = h->copies->first;
	h->copies->first = c;
	return 0;
}

static int check_disks(struct host *h, const struct message_disks *m,
		       struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(h);

	if (text_check_name("job", m->job, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < m->count; i++) {
		if (strcmp(m->at[i].format, "raw") != 0)
			return error_set(e, EOPNOTSUPP,
					 "%s takes copies of raw disks only, "
					 "and %.200s is %s",
					 t.host.own_name, m->at[i].path,
					 m->at[i].format);
		if (permit_file(&t.host, m->at[i].path, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* @known: the machine is, here, and what it left here may be its own. */
static int make_sink(struct copy *c, struct session *s,
		     const struct message_disks *m, bool known, struct error *e)
{
	char mark[SINK_MARK_CAP];
	struct disk_file *files = calloc(m->count + 1, sizeof(*files));
	int r;

	if (!files)
		return error_set(e, ENOMEM, "no memory for disks");
	snprintf(mark, sizeof(mark), "%s/%s", c->peer, c->machine);
	for (size_t i = 0; i < m->count; i++)
		files[i] = (struct disk_file){ .path = m->at[i].path,
					       .size = m->at[i].size_bytes,
					       .mark = mark,
					       .replace = !known };
	r = sink_new(&c->sink, s, files, m->count, e);
	free(files);
	if (r == -EEXIST)
		return error_in(e, "what is there is not overwritten: move it "
				   "away, or remove it");
	return r;
}

/* Locked. */
static struct copy *of_before(struct copies *all, const char *peer,
			      const char *machine)
{
	struct copy *c = all->first;

	while (c &&
	       (strcmp(c->peer, peer) != 0 || strcmp(c->machine, machine) != 0))
		c = c->next;
	return c;
}

/* 1: there is none, or no more; 0: it ends. */
static int give_up(struct copies *all, const char *peer, const char *machine,
		   struct error *e)
{
	struct copy *c;

	WITH_LOCK(&all->lock);

	c = of_before(all, peer, machine);
	if (!c)
		return 1;
	if (!c->given_up && c->owners > 1)
		return error_set(e, EBUSY,
				 "job %s has the disks of machine %s here: "
				 "wait for its end",
				 c->job, machine);
	c->given_up = true;
	if (c->session)
		session_end(c->session, "the disks are copied anew");
	return 0;
}

/* The source has begun anew, since it was killed or could not say that it had
 * given up: what it left here waits for nobody. */
static int take_over(struct copies *all, const char *peer, const char *machine,
		     struct error *e)
{
	const uint64_t deadline = clock_us() + GIVE_UP_US;
	int r;

	while ((r = give_up(all, peer, machine, e)) == 0) {
		if (clock_us() > deadline)
			return error_set(e, EBUSY,
					 "the copy of before of machine %s "
					 "does not end",
					 machine);
		poll(NULL, 0, 20);
	}
	return r < 0 ? r : 0;
}

static int note_promise(struct copy *c, const struct message_disks *m,
			struct error *e)
{
	c->promised = calloc(m->count + 1, sizeof(*c->promised));
	if (!c->promised)
		return error_set(e, ENOMEM, "no memory for disks");
	for (size_t i = 0; i < m->count; i++) {
		c->promised[i] = m->at[i].allocated_bytes;
		if (words_add(&c->paths, m->at[i].path, e) < 0)
			return error_code(e);
	}
	return 0;
}

static struct copy *copy_new(struct session *s, const struct message_disks *m,
			     struct error *e)
{
	struct copy *c = calloc(1, sizeof(*c));

	if (!c) {
		error_set(e, ENOMEM, "no memory for disks");
		return NULL;
	}
	pthread_mutex_init(&c->sealing, NULL);
	c->owners = 1;
	snprintf(c->job, sizeof(c->job), "%s", m->job);
	snprintf(c->peer, sizeof(c->peer), "%s", session_peer(s));
	snprintf(c->machine, sizeof(c->machine), "%s", m->machine);
	c->session = s;
	if (note_promise(c, m, e) == 0)
		return c;
	copy_free(c);
	return NULL;
}

/* NULL: @e says why. */
static struct copy *begin(struct host *h, struct session *s,
			  const struct message_disks *m, struct error *e)
{
	struct copy *c;

	/* What was of before has taken the room that is looked for. */
	if (check_disks(h, m, e) < 0 ||
	    take_over(h->copies, session_peer(s), m->machine, e) < 0 ||
	    !(c = copy_new(s, m, e)))
		return NULL;
	if (enter(h, c, e) < 0) {
		copy_free(c);
		return NULL;
	}
	if (make_sink(c, s, m, registry_has(h->registry, m->machine), e) < 0) {
		copies_drop(h->copies, c, false);
		return NULL;
	}

	WITH_LOCK(&h->copies->lock);

	c->takes = true;
	return c;
}

static void say_failed(struct session *s, const struct error *why)
{
	struct message m = { .type = MESSAGE_FAILED };
	struct error e;

	log_warning("disks from %s: %s", session_peer(s), why->text);
	snprintf(m.failed.error, sizeof(m.failed.error), "%s", why->text);
	snprintf(m.failed.kind, sizeof(m.failed.kind), "%s",
		 error_kind_name(error_kind(why)));
	(void)session_send(s, &m, &e);
}

/* Until the source has heard that it is sealed, and ends the session. */
static void follow(struct session *s, struct copy *c)
{
	struct error e;
	int r = -ETIMEDOUT;

	while (r >= 0 || r == -ETIMEDOUT) {
		AUTO_MESSAGE struct message got = { 0 };

		r = session_await(s, clock_us() + TURN_US, &got, &e);
		if (r < 0 || got.type != MESSAGE_SEAL)
			continue;
		if (seal(c, &e) < 0)
			say_failed(s, &e);
		else
			(void)session_say(s, MESSAGE_SEALED, &e);
	}
	log_debug("disks from %s: %s", session_peer(s), e.text);
}

/* A move that has begun with the copy goes on with what is in it: then it is
 * durable, whatever has ended the session. */
static void part(struct host *h, struct copy *c)
{
	struct error e;

	if (seal(c, &e) < 0)
		log_error("disks of job %s: %s", c->job, e.text);
	copies_drop(h->copies, c, false);
}

/* Nobody ends it from here on. */
static void forget_session(struct copies *all, struct copy *c)
{
	WITH_LOCK(&all->lock);

	c->session = NULL;
}

void copies_serve(struct host *h, struct session *s,
		  const struct message *request)
{
	struct error e;
	struct copy *c = begin(h, s, &request->disks, &e);

	if (!c) {
		AUTO_MESSAGE struct message ignored = { 0 };
		struct error why = e;

		say_failed(s, &why);
		session_await(s, clock_us() + 2000000, &ignored, &e);
		session_free(s);
		return;
	}
	if (session_say(s, MESSAGE_TAKES, &e) == 0)
		follow(s, c);
	sink_stop(c->sink);
	forget_session(h->copies, c);
	session_free(s);
	part(h, c);
}
