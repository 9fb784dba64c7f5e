/* SPDX-License-Identifier: MIT */
#include "host/copies.h"
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "compress/compressor.h"
#include "host/arbiter.h"
#include "host/drain.h"
#include "host/events.h"
#include "host/finished.h"
#include "host/handover.h"
#include "host/hooks.h"
#include "host/host_view.h"
#include "host/hosts.h"
#include "host/jobs.h"
#include "host/keeper.h"
#include "host/kept_copies.h"
#include "host/moves.h"
#include "host/parts.h"
#include "host/port.h"
#include "host/power.h"
#include "host/rates.h"
#include "host/recovery.h"
#include "host/registry.h"
#include "host/relay_waits.h"
#include "host/requeue.h"
#include "host/restore.h"
#include "host/room.h"
#include "host/sampler.h"
#include "host/waiting.h"
#include "host/watch.h"
#include "nic/networks.h"
#include "nic/watch.h"
#include "session/accept.h"
#include "trust/list.h"
#include "trust/trust.h"
#include "wire/hello.h"

#define PROCESSORS "/sys/devices/system/cpu"

/* Folders on the way are made too: /run/drover is not there after a boot. */
static int make_folders(const char *path, struct error *e)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = part; slash; *slash = '/') {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return error_sys(e, "make folder %s", part);
		if (!slash)
			break;
	}
	return 0;
}

static void remove_unfinished(const struct host_settings *s)
{
	static const char *const folders[] = { "journal", "machines",
					       "history" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->state_directory,
			 folders[i]);
		folder_remove_unfinished(path);
	}
}

/* Another daemon would recover the moves of this one.  The kernel lets go when
 * the process ends, however it does; the number in the file is for reading. */
static int lock_state(struct host *h, struct error *e)
{
	char path[PATH_MAX], owner[32] = "";
	ssize_t n;

	snprintf(path, sizeof(path), "%s/lock", h->settings->state_directory);
	h->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (h->lock_fd < 0)
		return error_sys(e, "open %s", path);
	if (flock(h->lock_fd, LOCK_EX | LOCK_NB) == 0) {
		n = snprintf(owner, sizeof(owner), "%d\n", (int)getpid());
		if (ftruncate(h->lock_fd, 0) < 0 ||
		    pwrite(h->lock_fd, owner, (size_t)n, 0) != n)
			log_warning("%s: cannot note the process", path);
		return 0;
	}
	if (errno != EWOULDBLOCK)
		return error_sys(e, "lock %s", path);
	n = pread(h->lock_fd, owner, sizeof(owner) - 1, 0);
	owner[n > 0 ? strspn(owner, "0123456789") : 0] = '\0';
	return error_set(e, EBUSY,
			 "%s: another droverd has this state directory, "
			 "process %s: end it, or give this one a "
			 "state-directory of its own",
			 path, owner[0] ? owner : "unknown");
}

static int make_all_folders(struct host *h, struct error *e)
{
	const struct host_settings *s = h->settings;
	char machines[PATH_MAX];

	snprintf(machines, sizeof(machines), "%s/machines", s->run_directory);
	if (make_folders(s->state_directory, e) < 0 || lock_state(h, e) < 0 ||
	    make_folders(machines, e) < 0)
		return error_code(e);
	remove_unfinished(s);
	kept_copies_load(h->kept);
	return 0;
}

/* Takes the reference @first over. */
static void host_init(struct host *h, struct settings *first,
		      const struct settings_source *from)
{
	const struct host_settings *s = &first->host;

	live_init(&h->live, first, from);
	h->settings = s;
	h->move = (struct move_host){
		.own_name = s->name,
		.run_directory = s->run_directory,
		.state_directory = s->state_directory,
	};
	handover_init(&h->move, h);
}

