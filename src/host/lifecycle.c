/* SPDX-License-Identifier: MIT */
#include "host/lifecycle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "host/belongings.h"
#include "host/drain.h"
#include "host/elsewhere.h"
#include "host/host.h"
#include "host/kept_copies.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/room.h"
#include "host/status.h"
#include "host/watch.h"
#include "qemu/confine.h"
#include "qemu/definition.h"
#include "qemu/granted.h"
#include "qemu/monitor.h"
#include "qemu/qmp.h"

enum { MONITOR_US = 5000000, END_US = 10000000 };

static struct hold hold_of(enum hold_kind kind)
{
	return (struct hold){ .kind = kind };
}

static void view(struct host *h, const struct machine *m,
		 struct machine_view *ret)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);

	machine_view_of(h->registry, m, now->host.qemu, ret);
}

/* The last step of an operation that returned @r. */
static int finish(struct host *h, struct machine *m, int r,
		  struct machine_view *ret)
{
	if (r == 0)
		view(h, m, ret);
	machine_release(h->registry, m);
	return r;
}

/* --- define */

/* An adopted QEMU; in the folder may be another one's files. */
static void give_back(const struct machine_record *m)
{
	struct qemu_process p = m->process;

	launch_forget(&p);
	rmdir(m->run_dir);
}

int lifecycle_enter(struct host *h, struct machine *m, struct definition *d,
		    struct machine_view *ret, struct error *e)
{
	machine_set_own(h->registry, m, true);
	if (machine_set_definition(h->registry, m, d, e) == 0 &&
	    machine_save(h->registry, m, e) == 0)
		return finish(h, m, 0, ret);
	if (machine_record(m)->started)
		give_back(machine_record(m));
	machine_remove(h->registry, m);
	return error_code(e);
}

/* The QEMU of one that runs stays as it is. */
static int check_running(const struct machine_record *m, struct definition *d,
			 struct error *e)
{
	SCOPED(definition_done) struct definition now = { 0 };

	if (!d->uuid && m->uuid[0])
		d->uuid = strdup(m->uuid);
	if (definition_parse(&now, m->name, m->text, e) < 0)
		return error_code(e);
	if (definition_starts_as(d, &now))
		return 0;
	return error_set(e, EEXIST,
			 "machine %s runs, so only what its definition says is "
			 "shared can change: stop it before it is defined anew",
			 m->name);
}

static int check_redefine(const struct machine_record *m, struct definition *d,
			  struct error *e)
{
	if (d->uuid && m->uuid[0] && strcmp(d->uuid, m->uuid) != 0)
		return error_set(e, EEXIST,
				 "machine %s has the uuid %s: leave it as it "
				 "is, or forget that machine first",
				 m->name, m->uuid);
	return m->started ? check_running(m, d, e) : 0;
}

static int redefine(struct host *h, struct definition *d,
		    struct machine_view *ret, struct error *e)
{
	struct machine *m;
	int r = machine_take(h->registry, d->name, hold_of(HOLD_DEFINE), &m, e);

	if (r < 0)
		return r;
	r = check_redefine(machine_record(m), d, e);
	if (r == 0 && (r = machine_set_definition(h->registry, m, d, e)) == 0) {
		machine_set_own(h->registry, m, true);
		r = machine_save(h->registry, m, e);
	}
	return finish(h, m, r, ret);
}

int machine_define(struct host *h, const char *file_name, const char *text,
		   struct machine_view *ret, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	struct machine *m;

	if (definition_parse(&d, file_name ? file_name : "definition", text,
			     e) < 0)
		return error_code(e);
	if (confine_wanted(now->host.qemu_user) &&
	    (nics_from_arguments(&d, e) < 0 ||
	     definition_check_confined(&d, e) < 0))
		return error_in(e, "%s:1:1",
				file_name ? file_name : "definition");
	if (registry_has(h->registry, d.name))
		return redefine(h, &d, ret, e);
	if (machine_reserve(h->registry, &d, hold_of(HOLD_DEFINE), &m, e) < 0)
		return error_code(e);
	return lifecycle_enter(h, m, &d, ret, e);
}

/* --- start and stop */

/* One that cannot be ended, as it is stuck in the kernel or another user's,
 * still has the disks: it runs until it is seen to end. */
static int end_qemu(struct host *h, struct machine *m, struct error *e)
{
	const struct machine_record *c = machine_record(m);
	struct qemu_process p = c->process;

	if (launch_end(&p, clock_us() + END_US, e) < 0)
		return error_in(e, "machine %s", c->name);
	machine_set_stopped(h->registry, m, "");
	launch_withdraw(h->settings->state_directory, c->name, c->text,
			c->run_dir);
	launch_clean(c->run_dir);
	return 0;
}

/* What cannot be saved, the next daemon might not know. */
static int end_unsaved(struct host *h, struct machine *m, struct error *why)
{
	struct error e;

	if (end_qemu(h, m, &e) < 0)
		return error_in(why, "%s, and its start cannot be noted",
				e.text);
	return error_in(why, "QEMU was ended, its start cannot be noted");
}

