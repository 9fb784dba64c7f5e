/* SPDX-License-Identifier: MIT */
#include "host/shutdown.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/drain.h"
#include "host/host.h"
#include "host/parts.h"
#include "host/registry.h"
#include "qemu/definition.h"
#include "qemu/monitor.h"
#include "qemu/qmp.h"

enum {
	MONITOR_US = 5000000,
	AGAIN_US = 10000000,
	FREE_US = 5000000,
	FREE_AGAIN_MS = 5,
	TURN_MS = 200,
};

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

int shutdown_ask(struct host *h, const char *name, struct shutdown_wait *w,
		 struct error *e)
{
	const struct hold by = { .kind = HOLD_STOP };
	struct machine *m;
	int r = machine_take(h->registry, name, by, &m, e);

	if (r < 0)
		return r;
	if (w->timeout_us == 0)
		w->timeout_us = own_timeout(machine_record(m));
	if (machine_record(m)->started) {
		log_info("machine %s: its guest is asked to power off", name);
		r = press(machine_record(m), e);
	}
	machine_release(h->registry, m);
	if (r < 0)
		return r;
	w->deadline_us = clock_us() + w->timeout_us;
	w->again_us = clock_us() + AGAIN_US;
	return 0;
}

/* That it was not heard is no failure: there is time left. */
static void ask_again(struct host *h, const char *name, struct shutdown_wait *w)
{
	const struct hold by = { .kind = HOLD_STOP };
	struct machine *m;
	struct error e;

	if (clock_us() < w->again_us)
		return;
	w->again_us = clock_us() + AGAIN_US;
	if (machine_take(h->registry, name, by, &m, &e) < 0)
		return;
	if (machine_record(m)->started && press(machine_record(m), &e) < 0)
		log_debug("machine %s: %s", name, e.text);
	machine_release(h->registry, m);
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

/* The watch still has it: gives back what its QEMU had, which takes some ms. */
static void wait_free(struct host *h, const char *name)
{
	const struct hold by = { .kind = HOLD_STOP };
	const uint64_t until = clock_us() + FREE_US;
	struct machine *m;
	struct error e;
	int r;

	while ((r = machine_take(h->registry, name, by, &m, &e)) == -EBUSY &&
	       clock_us() < until)
		poll(NULL, 0, FREE_AGAIN_MS);
	if (r == 0)
		machine_release(h->registry, m);
}

int shutdown_look(struct host *h, const char *name, struct shutdown_wait *w,
		  struct machine_view *ret, struct error *e)
{
	enum shutdown_turn turn;
	int r = look(h, name, w->deadline_us, ret, &turn, e);

	if (r < 0)
		return r;
	if (turn == SHUTDOWN_OFF) {
		wait_free(h, name);
		return 1;
	}
	if (turn == SHUTDOWN_LOST)
		r = error_set(e, EIO, "machine %s is lost: %s", name,
			      ret->lost);
	machine_view_done(ret);
	if (turn == SHUTDOWN_WAITS)
		ask_again(h, name, w);
	if (turn == SHUTDOWN_HALTED) {
		r = machine_stop(h, name, ret, e);
		return r < 0 ? r : 1;
	}
	return turn == SHUTDOWN_SILENT ? silent(name, w->timeout_us, e) : r;
}

int machine_shutdown(struct host *h, const char *name, uint64_t timeout_us,
		     struct machine_view *ret, struct error *e)
{
	struct shutdown_wait w = { .timeout_us = timeout_us };
	int r = shutdown_ask(h, name, &w, e);

	while (r == 0) {
		r = shutdown_look(h, name, &w, ret, e);
		if (r == 0 && host_stops(h, TURN_MS))
			r = error_set(e, ECANCELED,
				      "the guest of machine %s was asked to "
				      "power off, and the service ends before "
				      "it has",
				      name);
	}
	return r < 0 ? r : 0;
}

bool shutdown_is_on(struct host *h, const char *name)
{
	struct machine_view v;
	struct error ignored;
	bool on;

	if (machine_show(h, name, &v, &ignored) < 0)
		return false;
	on = v.pid > 0;
	machine_view_done(&v);
	return on;
}

int machine_restart(struct host *h, const char *name, uint64_t timeout_us,
		    bool now, struct machine_view *ret, struct error *e)
{
	const bool ran = shutdown_is_on(h, name);
	int r = ran ? drain_check(h->drain, e) : 0;

	if (r < 0)
		return error_in(e, "machine %s is left as it is", name);
	if (ran) {
		r = now ? machine_stop(h, name, ret, e)
			: machine_shutdown(h, name, timeout_us, ret, e);
		if (r < 0)
			return r;
		machine_view_done(ret);
	}
	r = machine_start(h, name, false, ret, e);
	return r < 0 && ran ? error_in(e, "machine %s is off", name) : r;
}