static void host_free(struct host *h)
{
	arbiter_free(h->arbiter);
	sampler_free(h->sampler);
	hosts_free(h->hosts);
	drain_free(h->drain);
	keeper_free(h->keeper);
	copies_free(h->copies);
	rates_free(h->rates);
	port_free(h->port);
	watch_free(h->watch);
	requeue_free(h->requeue);
	waiting_free(h->waiting);
	registry_free(h->registry);
	relay_waits_free(h->relay_waits);
	room_free(h->room);
	kept_copies_free(h->kept);
	hook_queue_free(h->hooks);
	events_free(h->events);
	jobs_free(h->jobs);
	session_table_free(h->sessions);
	nic_watch_free(h->nics);
	trust_free(h->trust);
	compressor_free(h->compressor);
	if (h->stop_fd >= 0)
		close(h->stop_fd);
	if (h->news_fd >= 0)
		close(h->news_fd);
	if (h->lock_fd >= 0)
		close(h->lock_fd);
	live_done(&h->live);
	free(h);
}

static int start_threads(struct host *h, struct error *e)
{
	bool watches = false, queues = false, keeps = false, shares = false;

	if (port_start(h->port, e) < 0)
		return error_code(e);
	watches = watch_start(h->watch, h->stop_fd, e) == 0;
	if (watches)
		queues = waiting_start(h->waiting, e) == 0;
	if (queues)
		keeps = keeper_start(h->keeper, e) == 0;
	if (keeps)
		shares = arbiter_start(h->arbiter, e) == 0;
	if (shares && sampler_start(h->sampler, e) == 0)
		return 0;
	eventfd_write(h->stop_fd, 1);
	if (shares)
		arbiter_stop(h->arbiter);
	port_stop(h->port);
	if (queues)
		waiting_stop(h->waiting);
	if (watches)
		watch_stop(h->watch);
	if (keeps)
		keeper_stop(h->keeper);
	return error_code(e);
}

static int take_up_moves(struct host *h, struct error *e)
{
	if (requeue_load(h->requeue, e) < 0 || recovery_start(h, e) < 0)
		return error_code(e);
	requeue_take_up(h->requeue);
	return 0;
}

static int make_parts(struct host *h, struct error *e)
{
	const char *name = h->settings->name;

	h->sessions = session_table_new();
	h->jobs = jobs_new(name);
	h->waiting = waiting_new(h, moves_start);
	h->requeue = requeue_new(h);
	h->events = events_new();
	h->hooks = hook_queue_new();
	h->registry = registry_new(h->settings, h->jobs, h->events);
	h->watch = watch_new(h->registry, h->settings->state_directory);
	h->kept = kept_copies_new(h->settings->state_directory);
	h->room = room_new(name, h->kept);
	h->relay_waits = relay_waits_new();
	h->port = port_new(h);
	h->rates = rates_new();
	h->copies = copies_new();
	h->keeper = keeper_new(h);
	h->drain = drain_new(h->settings->state_directory, name);
	h->arbiter = arbiter_new(h);
	h->sampler = sampler_new(h);
	h->hosts = hosts_new(h);
	h->lock_fd = -1;
	h->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!h->sessions || !h->jobs || !h->waiting || !h->requeue ||
	    !h->registry || !h->watch || !h->room || !h->kept ||
	    !h->relay_waits || !h->port || !h->rates || !h->copies ||
	    !h->keeper || !h->drain || !h->events || !h->hooks || !h->arbiter ||
	    !h->sampler || !h->hosts || h->stop_fd < 0 || h->news_fd < 0)
		return error_set(e, ENOMEM, "no memory for the service");
	return 0;
}

/* Machines need their service also without the list. */
static void load_members(struct host *h)
{
	struct error e;

	if (trust_load_list(h->trust, &e) < 0)
		log_error("trust: %s: hosts that were removed are believed "
			  "until then",
			  e.text);
}

