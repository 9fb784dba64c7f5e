/* SPDX-License-Identifier: MIT */
#include "host/keeper.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "host/kept_copies.h"
#include "host/membership.h"
#include "host/parts.h"
#include "host/renew.h"
#include "trust/date.h"
#include "trust/list.h"
#include "trust/renewal.h"
#include "trust/trust.h"

enum { TURN_MS = 10 * 60 * 1000 };

struct keeper {
	struct host *host;
	pthread_t thread;

	/* the thread's */
	int64_t warned_s;
	bool said; /* that nobody has the list */
};

struct keeper *keeper_new(struct host *h)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->host = h;
	return k;
}

void keeper_free(struct keeper *k)
{
	free(k);
}

/* --- the list */

/* A peer that does not hear it now asks for it when it is back. */
static void tell_all(struct keeper *k)
{
	AUTO_SETTINGS struct settings *s = live_now(&k->host->live);
	struct error e;

	for (size_t i = 0; i < s->peers.count && !host_stops(k->host, 0); i++) {
		const struct peer *p = s->peers.at[i];

		if (p->tls && membership_exchange(k->host, p->name, &e) < 0)
			log_info("trust: the list of hosts does not reach host "
				 "%s: %s",
				 p->name, e.text);
	}
}

static bool has_list(struct keeper *k)
{
	SCOPED(members_done) struct members m = { 0 };
	struct error ignored;

	return trust_members(k->host->trust, &m, &ignored) == 0 &&
	       m.version > 0;
}

/* Any that has been told knows it as well. */
static void ask_others(struct keeper *k, const char *silent)
{
	AUTO_SETTINGS struct settings *s = live_now(&k->host->live);
	struct error ignored;

	for (size_t i = 0; i < s->peers.count && !host_stops(k->host, 0); i++) {
		const struct peer *p = s->peers.at[i];

		if (p->tls && strcmp(p->name, silent) != 0 &&
		    membership_exchange(k->host, p->name, &ignored) == 0 &&
		    has_list(k))
			return;
	}
}

/* The list was lost, or never came; nor does this host know without it who has
 * the CA's key. */
static bool find_list(struct keeper *k)
{
	ask_others(k, "");
	if (!has_list(k) && !k->said)
		log_warning("trust: this host has no list of the CA's hosts, "
			    "and no peer of [peer NAME] gives it one: hosts "
			    "that were removed are believed until then");
	k->said = !has_list(k);
	return !k->said;
}

/* Has the CA's host answered?  @e: why not. */
static bool ask_authority(struct keeper *k, const char *authority,
			  struct error *e)
{
	if (membership_exchange(k->host, authority, e) == 0)
		return true;
	ask_others(k, authority);
	return false;
}

/* --- the certificate */

static void warn(struct keeper *k, const char *authority, int64_t until_s,
		 const struct error *why)
{
	char until[DATE_CAP];

	date_text(until, until_s);
	log_warning("trust: the certificate of this host ends at %s, and host "
		    "%s, which has the CA's key, is not heard: %s",
		    until, authority, why->text);
	k->warned_s = clock_wall_s();
}

static void renew(struct keeper *k, int64_t until_s)
{
	char until[DATE_CAP];
	struct error e;

	if (renew_certificate(k->host, &e) == 0)
		return;
	date_text(until, until_s);
	log_warning("trust: the certificate of this host ends at %s, and "
		    "cannot be renewed: %s",
		    until, e.text);
}

/* The CA's host asks too: another one may have taken its place, or knows what
 * it has lost itself. */
static void look_after(struct keeper *k, const struct trust_facts *f)
{
	SCOPED(members_done) struct members m = { 0 };
	struct renewal r = { .now_s = clock_wall_s(),
			     .warned_s = k->warned_s,
			     .until_s = f->host.until_s,
			     .authority_heard = true };
	struct error e;

	if (trust_members(k->host->trust, &m, &e) < 0) {
		log_warning("trust: %s", e.text);
		return;
	}
	if (f->is_authority)
		ask_others(k, "");
	else
		r.authority_heard = ask_authority(k, m.host, &e);
	if (renewal_warns(&r))
		warn(k, m.host, r.until_s, &e);
	else if (r.authority_heard && renewal_due(&r))
		renew(k, r.until_s);
}

/* A host of somebody else's CA has no list, and nobody to ask. */
static void turn(struct keeper *k)
{
	struct trust_facts f;
	struct error e;

	if (trust_look(k->host->trust, clock_wall_s(), &f, &e) < 0)
		log_warning("trust: %s", e.text);
	else if (f.joined && f.listed && (has_list(k) || find_list(k)))
		look_after(k, &f);
}

/* --- the thread */

/* Beside: it is the thread that looks now and then. */
static void expire_copies(struct host *h)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);

	kept_copies_expire(h->kept, now->move.keep_copy_time_us);
}

static void *keeper_main(void *arg)
{
	struct keeper *k = arg;
	struct pollfd p[] = { { .fd = k->host->stop_fd, .events = POLLIN },
			      { .fd = k->host->news_fd, .events = POLLIN } };
	eventfd_t ignored;

	do {
		if (eventfd_read(k->host->news_fd, &ignored) == 0)
			tell_all(k);
		else
			turn(k);
		expire_copies(k->host);
		poll(p, 2, TURN_MS);
	} while (!host_stops(k->host, 0));
	return NULL;
}

int keeper_start(struct keeper *k, struct error *e)
{
	int r = thread_create(&k->thread, "trust", keeper_main, k);

	return r == 0 ? 0 : error_set(e, r, "no thread for the certificates");
}

void keeper_stop(struct keeper *k)
{
	pthread_join(k->thread, NULL);
}
