/* SPDX-License-Identifier: MIT */

/*
 * The service: machines, jobs, relays, cards and peers of this host, as the
 * control API sees them.
 *
 * Every function may be called from any thread and may block for as long as
 * the thing it does takes (starting a QEMU, asking a peer); none returns
 * before its effect is on disk where it is one that survives a restart.
 * Results are copies, which the caller gives back as is said of them.  Error
 * codes: ENOENT (no such machine, job, card, peer), EEXIST (name taken), EBUSY
 * (a job holds it), EINVAL (wrong input), EHOSTUNREACH (peer), anything else:
 * failed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "host/plan.h"
#include "host/requests.h"
#include "nic/view.h"
#include "tune/advice.h"
#include "tune/view.h"
#include "wire/description.h"

struct disk_views;
struct drain_record;
struct drain_spare;
struct error;
struct estimate_view;
struct events;
struct host;
struct host_view;
struct kept_view;
struct hosts_all;
struct kept_views;
struct job_details;
struct job_view;
struct job_views;
struct machine_view;
struct machine_views;
struct old_disks;
struct pool_views;
struct settings;
struct settings_source;
struct settings_view;
struct words;

/* Takes what the last daemon left (machines, journal), opens the peer port.
 * @settings were loaded from @from, whose path outlives the host. */
int host_start(struct host **ret, struct settings *settings,
	       const struct settings_source *from, struct error *e);

/* Ends jobs (a move before its commit is undone), leaves machines running.
 * False when jobs in doubt are left, whose threads use @h until the process
 * ends. */
bool host_stop(struct host *h);

/* host_view_done() frees it. */
int host_show(struct host *h, struct host_view *ret, struct error *e);

/* What happens; see host/events.h. */
struct events *host_events(struct host *h);

/* The settings; see host/live.h. */
int host_settings_list(struct host *h, struct settings_view *ret,
		       struct error *e);
int host_set(struct host *h, const char *setting, const struct words *values,
	     struct settings_view *ret, struct error *e);
int host_reload(struct host *h, struct error *e);

/* Machines.  Results are the caller's: machine_view_done(). */

int machine_list(struct host *h, struct machine_views *ret, struct error *e);
int machine_show(struct host *h, const char *name, struct machine_view *ret,
		 struct error *e);
int machine_define(struct host *h, const char *file_name, const char *text,
		   struct machine_view *ret, struct error *e);
/* One that runs stays as it is.  @anyway: also when a peer where it was last
 * seen has it or is not heard. */
int machine_start(struct host *h, const char *name, bool anyway,
		  struct machine_view *ret, struct error *e);
/* Cuts the power. */
int machine_stop(struct host *h, const char *name, struct machine_view *ret,
		 struct error *e);
/* Asks the guest to power off and waits for that; @timeout_us: 0 for what the
 * definition says.  -ETIMEDOUT: it runs on. */
int machine_shutdown(struct host *h, const char *name, uint64_t timeout_us,
		     struct machine_view *ret, struct error *e);
/* Off, by the guest or (@now) by a power cut, and started anew; one that does
 * not run is started. */
int machine_restart(struct host *h, const char *name, uint64_t timeout_us,
		    bool now, struct machine_view *ret, struct error *e);
/* The guest stands still; it goes on. */
int machine_pause(struct host *h, const char *name, struct machine_view *ret,
		  struct error *e);
int machine_resume(struct host *h, const char *name, struct machine_view *ret,
		   struct error *e);
int machine_adopt(struct host *h, const struct adopt_request *of,
		  struct machine_view *ret, struct error *e);
/* -EBUSY: it runs, and is not to be left so. */
int machine_forget(struct host *h, const char *name, bool leave_running,
		   struct machine_view *ret, struct error *e);

int machine_move(struct host *h, const char *name,
		 const struct move_request *of, struct job_view *ret_job,
		 struct error *e);

/* Likewise, to the host that a drain would choose; @of names none. */
int machine_move_any(struct host *h, const char *name,
		     const struct move_request *of, struct job_view *ret_job,
		     struct error *e);
