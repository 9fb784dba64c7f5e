/* SPDX-License-Identifier: MIT */
#include "host/status.h"

#include "base/clock.h"
#include "base/error.h"
#include "host/host.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/updates.h"
#include "qemu/huge.h"
#include "qemu/monitor.h"
#include "qemu/process.h"
#include "qemu/qmp.h"

enum {
	ASK_US = 400000, /* for one QEMU to answer */
	ASK_ALL_US = 1500000,
};

/* Without a word: it does not say. */
static struct guest_status query_status(const char *path)
{
	struct guest_status now = { .running = false };
	struct error ignored;
	int fd = qmp_dial(path, &ignored);
	struct qmp *q;

	if (fd < 0 || qmp_open_fd(&q, fd, clock_us() + ASK_US, &ignored) < 0)
		return now;
	qmp_set_timeout(q, ASK_US);
	(void)monitor_status(q, &now, &ignored);
	qmp_close(q);
	return now;
}

void status_ask(struct registry *r, const char *name)
{
	uint64_t deadline = clock_us() + ASK_ALL_US;
	unsigned turn = registry_begin_turn(r);
	struct question q;

	while (clock_us() < deadline &&
	       registry_next_question(r, name, turn, &q)) {
		const struct guest_status now = query_status(q.path);

		registry_note_answer(r, &q, now.word[0] ? now.word : NULL,
				     now.running);
	}
}

int machine_list(struct host *h, struct machine_views *ret, struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);

	status_ask(h->registry, NULL);
	if (registry_view(h->registry, now->host.qemu, ret, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < ret->count; i++)
		updates_judge(&ret->at[i]);
	return 0;
}

int machine_show(struct host *h, const char *name, struct machine_view *ret,
		 struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);

	status_ask(h->registry, name);
	if (registry_view_one(h->registry, name, now->host.qemu, ret, e) < 0)
		return error_code(e);
	updates_judge(ret);
	ret->has_huge = ret->pid > 0;
	if (ret->has_huge)
		ret->huge_bytes = process_huge_bytes(ret->pid);
	if (ret->has_huge && ret->huge_bytes == 0)
		(void)huge_say_why(ret->why_small, sizeof(ret->why_small),
				   ret->pid);
	return 0;
}
