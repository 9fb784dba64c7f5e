/* SPDX-License-Identifier: MIT */

/*
 * What users do with machines: define, start, stop, pause, resume, forget (and
 * adoption.c: adopt).  The functions of the API are in host/host.h; each holds
 * the machine while it works on it, and no lock.
 */
#pragma once

struct definition;
struct error;
struct host;
struct machine;
struct machine_view;

/* The machine @m, reserved by the caller, is defined by @d and saved: it is
 * released.  Negative: it is off the list, and a QEMU that runs goes on. */
int lifecycle_enter(struct host *h, struct machine *m, struct definition *d,
		    struct machine_view *ret, struct error *e);
