/* SPDX-License-Identifier: MIT */
#include "host/renew.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/membership.h"
#include "host/parts.h"
#include "host/terms.h"
#include "move/peer.h"
#include "session/session.h"
#include "trust/authority.h"
#include "trust/date.h"
#include "trust/list.h"
#include "trust/trust.h"

enum { ANSWER_US = 10000000 };

/* --- this host */

static int ask(struct host *h, const char *authority,
	       const struct message *question, char **ret, struct error *e)
{
	AUTO_MESSAGE struct message answer = { 0 };
	AUTO_TERMS struct terms t = terms_of(h);
	struct move_peer there;

	if (peer_of(&t, authority, &there, e) < 0)
		return error_code(e);
	if (peer_ask(&t.host, &there, question, ANSWER_US, &answer, e) < 0)
		return peer_failed(e);
	if (answer.type != MESSAGE_RENEWED)
		return error_set(e, EACCES, "host %s says: %.180s", authority,
				 answer.type == MESSAGE_FAILED
					 ? answer.failed.error
					 : "nonsense");
	*ret = take_ptr(&answer.renewed);
	return 0;
}

static int sign(struct host *h, const struct message *question, char **ret,
		struct error *e)
{
	SCOPED(members_done) struct members m = { 0 };
	const char *own = h->settings->name;

	if (trust_members(h->trust, &m, e) < 0)
		return error_code(e);
	if (m.version == 0)
		return error_set(e, ENOENT,
				 "host %s has no CA of Drover's own: renew its "
				 "certificate where it came from",
				 own);
	if (strcmp(m.host, own) != 0)
		return ask(h, m.host, question, ret, e);
	if (trust_renew(h->trust, own, question->renew, clock_wall_s(), ret,
			e) < 0)
		return error_code(e);
	membership_tell(h);
	return 0;
}

int renew_certificate(struct host *h, struct error *e)
{
	AUTO_MESSAGE struct message question = { .type = MESSAGE_RENEW };
	AUTO_FREE char *certificate = NULL;
	struct certificate_facts f;
	char until[DATE_CAP];

	if (trust_ask_again(h->trust, &question.renew, e) < 0 ||
	    sign(h, &question, &certificate, e) < 0 ||
	    trust_take_certificate(h->trust, certificate, e) < 0 ||
	    certificate_read(&f, certificate, e) < 0)
		return error_code(e);
	date_text(until, f.until_s);
	log_info("trust: this host has a new certificate, until %s", until);
	return 0;
}

/* --- members */

int renew_answer(struct host *h, struct session *s,
		 const struct message *request, struct message *ret,
		 struct error *e)
{
	const char *who = session_proved(s);
	char *certificate;

	if (!who[0])
		return error_set(e, EACCES,
				 "a certificate is not renewed in plain text");
	if (trust_renew(h->trust, who, request->renew, clock_wall_s(),
			&certificate, e) < 0)
		return error_code(e);
	log_info("trust: host %s has a new certificate", who);
	membership_tell(h);
	*ret = (struct message){ .type = MESSAGE_RENEWED,
				 .renewed = certificate };
	return 0;
}
