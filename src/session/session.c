/* SPDX-License-Identifier: MIT */
#include "session/session.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "frames/inbox.h"
#include "lanes/lanes.h"
#include "paths/account.h"
#include "paths/paths.h"
#include "paths/peer_cards.h"
#include "paths/planner.h"
#include "paths/report.h"
#include "session/aside.h"
#include "session/begin.h"
#include "session/hello.h"
#include "session/life.h"
#include "session/supervisor.h"
#include "session/table.h"
#include "trust/list.h"

struct session {
	/* set before the threads start */
	struct identity who;
	int event_fd;
	struct lanes *lanes;
	struct path_set *paths;
	struct supervisor supervisor;
	struct aside aside;            /* RDMA */
	struct table_entry entry;      /* on the accepting side */
	struct compressor *compressor; /* NULL: nothing is compressed */
	struct compressor_client client;

	/* the supervisor's: the list of hosts by which the peer was checked */
	unsigned trusted;

	/* with locks of their own */
	struct life life;
	struct outbox out;
	struct inbox in;

	pthread_mutex_t busy_lock; /* guards what follows */
	unsigned busy_count;
	struct message_busy busy[SESSION_BUSY_MAX];

	atomic_uint abilities;  /* the peer's: bits of enum ability */
	atomic_bool introduced; /* the first message has left */
	atomic_bool lost_peer;
};

/* --- what the parts say */

static void notify(struct session *s)
{
	eventfd_write(s->event_fd, 1);
}

static void end(struct session *s, bool failed, const char *why)
{
	if (!life_end(&s->life, failed, why))
		return;
	/* The lanes first: their goodbye is why. */
	lanes_close(s->lanes, failed, why);
	aside_end(&s->aside);
	paths_end(s->paths);
	outbox_close(&s->out);
	inbox_close(&s->in);
	notify(s);
}

static void message_came(void *context)
{
	notify(context);
}

static int cards_came(void *context, uint64_t generation, const void *text,
		      size_t len, struct error *e)
{
	struct session *s = context;

	return peer_cards_came(s->paths, generation, text, len, e);
}

static void bye_came(void *context, bool failed, const char *why)
{
	end(context, failed, why);
}

static void fail(void *context, const char *why)
{
	end(context, /* failed */ true, why);
}

static void lose_peer(void *context, const char *why)
{
	struct session *s = context;

	atomic_store(&s->lost_peer, true);
	fail(s, why);
}

/* Of a peer that was removed meanwhile. */
static void check_trust(struct session *s)
{
	struct error e;
	unsigned now;

	if (!s->who.trust)
		return;
	now = trust_generation(s->who.trust);
	if (now == s->trusted)
		return;
	s->trusted = now;
	if (trust_check(s->who.trust, s->who.peer, s->who.serial, &e) < 0)
		end(s, /* failed */ true, e.text);
}

static void tend(void *context)
{
	struct session *s = context;

	check_trust(s);
	aside_tend(&s->aside);
}

static void wake_supervisor(void *context)
{
	struct session *s = context;

	life_wake(&s->life);
}

/* The first hello says which session it is. */
static int greet(void *context, struct channel **c, struct error *e)
{
	struct session *s = context;
	const bool first = s->who.session == 0;

	if (hello_greet(&s->who, c, e) < 0)
		return error_code(e);
	if (first) {
		lanes_set_session(s->lanes, s->who.session);
		/* Finding an address that answers may have taken a while. */
		lanes_heard(s->lanes);
	}
	return 0;
}

/* --- making it */

static int make_lanes(struct session *s, struct error *e)
{
	const struct lanes_options o = { .peer = s->who.peer,
					 .out = &s->out,
					 .in = &s->in,
					 .calls = { .message = message_came,
						    .cards = cards_came,
						    .bye = bye_came,
						    .broken = fail,
						    .ended = wake_supervisor,
						    .context = s } };

	return lanes_new(&s->lanes, &o, e);
}

static int make_paths(struct session *s, const struct session_options *o,
		      struct error *e)
{
	const struct paths_options p = { .peer = s->who.peer,
					 .addresses = o->addresses,
					 .port = o->port,
					 .watch = o->cards.watch,
					 .networks = o->cards.networks,
					 .policy = o->cards.policy,
					 .lanes = s->lanes,
					 .calls = { .greet = greet,
						    .fail = lose_peer,
						    .news = wake_supervisor,
						    .context = s },
					 .stop_fd = s->life.end_fd };

