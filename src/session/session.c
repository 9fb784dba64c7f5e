/* SPDX-License-Identifier: MIT */
#include "session/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"
#include "nic/cards.h"
#include "session/internal.h"

static int init_parts(struct session *s, struct error *e)
{
	e->code = 0;
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->event_fd < 0 || s->end_fd < 0)
		error_sys(e, "eventfd");
	else
		outbox_init(&s->out, e);
	if (e->code != 0) {
		scope_close(&s->event_fd);
		scope_close(&s->end_fd);
		return error_code(e);
	}
	inbox_init(&s->in);
	pthread_mutex_init(&s->lock, NULL);
	clock_cond_init(&s->changed);
	s->spares = json_array();
	s->idle = json_array();
	return 0;
}

int session_new(struct session **ret, const char *own_name, const char *peer,
		uint64_t outage_limit_us, struct error *e)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, ENOMEM, "no memory for a session");
	if (init_parts(s, e) < 0) {
		free(s);
		return error_code(e);
	}
	snprintf(s->own_name, sizeof(s->own_name), "%s", own_name);
	snprintf(s->peer, sizeof(s->peer), "%s", peer);
	s->outage_limit_us = outage_limit_us;
	s->heard_us = s->opened_us = clock_us();
	for (unsigned i = 0; i < CHANNELS_MAX; i++) {
		s->carrier[i].session = s;
		s->carrier[i].index = i;
	}
	*ret = s;
	return 0;
}

void session_destroy(struct session *s)
{
	for (char **a = s->addresses; a && *a; a++)
		free(*a);
	free(s->addresses);
	paths_free(s);
	free(s->cards_text);
	cards_free(s->far_cards);
	json_decref(s->spares);
	json_decref(s->idle);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	inbox_done(&s->in);
	outbox_done(&s->out);
	close(s->event_fd);
	close(s->end_fd);
	free(s);
}

void session_notify(struct session *s)
{
	eventfd_write(s->event_fd, 1);
}

/* The clock is read second: readers move heard_us meanwhile, and a silence of
 * less than nothing would be one of half a million years. */
uint64_t session_silent_us(struct session *s)
{
	uint64_t heard = atomic_load(&s->heard_us);

	return clock_us() - heard;
}

static void end(struct session *s, bool failed, const char *why)
{
	{
		WITH_LOCK(&s->lock);

		if (s->ended)
			return;
		s->ended = true;
		atomic_store(&s->over, true);
		s->ended_us = clock_us();
		s->failed = failed;
		snprintf(s->why, sizeof(s->why), "%s", why);
		pthread_cond_broadcast(&s->changed);
		eventfd_write(s->end_fd, 1);
		paths_shutdown(s);
	}
	outbox_close(&s->out);
	inbox_close(&s->in);
	session_notify(s);
}

void session_end(struct session *s, const char *why)
{
	end(s, /* failed */ false, why);
}

void session_fail(struct session *s, const char *why)
{
	end(s, /* failed */ true, why);
}

void session_free(struct session *s)
{
	struct compressor *compressor;

	if (!s)
		return;
	session_end(s, "done");
	keeper_join(s);
	/* Until here its channels count, and who joins hears how it ended. */
	if (s->table)
		table_remove(s);
	compressor = s->compressor;
	if (compressor)
		compressor_leave(compressor, &s->client);
	session_destroy(s);
	/* Others may wait for the buffers that it had. */
	if (compressor)
		compressor_kick(compressor);
}

int session_check(struct session *s, struct error *e)
{
	WITH_LOCK(&s->lock);

	if (!s->ended)
		return 0;
	return error_set(e, ECONNABORTED, "%s", s->why);
}

bool session_failed(struct session *s)
{
	WITH_LOCK(&s->lock);

	return s->ended && s->failed;
}

int session_event_fd(const struct session *s)
{
	return s->event_fd;
}