/* What that would take; nothing is started.  For some seconds. */
int machine_estimate(struct host *h, const char *name,
		     const struct move_request *of, struct estimate_view *ret,
		     struct error *e);

/* Into the QEMU that is installed now: docs/update.md. */
int machine_update(struct host *h, const char *name, struct job_view *ret_job,
		   struct error *e);

/* disk_views_done() of host/disks.h frees them. */
int machine_disks(struct host *h, const char *name, struct disk_views *ret,
		  struct error *e);
/* What machines left here that took their disks along.  old_disks_done() of
 * host/old_disks.h frees them. */
int host_old_disks(struct host *h, struct old_disks *ret, struct error *e);
/* Where images lie; pool_views_done() of host/pools.h frees them. */
int host_pools(struct host *h, struct pool_views *ret, struct error *e);
int host_remove_old_disks(struct host *h, const char *machine,
			  struct old_disks *ret, struct error *e);

/* What the two hosts find; findings_done() frees them. */
struct comparison {
	bool ok; /* none of them is an error */
	struct findings findings;
};

int machine_compare(struct host *h, const char *name, const char *peer,
		    struct comparison *ret, struct error *e);

/* Draining this host: docs/drain.md.  drain_record_done() frees a record. */
int host_drain_show(struct host *h, struct drain_record *ret, struct error *e);
/* What would be. */
int host_drain_plan(struct host *h, const struct drain_request *of,
		    struct drain_record *ret, struct error *e);
int host_drain(struct host *h, const struct drain_request *of,
	       struct drain_record *ret, struct error *e);
int host_drain_resume(struct host *h, struct drain_record *ret,
		      struct error *e);
/* What has left stays where it is. */
int host_drain_cancel(struct host *h, struct drain_record *ret,
		      struct error *e);
int host_return(struct host *h, struct drain_record *ret, struct error *e);
/* This host and its peers, as they told last; hosts_all_done() frees them. */
int host_hosts(struct host *h, struct hosts_all *ret, struct error *e);
/* Could any one of all hosts that tell fail now? */
int host_capacity(struct host *h, struct drain_spare *ret, struct error *e);

/* What machines that went away have left here: docs/keep-copy.md. */
int copy_list(struct host *h, struct kept_views *ret, struct error *e);
int copy_remove(struct host *h, const char *name, struct kept_view *ret,
		struct error *e);

/* Jobs: moves and relays, both directions; the oldest first.  Views are given
 * back with shape_done(). */
int job_list(struct host *h, struct job_views *ret, struct error *e);
int job_show(struct host *h, const char *id, struct job_view *ret,
	     struct error *e);
/* What a job does, in detail. */
int host_debug_job(struct host *h, const char *id, struct job_details *ret,
		   struct error *e);
int job_cancel(struct host *h, const char *id, struct job_view *ret,
	       struct error *e);

/* Other terms for a move away whose guest still runs here. */
int job_set(struct host *h, const char *id, const struct job_request *of,
	    struct job_view *ret, struct error *e);

/* The operator's last word on a job in doubt.  @run_here: this host keeps the
 * machine and continues it; otherwise it gives it up. */
int job_resolve(struct host *h, const char *id, int run_here,
		struct job_view *ret, struct error *e);

/* Network cards, as they are now; give back with shape_done(). */
int nic_list(struct host *h, struct nic_views *ret, struct error *e);
int nic_show(struct host *h, const char *name, struct nic_view *ret,
	     struct error *e);
/* What excludes what on a card, and what that means for those of this host. */
int nic_matrix(struct host *h, struct tune_matrix_view *ret, struct error *e);
/* What would be better about the cards, for migration, machines, storage or
 * mixed (also NULL).  Takes a second: it measures. */
int nic_advise(struct host *h, const char *purpose, struct tune_advice *ret,
	       struct error *e);

/* Over which pairs of cards a move to @peer would travel, and why not over the
 * others.  @mode: NULL for that of the settings. */
int nic_plan(struct host *h, const char *peer, const char *mode,
	     struct plan_view *ret, struct error *e);

int relay_start(struct host *h, const struct relay_request *of,
		struct job_view *ret_job, struct error *e);