	return paths_new(&s->paths, &p, e);
}

/* The descriptors and locks; what it leaves is all or nothing. */
static int make_base(struct session *s, const struct session_options *o,
		     struct error *e)
{
	if (life_init(&s->life, o->outage_limit_us, e) < 0)
		return error_code(e);
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->event_fd < 0)
		error_sys(e, "eventfd");
	else if (outbox_init(&s->out, e) == 0)
		return 0;
	scope_close(&s->event_fd);
	life_done(&s->life);
	return error_code(e);
}

static void fill_in(struct session *s)
{
	s->supervisor = (struct supervisor){ .peer = s->who.peer,
					     .life = &s->life,
					     .lanes = s->lanes,
					     .paths = s->paths,
					     .fail = fail,
					     .tend = tend,
					     .context = s };
	s->aside.peer = s->who.peer;
	s->aside.lanes = s->lanes;
	s->aside.out = &s->out;
	s->aside.secured = s->who.trust != NULL;
	s->aside.news = wake_supervisor;
	s->aside.context = s;
	s->trusted = UINT_MAX;
	s->entry = (struct table_entry){ .session = s,
					 .who = &s->who,
					 .lanes = s->lanes,
					 .paths = s->paths };
}

static int session_new(struct session **ret, const struct session_options *o,
		       struct error *e)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, ENOMEM, "no memory for a session");
	if (make_base(s, o, e) < 0) {
		free(s);
		return error_code(e);
	}
	inbox_init(&s->in);
	pthread_mutex_init(&s->busy_lock, NULL);
	snprintf(s->who.own_name, sizeof(s->who.own_name), "%s", o->own_name);
	snprintf(s->who.peer, sizeof(s->who.peer), "%s", o->peer);
	s->who.trust = o->trust;
	if (make_lanes(s, e) < 0 || make_paths(s, o, e) < 0) {
		session_discard(s);
		return error_code(e);
	}
	fill_in(s);
	s->aside.watch = o->cards.watch;
	s->aside.used = o->cards.rdma != NULL;
	if (o->cards.rdma)
		s->aside.policy = *o->cards.rdma;
	*ret = s;
	return 0;
}

void session_discard(struct session *s)
{
	aside_free(&s->aside);
	paths_free(s->paths);
	lanes_free(s->lanes);
	inbox_done(&s->in);
	outbox_done(&s->out);
	close(s->event_fd);
	life_done(&s->life);
	pthread_mutex_destroy(&s->busy_lock);
	free(s);
}

/* --- the accepting side */

int session_begin(struct session **ret, const struct session_options *o,
		  uint64_t serial, struct error *e)
{
	struct session *s;

	if (session_new(&s, o, e) < 0)
		return error_code(e);
	s->who.serial = serial;
	/* Guessing a number and a secret must be hopeless. */
	while (getrandom(&s->who.session, sizeof(s->who.session), 0) < 0 ||
	       s->who.session == 0)
		;
	while (getrandom(s->who.secret, SECRET_SIZE, 0) < 0)
		;
	lanes_set_session(s->lanes, s->who.session);
	if (aside_accepts(&s->aside, s->who.session, e) < 0) {
		session_discard(s);
		return error_code(e);
	}
	*ret = s;
	return 0;
}

struct table_entry *session_entry(struct session *s)
{
	return &s->entry;
}

/* --- beginning and ending */

/* Ends the session when it fails. */
int session_start(struct session *s, struct error *e)
{
	paths_listen(s->paths);
	if (supervisor_start(&s->supervisor, e) < 0) {
		/* Lanes may run already: their end is kept here. */
		session_fail(s, e->text);
		supervisor_finish(&s->supervisor);
	} else if (paths_start(s->paths, s->who.session, e) == 0) {
		return 0;
	} else {
		session_fail(s, e->text);
		paths_join(s->paths);
		supervisor_stop(&s->supervisor);
	}
	paths_leave(s->paths);
	return error_code(e);
}

int session_open(struct session **ret, const struct session_options *o,
		 struct error *e)
{
	static const char *const nowhere[] = { NULL };
	const unsigned lanes = o->cards.watch ? 1 : o->channels;
	struct session_options dials = *o;
	struct session *s;

