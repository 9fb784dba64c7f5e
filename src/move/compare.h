/* SPDX-License-Identifier: MIT */

/*
 * The pre-flight check.  The source describes the machine as its QEMU runs it;
 * the destination holds that against what it has.  Every finding is a sentence
 * that says what to do.
 */
#pragma once

#include "wire/description.h"

struct definition;
struct disk_marks;
struct error;
struct move_host;
struct move_machine;
struct qmp;

/* The definition in such a description: what a newer version than this one
 * knows is left out.  Checked, and its uuid is the one beside it. */
int compare_read_definition(struct definition *ret,
			    const struct machine_description *machine,
			    struct error *e);
/* The program that starts it here: a peer names none that drover.conf does
 * not. */
const char *compare_program(const struct move_host *host,
			    const struct definition *d);

/* What the other side has to know about a machine that runs here; shape_done()
 * frees what is in it.  The other side may look at the disks until
 * disks_unmark(@ret_marks). */
int compare_describe(struct qmp *q, const struct move_machine *m,
		     struct machine_description *ret,
		     struct disk_marks **ret_marks, struct error *e);

/* The destination's findings about such a description; @unwelcome: why it may
 * not come, or NULL. */
int compare_check(const struct move_host *host,
		  const struct machine_description *machine,
		  const char *unwelcome, struct findings *ret, struct error *e);

/* -EPERM with the first finding that is an error. */
int compare_verdict(const struct findings *findings, struct error *e);
