/* SPDX-License-Identifier: MIT */
#include "host/elsewhere.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/terms.h"
#include "move/peer.h"
#include "session/abilities.h"

enum {
	ANSWER_US = 5000000,
	HOSTS_MAX = 8, /* that are asked, one after the other */
};

/* --- what a peer hears */

void elsewhere_answer(struct host *h, const char *peer,
		      const struct message_holds *request, struct message *ret)
{
	const char *state_directory = h->settings->state_directory;
	char uuid[UUID_CAP], other[64], name[64];
	bool runs = false, here;
	struct error e;

	if (uuid_parse(uuid, request->uuid, &e) < 0) {
		*ret = (struct message){ .type = MESSAGE_FAILED };
		snprintf(ret->failed.error, sizeof(ret->failed.error), "%s",
			 e.text);
		return;
	}
	*ret = (struct message){ .type = MESSAGE_HOLDER,
				 .holder.state = HOLDER_NONE };
	here = registry_find_uuid(h->registry, uuid, name, &runs);
	if (runs) {
		ret->holder.state = HOLDER_RUNS;
	} else if (store_last_seen(state_directory, uuid, other) &&
		   strcmp(other, peer) != 0) {
		ret->holder.state = HOLDER_ELSEWHERE;
		snprintf(ret->holder.host, sizeof(ret->holder.host), "%s",
			 other);
	} else if (here) {
		/* It may start it now. */
		store_note_elsewhere(state_directory,
				     &(struct elsewhere_note){ .uuid = uuid,
							       .name = name,
							       .peer = peer });
	}
}

/* --- asking */

struct sought {
	const char *name, *uuid;
};

static int refuse(const struct sought *m, struct error *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct sought *m, struct error *e, const char *fmt, ...)
{
	char why[360];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return error_set(e, EBUSY,
			 "%s: if it is certain that it runs nowhere, run "
			 "'drover vm start %s --anyway'",
			 why, m->name);
}

/* 1: it does not run there, and has moved on to @peer. */
static int understand(const struct sought *m, const struct message *answer,
		      char peer[64], struct error *e)
{
	const bool is = answer->type == MESSAGE_HOLDER;
	const bool failed = answer->type == MESSAGE_FAILED;
	const char *host = answer->holder.host;

	if (is && answer->holder.state == HOLDER_NONE)
		return 0;
	if (is && answer->holder.state == HOLDER_RUNS)
		return error_set(e, EBUSY, "machine %s runs on host %s",
				 m->name, peer);
	if (is && answer->holder.state == HOLDER_ELSEWHERE &&
	    text_check_name("host", host, e) == 0) {
		snprintf(peer, 64, "%s", host);
		return 1;
	}
	if (!(abilities_read(&answer->can) & 1U << CAN_HOLDS))
		return refuse(m, e,
			      "machine %s was last seen on host %s, whose "
			      "version of Drover cannot say where it is now",
			      m->name, peer);
	return refuse(m, e,
		      "machine %s was last seen on host %s, which does not say "
		      "where it is now%s%.160s%s",
		      m->name, peer, failed ? " (" : "",
		      failed ? answer->failed.error : "", failed ? ")" : "");
}

static int ask(struct host *h, const struct sought *m, char peer[64],
	       struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(h);
	struct move_peer there;
	AUTO_MESSAGE struct message answer = { 0 };
	struct message question = { .type = MESSAGE_HOLDS };
	struct error why;

	if (peer_of(&t, peer, &there, &why) < 0)
		return refuse(m, e,
			      "machine %s was last seen on host %s: %.120s",
			      m->name, peer, why.text);
	snprintf(question.holds.uuid, sizeof(question.holds.uuid), "%s",
		 m->uuid);
	snprintf(question.holds.machine, sizeof(question.holds.machine), "%s",
		 m->name);
	if (peer_ask(&t.host, &there, &question, ANSWER_US, &answer, &why) < 0)
		return refuse(m, e,
			      "machine %s was last seen on host %s, which is "
			      "not heard (%.100s)",
			      m->name, peer, why.text);
	return understand(m, &answer, peer, e);
}

int elsewhere_check(struct host *h, const char *name, const char *uuid,
		    struct error *e)
{
	const struct sought m = { .name = name, .uuid = uuid };
	char peer[64];
	int r;

	if (!store_last_seen(h->settings->state_directory, uuid, peer))
		return 0;
	for (unsigned i = 0; i < HOSTS_MAX; i++)
		if (!strcmp(peer, h->settings->name) ||
		    (r = ask(h, &m, peer, e)) == 0)
			return 0;
		else if (r < 0)
			return r;
	return refuse(&m, e,
		      "machine %s has moved on to host %s, and no host says "
		      "that it has it",
		      name, peer);
}
