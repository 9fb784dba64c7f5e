/* SPDX-License-Identifier: MIT */

/*
 * The peer port.  A thread accepts connections; each is greeted in a thread of
 * its own, because a peer may be slow or silent.  A connection that opens a
 * session keeps its thread: it reads the first message, which says what the
 * session is for, and answers it to the end.
 *
 * All of them are counted.  Beyond their limits connections are closed at once
 * and sessions refused: whoever floods the port takes some memory and some
 * descriptors, and unknown hosts cannot take those that are left to peers.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/thread.h"
#include "channel/channel.h"
#include "host/carries.h"
#include "host/internal.h"
#include "move/commit.h"
#include "move/journal.h"
#include "nic/address.h"

enum {
	FIRST_MESSAGE_US = 10000000,
	LINGER_US = 2000000,
	/* Connections with a thread here, from addresses of no peer and from
	 * those of peers: of the settings, or of their cards. */
	UNKNOWN_MAX = 32,
	KNOWN_MAX = 96,
	/* Each holds some 0.4 MiB before it moves anything. */
	SESSIONS_MAX = 64,
	HOST_SESSIONS_MAX = 32,
	/* Each has two threads, which say that they live five times a second;
	 * moves that find no more go on with those they have. */
	HOST_CHANNELS_MAX = 64,
	/* Open files that are left to the API, to QEMUs and to disks. */
	SPARE_FILES = 64,
	/* Without files or memory the port rests for so long. */
	REST_MS = 100,
	REST_LOG_US = 60000000,
};

/* --- what a session is for */

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

/* The last answer has to arrive before the session ends. */
static void answer(struct session *s, json_t *message)
{
	struct error e;
	json_t *ignored;

	if (session_send(s, message, &e) == 0 &&
	    session_await(s, clock_us() + LINGER_US, &ignored, &e) > 0)
		json_decref(ignored);
	session_free(s);
}

static void refuse(struct session *s, const struct error *why)
{
	log_warning("request of %s: %s", session_peer(s), why->text);
	answer(s,
	       json_pack("{s:s,s:s,s:s}", "type", "failed", "error", why->text,
			 "kind", error_kind_name(error_kind(why))));
}

static void serve_compare(struct host *h, struct session *s,
			  const json_t *request)
{
	SCOPED(definition_done) struct definition d = { 0 };
	AUTO_TERMS struct terms t = terms_of(h);
	const json_t *machine = json_object_get(request, "machine");
	struct error e, why = { 0 };
	struct room_need need;
	json_t *findings;

	if (compare_read_definition(&d, machine, &e) < 0) {
		refuse(s, &e);
		return;
	}
	machine_welcome(h, &d, &why);
	if (compare_check(&t.host, machine, why.code ? why.text : NULL,
			  &findings, &e) < 0) {
		refuse(s, &e);
		return;
	}
	need = room_of_arrival(&d);
	room_find(h, &need, findings);
	answer(s, json_pack("{s:s,s:o}", "type", "findings", "findings",
			    findings));
}

/* Files are named by it, and it is compared as a whole. */
static int read_job_id(const char **ret, const json_t *request, struct error *e)
{
	const char *id = text_of(request, "job");

	if (text_check_name("job", id, e) < 0)
		return error_code(e);
	if (strlen(id) >= JOB_ID_SIZE)
		return error_set(e, EINVAL,
				 "'%.80s' is not a name for a job: use at most "
				 "%d characters",
				 id, JOB_ID_SIZE - 1);
	*ret = id;
	return 0;
}

/* A second move of that name would write over the first one's entry. */
static int check_job_is_new(struct host *h, const char *id, struct error *e)
{
	struct job *j = job_find(h, id, "destination");
	json_t *entry = NULL;
	struct error ignored;
	int r = journal_find(h->settings->state_directory, id, "destination",
			     &entry, &ignored);

	json_decref(entry);
	if (!j && r == -ENOENT)
		return 0;
	job_drop(j);
	return error_set(e, EEXIST, "%s has had a job %s already",
			 h->settings->name, id);
}

