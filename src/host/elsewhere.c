/* SPDX-License-Identifier: MIT */

/*
 * Machines that were last seen on a peer, so that one is not started here while
 * it runs there: a note for each, STATE/elsewhere/UUID.json, written when it
 * leaves, or is about to come, and removed when it has come.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "host/internal.h"
#include "move/journal.h"

enum {
	ANSWER_US = 5000000,
	HOSTS_MAX = 8, /* that are asked, one after the other */
	NOTES_MAX = 4096,
};

static void path_of(char *buf, size_t cap, const struct host *h,
		    const char *file)
{
	snprintf(buf, cap, "%s/elsewhere%s%s%s", h->settings->state_directory,
		 file ? "/" : "", file ? file : "", file ? ".json" : "");
}

void elsewhere_note(struct host *h, const char *uuid, const char *name,
		    const char *peer)
{
	json_t *note = json_pack("{s:s,s:s}", "machine", name, "peer", peer);
	AUTO_FREE char *text = json_dumps(note, JSON_INDENT(2));
	char folder[PATH_MAX], file[UUID_CAP + 8];
	struct error e;

	json_decref(note);
	if (!text || !uuid[0])
		return;
	path_of(folder, sizeof(folder), h, NULL);
	snprintf(file, sizeof(file), "%s.json", uuid);
	if (file_save(folder, file, text, 0600, &e) < 0)
		log_error("machine %s: that it is on host %s cannot be noted: "
			  "%s",
			  name, peer, e.text);
	folder_prune(folder, NOTES_MAX);
}

void elsewhere_forget(struct host *h, const char *uuid)
{
	char path[PATH_MAX + 80];

	path_of(path, sizeof(path), h, uuid);
	if (uuid[0] && unlink(path) < 0 && errno != ENOENT)
		log_error("remove %s: %s", path, strerrordesc_np(errno));
}

/* False: it was not seen anywhere else. */
static bool last_seen(const struct host *h, const char *uuid, char peer[64])
{
	char path[PATH_MAX + 80];
	json_error_t where;
	json_t *note;

	peer[0] = '\0';
	path_of(path, sizeof(path), h, uuid);
	if (uuid[0] && (note = json_load_file(path, 0, &where))) {
		snprintf(peer, 64, "%s", journal_text(note, "peer"));
		json_decref(note);
	}
	return peer[0] != '\0';
}

/* --- what a peer answers */

/* Is it in the books?  @ret_runs: also of one that a job holds, which may be
 * about to. */
static bool is_here(struct host *h, const char *uuid, char name[64],
		    bool *ret_runs)
{
	WITH_LOCK(&h->lock);

	for (const struct machine *m = h->machines; m; m = m->next) {
		if (strcmp(m->uuid, uuid) != 0)
			continue;
		snprintf(name, 64, "%s", m->name);
		*ret_runs = m->started || m->busy[0];
		return true;
	}
	return false;
}

json_t *elsewhere_answer(struct host *h, const char *peer,
			 const json_t *request)
{
	char uuid[UUID_CAP], other[64], name[64];
	bool runs = false, here;
	struct error e;

	if (uuid_parse(uuid, journal_text(request, "uuid"), &e) < 0)
		return json_pack("{s:s,s:s}", "type", "failed", "error",
				 e.text);
	here = is_here(h, uuid, name, &runs);
	if (runs)
		return json_pack("{s:s,s:s}", "type", "holder", "state",
				 "runs");
	if (last_seen(h, uuid, other) && strcmp(other, peer) != 0)
		return json_pack("{s:s,s:s,s:s}", "type", "holder", "state",
				 "elsewhere", "host", other);
	/* It may start it now. */
	if (here)
		elsewhere_note(h, uuid, name, peer);
	return json_pack("{s:s,s:s}", "type", "holder", "state", "none");
}

/* --- asking */

static int refuse(const struct machine *m, struct error *e, const char *fmt,
		  ...) __attribute__((format(printf, 3, 4)));

static int refuse(const struct machine *m, struct error *e, const char *fmt,
		  ...)
{
	char why[200];
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
static int understand(const struct machine *m, const json_t *answer,
		      char peer[64], struct error *e)
{
	const char *state = journal_text(answer, "state");
	const char *host = journal_text(answer, "host");

	if (!strcmp(state, "none"))
		return 0;
	if (!strcmp(state, "runs"))
		return error_set(e, EBUSY, "machine %s runs on host %s",
				 m->name, peer);
	if (!strcmp(state, "elsewhere") &&
	    text_check_name("host", host, e) == 0) {
		snprintf(peer, 64, "%s", host);
		return 1;
	}
	if (!(abilities_read(json_object_get(answer, "can")) & 1U << CAN_HOLDS))
		return refuse(m, e,
			      "machine %s was last seen on host %s, whose "
			      "version of Drover cannot say where it is now",
			      m->name, peer);
	return refuse(m, e,
		      "machine %s was last seen on host %s, which does not say "
		      "where it is now",
		      m->name, peer);
}

static int ask(struct host *h, const struct machine *m, char peer[64],
	       struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(h);
	struct move_peer there;
	json_t *answer;
	struct error why;
	int r;

	if (peer_of(t.settings, peer, &there, &why) < 0)
		return refuse(m, e,
			      "machine %s was last seen on host %s: %.120s",
			      m->name, peer, why.text);
	r = move_ask_peer(&t.host, &there,
			  json_pack("{s:s,s:s,s:s}", "type", "holds", "uuid",
				    m->uuid, "machine", m->name),
			  ANSWER_US, &answer, &why);
	if (r < 0)
		return refuse(m, e,
			      "machine %s was last seen on host %s, which is "
			      "not heard (%.100s)",
			      m->name, peer, why.text);
	r = understand(m, answer, peer, e);
	json_decref(answer);
	return r;
}

int elsewhere_check(struct host *h, const struct machine *m, struct error *e)
{
	char peer[64];
	int r;

	if (!last_seen(h, m->uuid, peer))
		return 0;
	for (unsigned i = 0; i < HOSTS_MAX; i++)
		if (!strcmp(peer, h->settings->name) ||
		    (r = ask(h, m, peer, e)) == 0)
			return 0;
		else if (r < 0)
			return r;
	return refuse(m, e,
		      "machine %s has moved on to host %s, and no host says "
		      "that it has it",
		      m->name, peer);
}
