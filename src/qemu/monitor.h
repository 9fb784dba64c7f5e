/* SPDX-License-Identifier: MIT */

/*
 * What Drover asks QEMU's monitor, and tells it to do.  Commands and fields as
 * in QEMU's qapi/migration.json, qapi/run-state.json and qapi/machine.json, 7.2
 * to 10.x.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/words.h"

struct error;
struct qmp;

enum migration_status {
	MIGRATION_NONE,
	MIGRATION_ACTIVE, /* set up, pre-copy, switching over, cancelling */
	MIGRATION_COMPLETED,
	MIGRATION_FAILED,
	MIGRATION_CANCELLED,
};

struct migration_info {
	enum migration_status status;
	uint64_t total, remaining;       /* bytes of RAM */
	uint64_t rounds, dirty_rate;     /* bytes per second */
	uint64_t sent;                   /* bytes of the stream */
	uint64_t zero_pages, data_pages; /* of 4 KiB, of RAM */
	unsigned throttle;               /* per cent of the guest's time */
	int64_t expected_downtime_ms;    /* -1: not known */
	char why[200];                   /* it failed */
};

struct guest_status {
	char word[24];
	bool running;
};

/* The machine type without an alias: "pc-q35-7.2". */
int monitor_machine_type(struct qmp *q, char *buf, size_t cap, struct error *e);
/* The guest's state, in QEMU's word for it: "running". */
int monitor_status(struct qmp *q, struct guest_status *ret, struct error *e);
int monitor_is_running(struct qmp *q, bool *ret, struct error *e);
int monitor_migration(struct qmp *q, struct migration_info *ret,
		      struct error *e);

/* -EREMOTEIO: QEMU refuses to continue it, and it does not run. */
int monitor_continue(struct qmp *q, struct error *e);
int monitor_pause(struct qmp *q, struct error *e);

/* ACPI's power button is pressed; the guest may do as it likes. */
int monitor_power_button(struct qmp *q, struct error *e);

/* Is the guest run by KVM? */
int monitor_uses_kvm(struct qmp *q, bool *ret, struct error *e);
/* Adds QEMU's reasons why the machine cannot be migrated; none where it does
 * not say. */
int monitor_blockers(struct qmp *q, struct words *to, struct error *e);

/* Of migration, by their names. */
struct migration_capabilities {
	struct words known, on;
};

int monitor_capabilities(struct qmp *q, struct migration_capabilities *ret,
			 struct error *e);
void migration_capabilities_done(struct migration_capabilities *c);
/* Only those that this QEMU knows. */
int monitor_set_capability(struct qmp *q,
			   const struct migration_capabilities *now,
			   const char *name, bool on, struct error *e);

/* Begins a migration to the socket at @path, or one from there. */
int monitor_migrate(struct qmp *q, const char *path, struct error *e);
int monitor_receive(struct qmp *q, const char *path, struct error *e);

/* What a turn takes before it looks at all else: QEMU may never pause. */
enum { MONITOR_EVENTS_AT_ONCE = 256 };

enum monitor_event_kind {
	MONITOR_OTHER,
	MONITOR_STOPPED,   /* the guest */
	MONITOR_MIGRATION, /* has another status */
	MONITOR_PASS,      /* of migration begins: QEMU knows what changed */
};

struct monitor_event {
	enum monitor_event_kind kind;
	enum migration_status status;
	uint64_t wall_us; /* since 1970, by QEMU's clock */
	uint64_t pass;    /* that begins: as migration_info.rounds */
	/* MONITOR_MIGRATION: the guest stands still, and QEMU waits for
	 * monitor_switch_over(). */
	bool waits;
};

/* With the capability pause-before-switchover: it goes on. */
int monitor_switch_over(struct qmp *q, struct error *e);

/* As qmp_event(). */
int monitor_event(struct qmp *q, uint64_t deadline_us,
		  struct monitor_event *ret, struct error *e);

int monitor_set_parameter(struct qmp *q, const char *name, uint64_t value,
			  struct error *e);

/* How QEMU slows a guest down that changes too much, with its capability
 * auto-converge: from @begin per cent up by @step to @most. */
struct monitor_throttle {
	unsigned trigger; /* per cent of what was sent, that is too much */
	unsigned begin, step, most;
};

int monitor_set_throttle(struct qmp *q, const struct monitor_throttle *t,
			 struct error *e);

/* All of the guest's memory, in bytes. */
int monitor_memory(struct qmp *q, uint64_t *ret_bytes, struct error *e);
/* How much the guest changes: QEMU compares samples of its pages, some
 * thousand of @bytes of memory, @over_s seconds apart.  -EREMOTEIO: it cannot,
 * or does so already.
 */
int monitor_sample(struct qmp *q, unsigned over_s, uint64_t bytes,
		   struct error *e);
/* 1: bytes a second, of that; 0: it has not been measured, or not yet. */
int monitor_sampled(struct qmp *q, uint64_t *ret_rate, struct error *e);

/* What a migration was told so that it would end is not the next one's: as a
 * QEMU has it from its begin on. */
void monitor_reset_convergence(struct qmp *q);

/* QEMU tells the network where its guest is as soon as it has loaded it, which
 * is before it runs there, if ever: not this one. */
int monitor_keep_quiet(struct qmp *q, struct error *e);
/* Of a guest that runs: switches learn where its cards are. */
void monitor_announce(struct qmp *q);

/* Ends a migration that goes on, waits until it has, and continues the guest
 * if @run and it does not run.  Commands that run out of time are given again
 * until @deadline_us, the last of them with its whole time. */
int monitor_take_back(struct qmp *q, bool run, uint64_t deadline_us,
		      struct error *e);