/* Of a move with somebody else nobody hears anything. */
static void answer_or_refuse(struct session *s, const char *id, json_t *words)
{
	struct error e;

	if (words) {
		answer(s, words);
		return;
	}
	error_set(&e, EACCES, "job %.16s is not a move with %s", id,
		  session_peer(s));
	refuse(s, &e);
}

static void serve_ask(struct host *h, struct session *s, const json_t *request)
{
	struct error e;
	const char *id;
	struct job *j;

	if (read_job_id(&id, request, &e) < 0) {
		refuse(s, &e);
		return;
	}
	j = job_find(h, id, "source");
	answer_or_refuse(s, id,
			 commit_answer_ask(&h->move, session_peer(s), request,
					   j));
	job_drop(j);
}

static void serve_resolve(struct host *h, struct session *s,
			  const json_t *request)
{
	struct error e = { 0 };
	const char *id;
	struct job *j;

	if (strcmp(text_of(request, "decision"), "commit") != 0)
		error_set(&e, EPROTO, "unknown decision '%.40s'",
			  text_of(request, "decision"));
	if (e.code || read_job_id(&id, request, &e) < 0) {
		refuse(s, &e);
		return;
	}
	j = job_find(h, id, "destination");
	answer_or_refuse(s, id,
			 commit_answer_resolve(&h->move, session_peer(s),
					       request, j));
	job_drop(j);
}

static void serve_holds(struct host *h, struct session *s,
			const json_t *request)
{
	answer(s, elsewhere_answer(h, session_peer(s), request));
}

static void serve_carries(struct host *h, struct session *s,
			  const json_t *request)
{
	answer(s, carries_answer(h, session_peer(s), request));
}

static int check_arrival(const struct move_host *h, const json_t *request,
			 struct error *e)
{
	json_t *findings;
	int r = compare_check(h, json_object_get(request, "machine"), NULL,
			      &findings, e);

	if (r < 0)
		return r;
	r = compare_verdict(findings, e);
	json_decref(findings);
	return r;
}

static void run_arrival(struct host *h, struct session *s,
			const json_t *request, struct machine *m, struct job *j,
			const struct room_need *need)
{
	AUTO_TERMS struct terms t = terms_of(h);
	struct room_claim claim = { 0 };
	struct move_peer peer = { 0 };
	struct error e = { 0 };
	int r = room_claim(h, &claim, j, need, &e);

	if (r == 0)
		r = check_arrival(&t.host, request, &e);
	if (r == 0 && peer_of(t.settings, session_peer(s), &peer, &e) < 0)
		r = -e.code;
	if (r < 0) {
		refuse(s, &e);
		machine_did_not_come(h, m);
	} else {
		elsewhere_note(h, m->uuid, m->name, peer.name);
		r = move_in(j, &t.host, s, request, &peer, &e);
		if (r < 0)
			machine_did_not_come(h, m);
	}
	room_release(h, &claim);
	job_settle(j, r, &e);
}

static void serve_move(struct host *h, struct session *s, const json_t *request)
{
	SCOPED(definition_done) struct definition d = { 0 };
	const char *id = "";
	struct machine *m = NULL;
	struct room_need need;
	struct error e;
	struct job *j;
	char what[80];

	if (read_job_id(&id, request, &e) < 0 ||
	    check_job_is_new(h, id, &e) < 0) {
		refuse(s, &e);
		return;
	}
	snprintf(what, sizeof(what), "job %s", id);
	if (compare_read_definition(&d, json_object_get(request, "machine"),
				    &e) < 0 ||
	    machine_expect(h, &d, what, &m, &e) < 0) {
		refuse(s, &e);
		return;
	}
	if (job_new(&j,
		    &(struct job_subject){ .id = id,
					   .kind = "move",
					   .role = "destination",
					   .machine = d.name,
					   .peer = session_peer(s) },
		    &e) < 0) {
		refuse(s, &e);
		machine_did_not_come(h, m);
		return;
	}
	job_log_begin(j);
	job_add(h, j);
	need = room_of_arrival(&d);
	run_arrival(h, s, request, m, j, &need);
	job_drop(j);
}

