/* SPDX-License-Identifier: MIT */
#include "move/peer.h"

#include <errno.h>

#include "base/clock.h"
#include "base/error.h"
#include "move/move.h"
#include "move/paths.h"

struct session_options peer_session(const struct move_host *host,
				    const struct move_peer *peer,
				    const struct move_paths *p,
				    uint64_t outage_limit_us)
{
	struct session_options o = {
		.own_name = host->own_name,
		.peer = peer->name,
		.addresses = peer->addresses,
		.port = peer->port,
		.trust = peer->tls ? host->trust : NULL,
		.channels = 1,
		.outage_limit_us = outage_limit_us,
	};

	if (!p)
		return o;
	o.cards = (struct session_cards){ .watch = host->nics,
					  .networks = &p->networks,
					  .policy = p->policy,
					  .rdma = &p->rdma };
	/* Over an address that belongs to no known card. */
	o.channels = p->policy.per_card < p->policy.most ? p->policy.per_card
							 : p->policy.most;
	if (move_paths_press(p)) {
		o.compressor = host->compressor;
		o.compressor_policy = p->compressor_policy;
	}
	return o;
}

int peer_error(const struct message_failed *f, const char *peer,
	       struct error *e)
{
	error_set(e, EREMOTEIO, "host %s: %s", peer,
		  f->error[0] ? f->error : "failed");
	e->kind = error_kind_find(f->kind);
	return error_code(e);
}

int peer_check_answer(const struct message *answer, enum message_type wanted,
		      const char *peer, struct error *e)
{
	if (answer->type == wanted)
		return 0;
	if (answer->type == MESSAGE_FULL)
		return error_set(e, EUSERS, "host %s takes no more moves now",
				 peer);
	if (answer->type == MESSAGE_FAILED)
		return peer_error(&answer->failed, peer, e);
	return error_set(e, EBADMSG, "host %s answers '%s', not '%s'", peer,
			 message_name(answer->type), message_name(wanted));
}

int peer_ask(const struct move_host *host, const struct move_peer *peer,
	     const struct message *question, uint64_t limit_us,
	     struct message *ret, struct error *e)
{
	const struct session_options o =
		peer_session(host, peer, NULL, limit_us);
	struct session *s;
	int r;

	if (session_open(&s, &o, e) < 0)
		return error_code(e);
	r = session_send(s, question, e);
	if (r == 0)
		r = session_await(s, clock_us() + limit_us, ret, e);
	session_free(s);
	return r < 0 ? r : 0;
}