	if (!dials.addresses)
		dials.addresses = nowhere;
	if (session_new(&s, &dials, e) < 0)
		return error_code(e);
	/* The supervisor reads the number that the first hello brings. */
	if (aside_dials(&s->aside, e) < 0 ||
	    paths_dial_first(s->paths, lanes, e) < 0 ||
	    session_start(s, e) < 0) {
		session_discard(s);
		return error_code(e);
	}
	if (o->compressor) {
		s->compressor = o->compressor;
		s->client.outbox = &s->out;
		s->client.policy = o->compressor_policy;
		compressor_join(s->compressor, &s->client);
	}
	*ret = s;
	return 0;
}

void session_end(struct session *s, const char *why)
{
	end(s, /* failed */ false, why);
}

void session_fail(struct session *s, const char *why)
{
	end(s, /* failed */ true, why);
}

/* Its threads. */
static void join_all(struct session *s)
{
	paths_leave(s->paths);
	paths_join(s->paths);
	supervisor_stop(&s->supervisor);
	account_remember(s->paths);
}

void session_free(struct session *s)
{
	struct compressor *compressor;

	if (!s)
		return;
	session_end(s, "done");
	join_all(s);
	/* Until here its channels count, and who joins hears how it ended. */
	table_remove(&s->entry);
	compressor = s->compressor;
	if (compressor)
		compressor_leave(compressor, &s->client);
	session_discard(s);
	/* Others may wait for the buffers that it had. */
	if (compressor)
		compressor_kick(compressor);
}

int session_check(struct session *s, struct error *e)
{
	return life_check(&s->life, e);
}

bool session_lost_peer(struct session *s)
{
	return atomic_load(&s->lost_peer);
}

bool session_failed(struct session *s)
{
	return life_failed(&s->life);
}

/* --- messages */

int session_event_fd(const struct session *s)
{
	return s->event_fd;
}

int session_send(struct session *s, const struct message *m, struct error *e)
{
	struct message introduces = *m;
	AUTO_FREE char *text = NULL;

	if (!atomic_exchange(&s->introduced, true))
		introduces.can = abilities_words();
	text = message_text(&introduces);
	if (!text)
		return error_set(e, ENOMEM, "no memory for a message");
	if (strlen(text) > MESSAGE_MAX_PAYLOAD)
		return error_set(e, EMSGSIZE, "message of %zu bytes",
				 strlen(text));
	if (outbox_put_message(&s->out, text, strlen(text), e) < 0) {
		session_check(s, e); /* knows better why */
		return error_code(e);
	}
	return 0;
}

int session_say(struct session *s, enum message_type type, struct error *e)
{
	return session_send(s, &(struct message){ .type = type }, e);
}

static void hear_abilities(struct session *s, const struct words *can)
{
	const unsigned bits = abilities_read(can);
	const unsigned before = atomic_fetch_or(&s->abilities, bits);

	if (bits & ~before & 1U << CAN_RDMA)
		aside_begin(&s->aside, s->who.session);
}

/* Of one card, in the place of what was said of it before. */
static void note_busy(struct session *s, const struct message_busy *m)
{
	unsigned i = 0;

	WITH_LOCK(&s->busy_lock);

	while (i < s->busy_count && strcmp(s->busy[i].address, m->address) != 0)
		i++;
	if (i == SESSION_BUSY_MAX)
		return;
	s->busy[i] = *m;
	s->busy_count += i == s->busy_count;
}

unsigned session_busy(struct session *s,
		      struct message_busy ret[static SESSION_BUSY_MAX])
{
	WITH_LOCK(&s->busy_lock);

	memcpy(ret, s->busy, s->busy_count * sizeof(s->busy[0]));
	return s->busy_count;
}

int session_receive(struct session *s, struct message *ret, struct error *e)
{
	eventfd_t ignored;

	eventfd_read(s->event_fd, &ignored);
	for (;;) {
		AUTO_FREE struct piece *p = inbox_message(&s->in);

		if (!p)
			return session_check(s, e);
		/* More may be waiting: keep the descriptor readable. */
		notify(s);
		if (message_parse(ret, p->data, p->len, e) < 0)
			return error_in(e, "from %s", s->who.peer);
		hear_abilities(s, &ret->can);
		if (ret->type != MESSAGE_BUSY)
			return 1;
		/* It is nobody's answer, and comes at any time. */
		note_busy(s, &ret->busy);
		message_done(ret);
	}
}

int session_skip(struct session *s, struct error *e)
{
	struct message m;
	int r;

	while ((r = session_receive(s, &m, e)) > 0)
		message_done(&m);
	return r;
}

int session_await(struct session *s, uint64_t deadline_us, struct message *ret,
		  struct error *e)
{
	struct pollfd p = { .fd = s->event_fd, .events = POLLIN };