static const struct {
	const char *type;
	void (*serve)(struct host *h, struct session *s, const json_t *request);
} purposes[] = {
	{ "move", serve_move },       { "compare", serve_compare },
	{ "ask", serve_ask },         { "resolve", serve_resolve },
	{ "holds", serve_holds },     { "relay", relay_serve },
	{ "plan", paths_serve_plan }, { "carries", serve_carries },
};

/* A connection that is greeted. */
struct greeting {
	struct host *host;
	struct acceptor acceptor;  /* the host's, with this as its context */
	struct settings *settings; /* a reference, to those of its arrival */
	struct channel *channel;
	unsigned *count; /* of its kind */
};

static void opened(void *context, struct session *s)
{
	struct host *h = ((struct greeting *)context)->host;
	json_t *request;
	const char *type;
	struct error e;

	if (session_await(s, clock_us() + FIRST_MESSAGE_US, &request, &e) < 0) {
		log_warning("session with %s: %s", session_peer(s), e.text);
		session_free(s);
		return;
	}
	type = text_of(request, "type");
	for (size_t i = 0; i < ARRAY_SIZE(purposes); i++) {
		if (!strcmp(purposes[i].type, type)) {
			purposes[i].serve(h, s, request);
			json_decref(request);
			return;
		}
	}
	error_set(&e, EPROTO, "unknown request '%.40s'", type);
	refuse(s, &e);
	json_decref(request);
}

/* --- who may */

static bool has_address(const struct peer *p, const struct nic_address *from)
{
	struct nic_address own;

	for (size_t i = 0; i < p->addresses.count; i++)
		if (nic_address_parse(&own, p->addresses.at[i]) == 0 &&
		    nic_address_equal(&own, from))
			return true;
	return false;
}

static int admit(void *context, const char *peer, const char *from,
		 struct error *e)
{
	const struct greeting *g = context;
	const struct peer *p = settings_peer(g->settings, peer);

	if (!p)
		return error_set(e, EACCES,
				 "does not know host %s: add a section "
				 "[peer %s] to its drover.conf",
				 peer, peer);
	if (p->tls)
		return error_set(e, EACCES,
				 "wants TLS from %s, which this version does "
				 "not have: set tls = off in its [peer %s]",
				 peer, peer);
	if (!has_address(p, &g->channel->remote))
		return error_set(e, EACCES,
				 "knows %s under other addresses than %s: "
				 "correct its [peer %s]",
				 peer, from, peer);
	return paths_admit(g->host, &g->settings->networks, g->channel, e);
}

/* --- connections */

static bool is_known(const struct host *h, const struct settings *s,
		     const struct nic_address *from)
{
	for (size_t i = 0; i < s->peers.count; i++)
		if (has_address(s->peers.at[i], from))
			return true;
	return session_table_knows(h->sessions, from);
}

/* Counts a connection that is to be greeted; NULL when there are too many. */
static unsigned *count_greeting(struct host *h, const struct settings *s,
				const struct nic_address *from)
{
	bool known = is_known(h, s, from);
	unsigned *count = known ? &h->known : &h->unknown;

	WITH_LOCK(&h->lock);

	if (*count == (known ? KNOWN_MAX : UNKNOWN_MAX))
		return NULL;
	++*count;
	return count;
}

static void greeting_free(struct greeting *g)
{
	settings_drop(g->settings);
	free(g);
}

static void greeting_over(struct greeting *g)
{
	{
		WITH_LOCK(&g->host->lock);

		--*g->count;
	}
	greeting_free(g);
}

static void *greet_main(void *arg)
{
	struct greeting *g = arg;
	struct error e;

	if (session_accept(&g->acceptor, g->channel, &e) < 0)
		log_warning("peer connection: %s", e.text);
	greeting_over(g);
	return NULL;
}

static struct greeting *greeting_new(struct host *h)
{
	struct greeting *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->host = h;
	g->settings = live_now(&h->live);
	g->acceptor = h->acceptor;
	g->acceptor.context = g;
	g->acceptor.outage_limit_us = g->settings->move.outage_limit_us;
	g->acceptor.networks = &g->settings->networks;
	return g;
}