int session_send(struct session *s, json_t *message, struct error *e)
{
	AUTO_FREE char *text = NULL;

	if (!atomic_exchange(&s->introduced, true))
		json_object_set_new(message, "can", abilities_json());
	text = json_dumps(message, JSON_COMPACT);
	json_decref(message);
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

int session_receive(struct session *s, json_t **ret, struct error *e)
{
	eventfd_t ignored;
	AUTO_FREE struct piece *p = NULL;
	json_error_t where;

	eventfd_read(s->event_fd, &ignored);
	p = inbox_message(&s->in);
	if (!p)
		return session_check(s, e);
	/* More may be waiting: keep the descriptor readable. */
	session_notify(s);
	*ret = json_loadb((const char *)p->data, p->len, 0, &where);
	if (!json_is_object(*ret)) {
		json_decref(*ret);
		return error_set(e, EBADMSG,
				 "%s sent a message that is no "
				 "JSON object",
				 s->peer);
	}
	atomic_fetch_or(&s->abilities,
			abilities_read(json_object_get(*ret, "can")));
	return 1;
}

int session_skip(struct session *s, struct error *e)
{
	json_t *message;
	int r;

	while ((r = session_receive(s, &message, e)) > 0)
		json_decref(message);
	return r;
}

int session_await(struct session *s, uint64_t deadline_us, json_t **ret,
		  struct error *e)
{
	struct pollfd p = { .fd = s->event_fd, .events = POLLIN };

	for (;;) {
		int r = session_receive(s, ret, e);

		if (r != 0)
			return r;
		if (clock_us() >= deadline_us)
			return error_set(e, ETIMEDOUT, "%s does not answer",
					 s->peer);
		poll(&p, 1, clock_poll_ms(deadline_us));
	}
}

void session_set_page_sink(struct session *s, const struct page_sink *sink)
{
	atomic_store(&s->sink, sink);
}

void session_set_phase(struct session *s, enum outbox_phase phase)
{
	outbox_set_phase(&s->out, phase);
}

void session_switchover(struct session *s, uint64_t outage_limit_us)
{
	outbox_set_phase(&s->out, PHASE_SWITCHOVER);
	if (outage_limit_us == 0)
		return;

	WITH_LOCK(&s->lock);

	s->outage_limit_us = outage_limit_us;
	pthread_cond_broadcast(&s->changed);
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
	return s->peer;
}

bool session_peer_can(struct session *s, enum ability a)
{
	return atomic_load(&s->abilities) >> a & 1;
}

/* Of bytes that may be none. */
static json_t *share(uint64_t part, uint64_t of)
{
	return of ? json_real((double)part / (double)of) : json_null();
}

json_t *session_compression(struct session *s)
{
	struct press_stats *st;
	struct outbox_stats all;
	json_t *r;

	if (!s->compressor)
		return json_null();
	outbox_stats(&s->out, &all);
	st = &all.press;
	r = compressor_json(s->compressor, &s->client);
	json_object_update_new(r,
			       json_pack("{s:I,s:I,s:o,s:I,s:I,s:o,s:I}",
					 "before", (json_int_t)st->in, "after",
					 (json_int_t)st->out, "ratio",
					 share(st->in, st->out), "dense",
					 (json_int_t)st->incompressible,
					 "raw_link_free", (json_int_t)st->free,
					 "share_raw_link_free",
					 share(st->free,
					       st->in + st->incompressible +
						       st->free),
					 "taken_back",
					 (json_int_t)st->taken_back));
	return r;
}

void session_stats(struct session *s, struct session_stats *ret)
{
	struct inbox_stats in;

	inbox_stats(&s->in, &in);
	outbox_stats(&s->out, &ret->out);
	ret->duplicates = in.duplicates;
	ret->outage = session_silent_us(s) > USEC_PER_SEC;
	ret->presses = s->compressor != NULL;

	WITH_LOCK(&s->lock);

	ret->damaged = s->damaged;
	ret->channels = carriers_alive(s);
	ret->bytes_sent = s->bytes_sent;
	ret->bytes_received = s->bytes_received;
	for (unsigned i = 0; i < CHANNELS_MAX; i++) {
		if (s->carrier[i].state == CARRIER_FREE)
			continue;
		ret->bytes_sent += atomic_load(&s->carrier[i].bytes_sent);
		ret->bytes_received +=
			atomic_load(&s->carrier[i].bytes_received);
	}
}