static int start_qemu(struct host *h, struct machine *m, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	const struct machine_record *c = machine_record(m);
	struct launch_options o = {
		.default_qemu = now->host.qemu,
		.run_directory = h->settings->run_directory,
		.user = now->host.qemu_user,
		.state_directory = h->settings->state_directory,
		.image_directories = &now->image_folders,
		.bridges = &now->bridges,
		/* What leaves a copy is a file. */
		.shared = now->move.keep_copy != KEEP_COPY_NO,
	};
	struct qemu_process p;

	machine_set_folder(h->registry, m, "");
	o.run_dir = c->run_dir;
	if (definition_parse(&d, c->name, c->text, e) < 0 ||
	    definition_check(&d, e) < 0 ||
	    belongings_check(h->registry, &d, c->run_dir, c->own, e) < 0)
		return error_code(e);
	room_make(h->room, d.huge_page_bytes ? 0 : d.memory_bytes);
	if (launch_start(&p, &d, &o, e) < 0)
		return error_code(e);
	machine_set_running(h->registry, m, &p, false);
	/* The guest is another one from now on. */
	kept_copies_drop(h->kept, c->uuid, NULL);
	return machine_save(h->registry, m, e) < 0 ? end_unsaved(h, m, e) : 0;
}

static int tell(struct host *h, struct machine *m, bool run, struct error *e)
{
	const struct machine_record *c = machine_record(m);
	struct qmp *q;
	int r;

	if (qmp_open(&q, c->process.qmp_path, clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	r = run ? monitor_continue(q, e) : monitor_pause(q, e);
	/* It may have come here paused. */
	if (r == 0 && run)
		monitor_announce(q);
	qmp_close(q);
	if (r < 0)
		return r;
	machine_set_running(h->registry, m, &c->process, !run);
	if (machine_save(h->registry, m, e) < 0)
		return error_in(e, "the guest %s, which cannot be noted",
				run ? "runs" : "is paused");
	return 0;
}

/* The operator's word counts for more than what no host says. */
static int start_here(struct host *h, struct machine *m, bool anyway,
		      struct error *e)
{
	const struct machine_record *c = machine_record(m);

	if (drain_check(h->drain, e) < 0 ||
	    (!anyway && elsewhere_check(h, c->name, c->uuid, e) < 0))
		return error_code(e);
	if (start_qemu(h, m, e) < 0)
		return error_code(e);
	store_forget_elsewhere(h->settings->state_directory, c->uuid);
	return 0;
}

/* Also while a job holds it. */
static bool runs_already(struct host *h, const char *name,
			 struct machine_view *ret)
{
	struct error ignored;

	if (machine_show(h, name, ret, &ignored) < 0)
		return false;
	ret->unchanged = ret->state == MACHINE_RUNNING && !ret->comes;
	if (!ret->unchanged)
		machine_view_done(ret);
	return ret->unchanged;
}

int machine_start(struct host *h, const char *name, bool anyway,
		  struct machine_view *ret, struct error *e)
{
	const struct machine_record *c;
	struct machine *m;
	int r;

	if (runs_already(h, name, ret))
		return 0;
	r = machine_take(h->registry, name, hold_of(HOLD_START), &m, e);
	if (r < 0)
		return r;
	c = machine_record(m);
	if (c->started && c->paused)
		r = tell(h, m, true, e);
	else if (!c->started) /* nobody was faster */
		r = start_here(h, m, anyway, e);
	return finish(h, m, r, ret);
}

static int tell_by_name(struct host *h, const char *name, bool run,
			struct machine_view *ret, struct error *e)
{
	const struct hold by = hold_of(run ? HOLD_RESUME : HOLD_PAUSE);
	struct machine *m;
	int r = machine_take(h->registry, name, by, &m, e);

	if (r < 0)
		return r;
	r = machine_record(m)->started
		    ? tell(h, m, run, e)
		    : error_set(e, EBUSY,
				"machine %s does not run: start it with "
				"'drover vm start %s'",
				name, name);
	return finish(h, m, r, ret);
}

int machine_pause(struct host *h, const char *name, struct machine_view *ret,
		  struct error *e)
{
	return tell_by_name(h, name, false, ret, e);
}

int machine_resume(struct host *h, const char *name, struct machine_view *ret,
		   struct error *e)
{
	return tell_by_name(h, name, true, ret, e);
}

int machine_stop(struct host *h, const char *name, struct machine_view *ret,
		 struct error *e)
{
	struct machine *m;
	int r = machine_take(h->registry, name, hold_of(HOLD_STOP), &m, e);

	if (r < 0)
		return r;
	if (machine_record(m)->started)
		r = end_qemu(h, m, e);
	else
		machine_set_stopped(h->registry, m, "");
	if (r == 0)
		r = machine_save(h->registry, m, e);
	return finish(h, m, r, ret);
}

/* --- forget */

static int check_forget(const struct machine_record *m, bool leave_running,
			struct error *e)
{
	if (!m->started || leave_running)
		return 0;
	return error_set(e, EBUSY,
			 "machine %s runs: stop it first with 'drover vm stop "
			 "%s', or leave its QEMU running, which nobody looks "
			 "after then, with 'drover vm forget %s "
			 "--leave-running'",
			 m->name, m->name, m->name);
}

int machine_forget(struct host *h, const char *name, bool leave_running,
		   struct machine_view *ret, struct error *e)
{
	const struct machine_record *c;
	struct machine *m;
	int r = machine_take(h->registry, name, hold_of(HOLD_FORGET), &m, e);

	if (r < 0)
		return r;
	if ((r = check_forget(machine_record(m), leave_running, e)) < 0 ||
	    (r = machine_erase(h->registry, m, e)) < 0) {
		machine_release(h->registry, m);
		return r;
	}
	view(h, m, ret);
	c = machine_record(m);
	if (c->started) {
		struct qemu_process p = c->process;

		watch_forget_process(h->watch, &p, confine_number(c->uuid));
	} else {
		granted_take_back_unused(h->settings->state_directory,
					 confine_number(c->uuid));
		launch_clean(c->run_dir);
	}
	kept_copies_drop(h->kept, c->uuid, "its machine was forgotten");
	machine_unlist(h->registry, m);
	return 0;
}
