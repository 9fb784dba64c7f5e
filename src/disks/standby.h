/* SPDX-License-Identifier: MIT */

/*
 * What the disks' servers do while no path is left: after a second of silence
 * they let go of clients that wait for an answer, so that the guest writes on,
 * and take none before the other host is heard again.  The job of QEMU's stands
 * meanwhile; who asks QEMU resumes it.
 *
 * The watch is a thread of its own: the move's may wait for something else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk_server;
struct disk_standby;
struct error;
struct session;

/* @servers and @s outlive it. */
int standby_new(struct disk_standby **ret, struct session *s,
		struct disk_server *const *servers, size_t count,
		struct error *e);
/* Once, and for good: the guest stands still, and no write of its waits. */
void standby_guest_stands(struct disk_standby *s);
/* No path, now, and the guest runs. */
bool standby_rests(struct disk_standby *s);
void standby_free(struct disk_standby *s); /* NULL is fine */

/* --- pure: a job that stands */

struct standby_job {
	unsigned tries;
	uint64_t next_us; /* nothing before */
	bool stood;       /* since it was in step last */
};

enum standby_act {
	STANDBY_WAIT,
	STANDBY_RESUME,
	STANDBY_GIVE_UP, /* it stands although it has a path */
};

/* For a job that stands at @now_us.  The first resume of a connection that was
 * closed may do no more than dial again, and fail. */
enum standby_act standby_act(struct standby_job *j, uint64_t now_us,
			     bool rests);
/* For one that goes on, with @left bytes to copy: is it in step?  What QEMU
 * calls ready may be behind by what the guest wrote meanwhile.  Of @left that
 * much may be what a guest that runs is just writing: @in_flight. */
bool standby_in_step(struct standby_job *j, uint64_t now_us, uint64_t left,
		     uint64_t in_flight);
