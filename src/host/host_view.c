/* SPDX-License-Identifier: MIT */
#include "host/host_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/host.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/room.h"
#include "nic/networks.h"
#include "wire/hello.h"

void host_view_done(struct host_view *v)
{
	for (size_t i = 0; i < v->peers_count; i++)
		words_done(&v->peers[i].addresses);
	free(v->peers);
	words_done(&v->listen);
	words_done(&v->networks);
	free(v->qemu);
	*v = (struct host_view){ .peers_count = 0 };
}

static int copy_peers(struct host_view *v, const struct settings *s,
		      struct error *e)
{
	v->peers = calloc(s->peers.count + 1, sizeof(*v->peers));
	if (!v->peers)
		return error_set(e, ENOMEM, "no memory for the peers");
	for (size_t i = 0; i < s->peers.count; i++) {
		const struct peer *p = s->peers.at[i];
		struct host_peer_view *to = &v->peers[v->peers_count++];

		snprintf(to->name, sizeof(to->name), "%s", p->name);
		to->port = p->port;
		to->tls = p->tls;
		if (words_add_all(&to->addresses, &p->addresses, e) < 0)
			return error_code(e);
	}
	return 0;
}

static void view_memory(struct host_view *v)
{
	uint64_t available = room_available(getpid());
	struct sysinfo info;

	sysinfo(&info);
	v->memory.total = info.totalram * info.mem_unit;
	v->memory.available = available == UINT64_MAX ? 0 : available;
}

int host_show(struct host *h, struct host_view *ret, struct error *e)
{
	SCOPED(host_view_done) struct host_view v = { .peers_count = 0 };
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	const struct host_settings *s = h->settings;

	snprintf(v.name, sizeof(v.name), "%s", s->name);
	snprintf(v.version, sizeof(v.version), "%s", DROVER_VERSION);
	v.wire.version = WIRE_VERSION;
	v.wire.lowest = WIRE_LOWEST;
	v.port = s->port;
	v.machines = registry_count(h->registry);
	v.jobs = jobs_running(h->jobs);
	v.cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	view_memory(&v);
	v.qemu = strdup(now->host.qemu);
	if (!v.qemu)
		return error_set(e, ENOMEM, "no memory for the host");
	if (words_add_all(&v.listen, &s->listen, e) < 0 ||
	    networks_words(&v.networks, &now->networks, e) < 0 ||
	    copy_peers(&v, now, e) < 0)
		return error_code(e);
	*ret = v;
	v = (struct host_view){ .peers_count = 0 };
	return 0;
}
