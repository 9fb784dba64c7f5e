/* SPDX-License-Identifier: MIT */

/*
 * Asking a guest to power off, which is the guest's to do.  The machine is not
 * held while the guest takes its time: 'vm stop --now' may cut the power
 * meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct error;
struct host;
struct machine_view;

enum { SHUTDOWN_DEFAULT_US = 90000000 };

enum shutdown_turn {
	SHUTDOWN_WAITS,
	SHUTDOWN_OFF,    /* its QEMU has ended */
	SHUTDOWN_HALTED, /* the guest has powered off, and its QEMU waits */
	SHUTDOWN_LOST,   /* its QEMU died */
	SHUTDOWN_SILENT, /* time is up, and the guest runs */
};

/* What became of a guest that was asked, which is @v now. */
enum shutdown_turn shutdown_turn(const struct machine_view *v, uint64_t now_us,
				 uint64_t deadline_us);

/* What a guest that was asked has. */
struct shutdown_wait {
	uint64_t timeout_us; /* 0 when it is asked: the machine's own */
	uint64_t deadline_us;
	uint64_t again_us; /* when it is asked again */
};

/* Has it a QEMU here? */
bool shutdown_is_on(struct host *h, const char *name);
/* Asks it, and fills @w in.  Where nothing runs there is nothing to ask. */
int shutdown_ask(struct host *h, const char *name, struct shutdown_wait *w,
		 struct error *e);
/* Asks again every 10 s: one that was still starting has not noticed, and one
 * that is on its way takes no notice.  0: it has time left; 1: it is off, and
 * @ret says how it is; -ETIMEDOUT: it runs on. */
int shutdown_look(struct host *h, const char *name, struct shutdown_wait *w,
		  struct machine_view *ret, struct error *e);