static void job_changed(void *context, struct job *j)
{
	struct host *h = context;

	events_tell_job(h->events, j);
	sampler_job_changed(h->sampler, j);
	if (job_state(j) >= JOB_DONE)
		finished_note(h->settings->state_directory, j);
	if (j->kind == JOB_MOVE && job_state(j) == JOB_IN_DOUBT) {
		const struct hook_event fault = hook_of_job(j, HOOK_FAULT);

		hooks_tell_later(h, &fault);
	}
}

/* What all sessions share. */
static int start_shared(struct host *h, struct error *e)
{
	const struct host_settings *s = h->settings;

	if (nic_watch_new(&h->nics, e) < 0 ||
	    trust_open(&h->trust, s->trust_directory, s->name, e) < 0 ||
	    compressor_new(&h->compressor, 0, e) < 0)
		return error_code(e);
	load_members(h);
	events_follow(h->events, h->nics);
	jobs_watch(h->jobs, job_changed, h);
	h->move.nics = h->nics;
	h->move.trust = h->trust;
	h->move.compressor = h->compressor;
	return 0;
}

int host_start(struct host **ret, struct settings *settings,
	       const struct settings_source *from, struct error *e)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return error_set(e, ENOMEM, "no memory for the service");
	host_init(h, settings_hold(settings), from);
	/* Peers may ask as soon as the port is open, and whoever watches the
	 * machines takes them: the registry comes first, then the moves. */
	if (make_parts(h, e) == 0 && make_all_folders(h, e) == 0 &&
	    start_shared(h, e) == 0 && drain_restore(h->drain, e) == 0 &&
	    restore_machines(h, e) == 0) {
		if (take_up_moves(h, e) == 0 && start_threads(h, e) == 0) {
			*ret = h;
			return 0;
		}
		jobs_cancel_all(h->jobs);
		if (!jobs_wait_idle(h->jobs))
			return error_code(e);
	}
	host_free(h);
	return error_code(e);
}

bool host_stop(struct host *h)
{
	eventfd_write(h->stop_fd, 1);
	waiting_stop(h->waiting);
	port_stop(h->port);
	watch_stop(h->watch);
	keeper_stop(h->keeper);
	arbiter_stop(h->arbiter);
	sampler_stop(h->sampler);
	jobs_cancel_all(h->jobs);
	/* It may wait for a peer, and moves are undone meanwhile. */
	hosts_stop(h->hosts);
	if (!jobs_wait_idle(h->jobs))
		return false;
	host_free(h);
	return true;
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

static int view_kept(struct host_view *v, struct host *h, struct error *e)
{
	struct kept_views all;

	if (copy_list(h, &all, e) < 0)
		return error_code(e);
	v->kept.count = all.count;
	for (size_t i = 0; i < all.count; i++)
		*(all.at[i].on_disk ? &v->kept.disk : &v->kept.memory) +=
			all.at[i].bytes;
	shape_done(&kept_views_shape, &all);
	return 0;
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
	    power_costs(&v.power, PROCESSORS, e) < 0 ||
	    copy_peers(&v, now, e) < 0 || view_kept(&v, h, e) < 0)
		return error_code(e);
	*ret = v;
	v = (struct host_view){ .peers_count = 0 };
	return 0;
}

int host_reload(struct host *h, struct error *e)
{
	return live_reload(&h->live, e);
}

int host_set(struct host *h, const char *setting, const struct words *values,
	     struct settings_view *ret, struct error *e)
{
	return live_set(&h->live, setting, values, ret, e);
}

int host_settings_list(struct host *h, struct settings_view *ret,
		       struct error *e)
{
	return live_view(&h->live, ret, e);
}

int copy_list(struct host *h, struct kept_views *ret, struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);

	kept_copies_expire(h->kept, now->move.keep_copy_time_us);
	return kept_copies_list(h->kept, ret, e);
}

int copy_remove(struct host *h, const char *name, struct kept_view *ret,
		struct error *e)
{
	return kept_copies_remove(h->kept, name, ret, e);
}

struct events *host_events(struct host *h)
{
	return h->events;
}
