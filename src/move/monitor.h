/* SPDX-License-Identifier: MIT */

/*
 * What a move asks QEMU's monitor to do.  Commands and fields as in QEMU's
 * qapi/migration.json and qapi/run-state.json, 7.2 to 10.x.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

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
	uint64_t total, remaining, transferred; /* bytes of RAM */
	uint64_t rounds, dirty_rate;            /* bytes per second */
	int64_t expected_downtime_ms;           /* -1: not known */
	char why[200];                          /* it failed */
};

struct guest_status {
	char word[24];
	bool running;
};

enum migration_status migration_status_of(const char *name);

/* The machine type without an alias: "pc-q35-7.2". */
int monitor_machine_type(struct qmp *q, char *buf, size_t cap, struct error *e);
/* The guest's state, in QEMU's word for it: "running". */
int monitor_status(struct qmp *q, struct guest_status *ret, struct error *e);
int monitor_is_running(struct qmp *q, bool *ret, struct error *e);
int monitor_migration(struct qmp *q, struct migration_info *ret,
		      struct error *e);

/* Names of the migration capabilities, true where they are on. */
int monitor_capabilities(struct qmp *q, json_t **ret, struct error *e);
/* Only those that this QEMU knows. */
int monitor_set_capability(struct qmp *q, const json_t *known, const char *name,
			   bool on, struct error *e);

int monitor_set_parameter(struct qmp *q, const char *name, uint64_t value,
			  struct error *e);

/* Ends a migration that goes on, waits until it has, and continues the guest
 * if @run and it does not run.  Commands that run out of time are given again
 * until @deadline_us, the last of them with its whole time. */
int monitor_take_back(struct qmp *q, bool run, uint64_t deadline_us,
		      struct error *e);
