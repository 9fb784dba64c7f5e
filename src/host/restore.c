/* SPDX-License-Identifier: MIT */
#include "host/restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/watch.h"
#include "move/journal.h"
#include "qemu/definition.h"
#include "qemu/granted.h"

struct restore {
	struct registry *registry;
	const char *state_directory;
	struct journal_entries moves;
};

/* A move of it, one way or the other, is taken up later: who runs it is not
 * known yet. */
static bool is_moving(const void *arg, const char *name)
{
	const struct restore *all = arg;

	for (size_t i = 0; i < all->moves.count; i++)
		if (!strcmp(all->moves.at[i].machine, name))
			return true;
	return false;
}

static void find_process(const struct restore *all, struct machine *m,
			 const struct machine_file *f)
{
	const struct machine_record *c = machine_record(m);
	struct registry *r = all->registry;
	char lost[STORE_WHY_CAP];
	struct qemu_process p;
	struct error e;

	machine_set_stopped(r, m, f->lost);
	machine_set_folder(r, m, f->qmp);
	if (!f->started)
		return;
	if (launch_attach(&p, f->pid, f->start_time, c->run_dir, &e) < 0) {
		watch_describe_end(lost, c, NULL, f->qmp);
		if (!c->adopted && access(c->run_dir, F_OK) < 0)
			snprintf(lost, sizeof(lost),
				 "its QEMU ended with this host");
		machine_set_stopped(r, m, lost);
		/* Its images may be those of the QEMU that it went to. */
		if (!is_moving(all, c->name))
			launch_withdraw(all->state_directory, c->name, c->text,
					c->run_dir);
		return;
	}
	if (f->qmp[0])
		snprintf(p.qmp_path, sizeof(p.qmp_path), "%s", f->qmp);
	machine_set_running(r, m, &p, f->paused);
	machine_set_before(r, m, f->before);
}

/* Those of before have no uuid yet. */
static void know_uuid(struct registry *r, struct machine *m)
{
	SCOPED(definition_done) struct definition d = { 0 };
	const struct machine_record *c = machine_record(m);
	struct error e;
	bool fresh;

	if (definition_parse(&d, c->name, c->text, &e) < 0) {
		log_error("machine %s: %s", c->name, e.text);
		return;
	}
	fresh = !d.uuid;
	if (machine_set_definition(r, m, &d, &e) < 0 ||
	    (fresh && machine_save(r, m, &e) < 0))
		log_error("machine %s: %s", c->name, e.text);
	else if (fresh)
		log_warning("machine %s had no uuid: from now on it is %s",
			    c->name, c->uuid);
}

/* Its daemon was killed while it started the QEMU, which may take a minute. */
static void take_up(struct registry *r, struct machine *m)
{
	const struct machine_record *c = machine_record(m);
	char beside[PATH_MAX];
	struct qemu_process p;
	struct error e;

	launch_beside(beside, c->run_dir);
	if (launch_find(&p, c->run_dir, &e) < 0 &&
	    (e.code != ESRCH || launch_find(&p, beside, &e) < 0)) {
		if (e.code != ESRCH)
			log_warning("machine %s: %s", c->name, e.text);
		return;
	}
	machine_set_running(r, m, &p, false);
	log_warning("machine %s: not in the registry as running, but QEMU runs "
		    "in %s, process %d: taken up",
		    c->name, c->run_dir, (int)p.pid);
	if (machine_save(r, m, &e) < 0)
		log_error("%s", e.text);
}

/* Its QEMU, where there is one, waits for a move or an update, which is taken
 * up later. */
static bool was_coming(const struct journal_entries *moves, const char *name)
{
	for (size_t i = 0; i < moves->count; i++)
		if ((moves->at[i].role == ROLE_DESTINATION ||
		     moves->at[i].folder[0]) &&
		    !strcmp(moves->at[i].machine, name))
			return true;
	return false;
}

static int restore_one(void *context, const char *name, char *definition,
		       const struct machine_file *f, struct error *e)
{
	const struct restore *all = context;
	struct registry *r = all->registry;
	AUTO_FREE char *text = definition;
	bool coming = was_coming(&all->moves, name);
	struct machine *m;

	if (machine_reserve_name(r, name, (struct hold){ .kind = HOLD_START },
				 &m, e) < 0)
		return error_code(e);
	machine_set_text(r, m, text);
	if (f->adopted)
		machine_set_adopted(r, m);
	machine_set_arrived(r, m, f->arrived, f->from);
	/* Older versions did not note it: one that never came was defined. */
	machine_set_own(r, m, f->own || !f->arrived[0]);
	find_process(all, m, f);
	know_uuid(r, m);
	if (!machine_record(m)->started && !coming)
		take_up(r, m);
	machine_release(r, m);
	return 0;
}

int restore_machines(struct host *h, struct error *e)
{
	const char *state_directory = h->settings->state_directory;
	struct restore all = { .registry = h->registry,
			       .state_directory = state_directory };
	int r = journal_read(state_directory, &all.moves, e);

	if (r == 0)
		r = store_each(state_directory, restore_one, &all, e);
	if (r == 0)
		granted_sweep(state_directory, is_moving, &all);
	journal_entries_done(&all.moves);
	return r;
}
