/* SPDX-License-Identifier: MIT */
#include "host/handover.h"

#include <assert.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/copies.h"
#include "host/kept_copies.h"
#include "host/old_disks.h"
#include "host/own_words.h"
#include "host/parts.h"
#include "host/registry.h"
#include "pages/kept.h"
#include "qemu/confine.h"
#include "qemu/definition.h"
#include "qemu/granted.h"

static void note_definition(struct host *h, struct machine *m, const char *text)
{
	SCOPED(definition_done) struct definition d = { 0 };
	const char *name = machine_record(m)->name;
	struct registry *r = h->registry;
	struct error e;
	bool good = definition_parse(&d, name, text, &e) == 0;

	/* Before it takes the place of what the machine had here. */
	machine_set_own(r, m, good && own_words(h, &d));
	if (good && machine_set_definition(r, m, &d, &e) == 0)
		return;
	/* QEMU was started from it. */
	log_error("machine %s: %s", name, e.text);
	machine_set_text(r, m, text);
}

/* How its QEMU is now. */
static void note_process(struct registry *r, struct machine *m,
			 const struct move_arrival *a)
{
	const struct machine_record *c = machine_record(m);
	/* It has ended, and was started again: that one lives. */
	bool again = a->ended && c->started && launch_alive(&c->process);

	/* Of a daemon that died here. */
	if (c->started && !again && c->process.pidfd != a->process.pidfd) {
		struct qemu_process before = c->process;

		launch_forget(&before);
	}
	if (a->ended && !again)
		machine_set_stopped(r, m, "");
	else if (!a->ended)
		machine_set_running(r, m, &a->process, a->paused);
}

static int arrived(void *context, struct move_arrival *a)
{
	const struct hold by = { .kind = HOLD_ARRIVAL };
	struct host *h = context;
	struct machine *m = machine_held(h->registry, a->name);
	char from[STORE_NAME_CAP];
	struct error e;

	if (!m && machine_reserve_name(h->registry, a->name, by, &m, &e) < 0) {
		log_error("machine %s: %s", a->name, e.text);
		return error_code(&e);
	}
	assert(m);
	note_definition(h, m, a->definition);
	/* Noted when it was about to come. */
	store_last_seen(h->settings->state_directory, machine_record(m)->uuid,
			from);
	machine_set_arrived(h->registry, m, a->job, from);
	note_process(h->registry, m, a);
	if (machine_save(h->registry, m, &e) < 0) {
		log_error("%s", e.text);
		return error_code(&e);
	}
	store_forget_elsewhere(h->settings->state_directory,
			       machine_record(m)->uuid);
	/* The guest goes on from here: it is of no use to anybody. */
	kept_copies_drop(h->kept, machine_record(m)->uuid, NULL);
	return 0;
}

static void released(void *context, const char *name)
{
	struct host *h = context;
	struct machine *m = machine_held(h->registry, name);

	assert(m);
	machine_release(h->registry, m);
}

/* A redo after a restart finds what is done. */
static void keep_disks(struct host *h, const struct machine_record *c,
		       const char *peer, const struct words *disks)
{
	struct old_disk of = { .state = OLD_DISK_KEPT };

	snprintf(of.machine, sizeof(of.machine), "%s", c->name);
	snprintf(of.uuid, sizeof(of.uuid), "%s", c->uuid);
	snprintf(of.host, sizeof(of.host), "%s", peer);
	old_disks_leave(h->settings->state_directory, &of, disks);
}

static int left(void *context, const char *name, const char *peer,
		const struct words *disks)
{
	struct host *h = context;
	struct machine *m = machine_held(h->registry, name);
	const struct machine_record *c;
	struct error e;

	/* The move holds it. */
	assert(m);
	c = machine_record(m);
	launch_clean(c->run_dir);
	granted_forget(h->settings->state_directory, confine_number(c->uuid));
	keep_disks(h, c, peer, disks);
	store_note_elsewhere(h->settings->state_directory,
			     &(struct elsewhere_note){ .uuid = c->uuid,
						       .name = name,
						       .peer = peer,
						       .from = c->from,
						       .own = c->own ? c->text
								     : NULL });
	if (machine_erase(h->registry, m, &e) == 0) {
		machine_unlist(h->registry, m);
		return 0;
	}
	/* Nobody may start it, or bring one of its name: it stays held, and the
	 * next daemon finds the move's entry and tries again. */
	log_error("%s", e.text);
	machine_set_stopped(h->registry, m, "");
	return error_code(&e);
}

/* Its user has no rights to its images any more. */
static void set_ended(struct host *h, struct machine *m, const char *how)
{
	const struct machine_record *c = machine_record(m);

	machine_set_stopped(h->registry, m, how);
	launch_withdraw(h->settings->state_directory, c->name, c->text,
			c->run_dir);
}

static int updated(void *context, const char *name,
		   const struct qemu_process *p, bool paused)
{
	struct host *h = context;
	struct machine *m = machine_held(h->registry, name);
	struct error e;

	/* The update holds it. */
	assert(m);
	if (p->pidfd >= 0)
		machine_set_updated(h->registry, m, p, paused);
	else
		set_ended(h, m, "its new QEMU ended while it was updated");
	if (machine_save(h->registry, m, &e) == 0)
		return 0;
	log_error("%s", e.text);
	return error_code(&e);
}

static bool guest_lives(void *context, const char *name, const char *guest)
{
	const struct host *h = context;

	return registry_guest_lives(h->registry, name, guest);
}

static bool has_arrived(void *context, const char *job)
{
	const struct host *h = context;

	return registry_came_by(h->registry, job);
}

static bool has_copy(void *context, const char *job, const char *path)
{
	struct host *h = context;

	return copies_have(h->copies, job, path);
}

static int seal_copy(void *context, const char *job, struct error *e)
{
	struct host *h = context;

	return copies_seal(h->copies, job, e);
}

static void keep(void *context, const struct kept_of *of,
		 struct guest_memory *m)
{
	struct host *h = context;
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	char name[STORE_NAME_CAP];
	bool runs = false;

	kept_copies_add(h->kept, of, m, &now->move);
	/* A disk takes its time: who came back meanwhile found no copy to drop.
	 */
	if (registry_find_uuid(h->registry, of->uuid, name, &runs) && runs)
		kept_copies_drop(h->kept, of->uuid,
				 "the machine is here again");
}

static struct kept *kept(void *context, const char *uuid, const char *peer)
{
	struct host *h = context;
	AUTO_SETTINGS struct settings *now = live_now(&h->live);

	kept_copies_expire(h->kept, now->move.keep_copy_time_us);
	return kept_copies_claim(h->kept, uuid, peer);
}

static void kept_done(void *context, struct kept *k)
{
	struct host *h = context;

	kept_copies_give_back(h->kept, k);
}

static bool is_own(void *context, const struct definition *d)
{
	return own_words(context, d);
}

void handover_init(struct move_host *ret, struct host *h)
{
	ret->arrived = arrived;
	ret->left = left;
	ret->updated = updated;
	ret->release = released;
	ret->guest_lives = guest_lives;
	ret->has_arrived = has_arrived;
	ret->is_own = is_own;
	ret->keep = keep;
	ret->kept = kept;
	ret->kept_done = kept_done;
	ret->has_copy = has_copy;
	ret->seal_copy = seal_copy;
	ret->context = h;
}
