/* SPDX-License-Identifier: MIT */

/*
 * What a QEMU can do, asked of the program itself: it is run once, without a
 * machine, for a fraction of a second.  The answer is kept until the file
 * changes.  Any thread may ask; who asks about a program while another thread's
 * question to it runs waits for that.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/words.h"

struct error;

/* Immutable, and valid until the program ends. */
struct qemu_facts {
	char *path;
	int major, minor, micro;
	json_t *machines;     /* name -> its full name; aliases as well */
	json_t *devices;      /* name -> true; NULL: not known */
	json_t *cpus;         /* name -> true */
	json_t *capabilities; /* of migration: name -> default state */
};

/* -ENOENT, -EACCES, -ETIMEDOUT; -ECHILD when it is no QEMU or does not run
 * here. */
int probe_qemu(const struct qemu_facts **ret, const char *path,
	       struct error *e);

/* What is known of it without asking, or waiting for who asks; else nothing
 * is written. */
void probe_known(const char *path, int *ret_major, int *ret_minor,
		 int *ret_micro);

/* "pc-q35-7.2" for "q35" or "pc-q35-7.2"; NULL when it is not known. */
const char *facts_machine(const struct qemu_facts *f, const char *machine);

/* Adds all of them, aliases too. */
int facts_add_machines(const struct qemu_facts *f, struct words *to,
		       struct error *e);

/* Also true when the devices are not known. */
bool facts_has_device(const struct qemu_facts *f, const char *device);
bool facts_has_cpu(const struct qemu_facts *f, const char *cpu);
bool facts_has_capability(const struct qemu_facts *f, const char *capability);

/* Is this QEMU at least @major.@minor? */
bool facts_at_least(const struct qemu_facts *f, int major, int minor);
