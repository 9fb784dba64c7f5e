/* SPDX-License-Identifier: MIT */
#include "host/shutdown.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/host.h"
#include "host/parts.h"
#include "host/registry.h"
#include "qemu/definition.h"
#include "qemu/monitor.h"
#include "qemu/qmp.h"

enum { MONITOR_US = 5000000, TURN_MS = 200 };

enum shutdown_turn shutdown_turn(const struct machine_view *v, uint64_t now_us,
				 uint64_t deadline_us)
{
	if (v->state == MACHINE_LOST)
		return SHUTDOWN_LOST;
	if (v->state == MACHINE_STOPPED)
		return SHUTDOWN_OFF;
	/* With -no-shutdown. */
	if (!strcmp(v->status, "shutdown"))
		return SHUTDOWN_HALTED;
	return now_us < deadline_us ? SHUTDOWN_WAITS : SHUTDOWN_SILENT;
}

static int press(const struct machine_record *c, struct error *e)
{
	struct guest_status now;
	struct qmp *q;
	int r;

	if (qmp_open(&q, c->process.qmp_path, clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	r = monitor_status(q, &now, e);
	if (r == 0 && !now.running && strcmp(now.word, "shutdown") != 0)
		r = error_set(e, EBUSY,
			      "machine %s is paused (%s), and its guest cannot "
			      "answer: 'drover vm resume %s' continues it, and "
			      "'drover vm stop %s --now' cuts the power",
			      c->name, now.word, c->name, c->name);
	if (r == 0)
		r = monitor_power_button(q, e);
	qmp_close(q);
	return r;
}

static uint64_t own_timeout(const struct machine_record *c)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct error ignored;

	if (c->text && definition_parse(&d, c->name, c->text, &ignored) == 0 &&
	    d.stop_timeout_us > 0)
		return d.stop_timeout_us;
	return SHUTDOWN_DEFAULT_US;
}

/* @timeout_us: 0 becomes the machine's own. */
static int ask(struct host *h, const char *name, uint64_t *timeout_us,
	       struct error *e)
{
	const struct hold by = { .kind = HOLD_STOP };
	struct machine *m;
	int r = machine_take(h->registry, name, by, &m, e);

	if (r < 0)
		return r;
	if (*timeout_us == 0)
		*timeout_us = own_timeout(machine_record(m));
	if (machine_record(m)->started)
		r = press(machine_record(m), e);
	machine_release(h->registry, m);
	return r;
}

static int silent(const char *name, uint64_t timeout_us, struct error *e)
{
	char after[32];

	text_duration(after, sizeof(after), timeout_us);
	return error_set(e, ETIMEDOUT,
			 "the guest of machine %s did not power off within %s "
			 "after it was asked to: it still runs, and 'drover vm "
			 "stop %s --now' cuts the power",
			 name, after, name);
}

static int look(struct host *h, const char *name, uint64_t deadline_us,
		struct machine_view *ret, enum shutdown_turn *ret_turn,
		struct error *e)
{
	if (machine_show(h, name, ret, e) < 0)
		return error_in(e, "while its guest was to power off");
	*ret_turn = shutdown_turn(ret, clock_us(), deadline_us);
	return 0;
}

static int await(struct host *h, const char *name, uint64_t timeout_us,
		 struct machine_view *ret, struct error *e)
{
	const uint64_t deadline_us = clock_us() + timeout_us;
	enum shutdown_turn turn = SHUTDOWN_WAITS;
	int r;

	for (;;) {
		if ((r = look(h, name, deadline_us, ret, &turn, e)) < 0)
			return r;
		if (turn == SHUTDOWN_OFF)
			return 0;
		if (turn == SHUTDOWN_LOST)
			r = error_set(e, EIO, "machine %s is lost: %s", name,
				      ret->lost);
		machine_view_done(ret);
		if (r < 0)
			return r;
		if (turn == SHUTDOWN_HALTED)
			return machine_stop(h, name, ret, e);
		if (turn == SHUTDOWN_SILENT)
			return silent(name, timeout_us, e);
		if (host_stops(h, TURN_MS))
			return error_set(e, ECANCELED,
					 "the guest of machine %s was asked to "
					 "power off, and the service ends "
					 "before it has",
					 name);
	}
}

int machine_shutdown(struct host *h, const char *name, uint64_t timeout_us,
		     struct machine_view *ret, struct error *e)
{
	int r = ask(h, name, &timeout_us, e);

	if (r < 0)
		return r;
	log_info("machine %s: its guest is asked to power off", name);
	return await(h, name, timeout_us, ret, e);
}