/* A negative errno when it was short of something. */
static int take_connection(struct host *h, const struct listener *l,
			   struct error *e)
{
	struct greeting *g = greeting_new(h);
	int r;

	if (!g)
		return error_set(e, ENOMEM, "no memory for a connection");
	r = l->kind->accept(&g->channel, l->fd, SPARE_FILES, e);
	if (r < 0) {
		greeting_free(g);
		return r;
	}
	g->count = count_greeting(h, g->settings, &g->channel->remote);
	if (!g->count) {
		channel_free(g->channel);
		greeting_free(g);
	} else if (thread_start(h, "greeting", greet_main, g, e) < 0) {
		channel_free(g->channel);
		greeting_over(g);
		return -ENOMEM;
	}
	return 0;
}

/* A connection that cannot be taken stays, and would be reported at once again.
 * What is short comes back when others end. */
static void rest(struct pollfd *stop, const struct error *why,
		 uint64_t *said_us)
{
	uint64_t now = clock_us();

	if (*said_us == 0 || now - *said_us > REST_LOG_US) {
		log_warning("peer port: %s: connections are put off until "
			    "others have ended",
			    why->text);
		*said_us = now;
	}
	poll(stop, 1, REST_MS);
}

static bool is_short(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOBUFS;
}

static void *listen_main(void *arg)
{
	struct host *h = arg;
	struct pollfd p[LISTENERS_MAX + 1];
	uint64_t said_us = 0;
	struct error e;

	for (unsigned i = 0; i < h->listeners; i++)
		p[i] = (struct pollfd){ .fd = h->listener[i].fd,
					.events = POLLIN };
	p[h->listeners] = (struct pollfd){ .fd = h->stop_fd, .events = POLLIN };
	for (;;) {
		poll(p, h->listeners + 1, -1);
		if (p[h->listeners].revents)
			return NULL;
		for (unsigned i = 0; i < h->listeners; i++)
			if (p[i].revents &&
			    is_short(take_connection(h, &h->listener[i], &e)))
				rest(&p[h->listeners], &e, &said_us);
	}
}

static void close_listeners(struct host *h)
{
	for (unsigned i = 0; i < h->listeners; i++)
		close(h->listener[i].fd);
	h->listeners = 0;
}

static int listen_at(struct host *h, const char *address, struct error *e)
{
	for (unsigned i = 0; i < CHANNEL_KINDS; i++) {
		struct listener *l = &h->listener[h->listeners];

		if (h->listeners == LISTENERS_MAX)
			return 0;
		l->kind = channel_kinds[i];
		if (l->kind->listen(&l->fd, address,
				    (uint16_t)h->settings->port, e) < 0)
			return error_in(e, "peer port");
		h->listeners++;
	}
	return 0;
}

static int listen_all(struct host *h, struct error *e)
{
	const struct words *addresses = &h->settings->listen;

	for (size_t i = 0; i < addresses->count; i++) {
		if (listen_at(h, addresses->at[i], e) < 0) {
			close_listeners(h);
			return error_code(e);
		}
	}
	return 0;
}

int incoming_start(struct host *h, struct error *e)
{
	int r;

	h->acceptor = (struct acceptor){
		.own_name = h->settings->name,
		.table = h->sessions,
		.admit = admit,
		.opened = opened,
		.sessions_max = SESSIONS_MAX,
		.host_sessions_max = HOST_SESSIONS_MAX,
		.host_channels_max = HOST_CHANNELS_MAX,
		.watch = h->nics,
	};
	if (listen_all(h, e) < 0)
		return error_code(e);
	r = thread_create(&h->listen_thread, "peer port", listen_main, h);
	if (r == 0)
		return 0;
	close_listeners(h);
	return error_set(e, r, "no thread for the peer port");
}

void incoming_stop(struct host *h)
{
	pthread_join(h->listen_thread, NULL);
	close_listeners(h);
}
