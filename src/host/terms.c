/* SPDX-License-Identifier: MIT */
#include "host/terms.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "host/parts.h"
#include "trust/list.h"

struct terms terms_of(struct host *h)
{
	struct terms t = { .settings = live_now(&h->live), .host = h->move };

	t.host.qemu = t.settings->host.qemu;
	t.host.qemu_user = t.settings->host.qemu_user;
	t.host.bridges = &t.settings->bridges;
	t.host.programs = &t.settings->host.programs;
	t.host.strict = t.settings->host.policy == HOST_POLICY_STRICT;
	t.host.image_directories = &t.settings->image_folders;
	t.host.switchover_outage_us =
		t.settings->move.switchover_outage_limit_us;
	t.host.keeps_copies = t.settings->move.keep_copy != KEEP_COPY_NO;
	return t;
}

int peer_failed(struct error *e)
{
	enum error_kind kind = error_kind(e);

	if (kind == ERROR_REFUSED || kind == ERROR_TIMED_OUT)
		return error_code(e);
	return error_as(e, EHOSTUNREACH);
}

int peer_of(const struct terms *t, const char *name, struct move_peer *ret,
	    struct error *e)
{
	const struct settings *s = t->settings;
	const struct peer *p = name ? settings_peer(s, name) : NULL;

	if (!p)
		return error_set(e, ENOENT,
				 "%s knows no host called %s: add a section "
				 "[peer %s] to its drover.conf",
				 s->host.name, name ? name : "",
				 name ? name : "NAME");
	/* No certificate of its has such a number, and in plain text nobody
	 * else would ask for one. */
	if (trust_check(t->host.trust, name, UINT64_MAX, e) < 0)
		return error_code(e);
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->addresses = (const char *const *)p->addresses.at;
	ret->port = (uint16_t)p->port;
	ret->tls = p->tls;
	return 0;
}