	for (;;) {
		int r = session_receive(s, ret, e);

		if (r != 0)
			return r;
		if (clock_us() >= deadline_us)
			return error_set(e, ETIMEDOUT, "%s does not answer",
					 s->who.peer);
		poll(&p, 1, clock_poll_ms(deadline_us));
	}
}

void session_set_page_sink(struct session *s, const struct page_sink *sink)
{
	lanes_set_page_sink(s->lanes, sink);
}

void session_set_block_sink(struct session *s, const struct block_sink *sink)
{
	lanes_set_block_sink(s->lanes, sink);
}

void session_set_phase(struct session *s, enum outbox_phase phase)
{
	outbox_set_phase(&s->out, phase);
}

void session_set_outage_limit(struct session *s, uint64_t us)
{
	life_set_outage_limit(&s->life, us);
}

void session_switchover(struct session *s, uint64_t outage_limit_us)
{
	outbox_set_phase(&s->out, PHASE_SWITCHOVER);
	if (outage_limit_us != 0)
		life_set_outage_limit(&s->life, outage_limit_us);
}

/* --- what there is to see */

struct lanes *session_lanes(struct session *s)
{
	return s->lanes;
}

struct outbox *session_outbox(struct session *s)
{
	return &s->out;
}

struct inbox *session_inbox(struct session *s)
{
	return &s->in;
}

const char *session_peer(const struct session *s)
{
	return s->who.peer;
}

bool session_kept(const struct session *s)
{
	return s->entry.kept;
}

const char *session_proved(const struct session *s)
{
	return identity_proved(&s->who);
}

bool session_peer_can(struct session *s, enum ability a)
{
	return atomic_load(&s->abilities) >> a & 1;
}

bool session_compression(struct session *s, struct compressor_report *ret)
{
	if (!s->compressor)
		return false;
	*ret = compressor_report(s->compressor, &s->client);
	return true;
}

void session_stats(struct session *s, struct session_stats *ret)
{
	const struct lanes_sums sums = lanes_sums(s->lanes);
	const struct lanes_count n = lanes_count(s->lanes);
	struct inbox_stats in;

	inbox_stats(&s->in, &in);
	outbox_stats(&s->out, &ret->out);
	ret->duplicates = in.duplicates;
	ret->outage = supervisor_silent_us(s->lanes) > USEC_PER_SEC;
	ret->presses = s->compressor != NULL;
	ret->damaged = sums.damaged;
	ret->channels = n.alive - n.starting;
	ret->bytes_aside = sums.aside;
	ret->bytes_sent = sums.sent + (s->aside.source ? sums.aside : 0);
	ret->bytes_received = sums.received + (s->aside.sink ? sums.aside : 0);
}

void session_admit_rdma(struct session *s)
{
	aside_admit(&s->aside);
}

void session_rdma(struct session *s, struct rdma_view *ret)
{
	aside_view(&s->aside, ret);
}

void session_try_rdma(struct session *s, uint64_t deadline_us,
		      char why[static RDMA_WHY])
{
	struct rdma_view v;

	session_rdma(s, &v);
	while (v.open == 0 && !v.why[0] && session_peer_can(s, CAN_RDMA) &&
	       clock_us() < deadline_us && outbox_wait_change(&s->out) == 0)
		session_rdma(s, &v);
	if (v.open > 0)
		v.why[0] = '\0';
	else if (!session_peer_can(s, CAN_RDMA))
		snprintf(v.why, sizeof(v.why),
			 "the droverd of host %s knows none", s->who.peer);
	else if (!v.why[0])
		snprintf(v.why, sizeof(v.why), "no queue pair in time");
	memcpy(why, v.why, sizeof(v.why));
}

int session_await_rdma(struct session *s, uint64_t deadline_us, struct error *e)
{
	char why[RDMA_WHY];

	if (!aside_required(&s->aside))
		return 0;
	session_try_rdma(s, deadline_us, why);
	if (session_check(s, e) < 0)
		return error_code(e);
	return why[0] ? error_set(e, EPERM, "RDMA to host %s is required: %s",
				  s->who.peer, why)
		      : 0;
}

int session_paths(struct session *s, struct paths_report *ret, struct error *e)
{
	return account_report(s->paths, ret, e);
}

void session_wait_tried(struct session *s, uint64_t deadline_us)
{
	planner_wait_tried(s->paths, deadline_us);
}
