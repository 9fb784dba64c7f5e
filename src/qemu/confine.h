/* SPDX-License-Identifier: MIT */

/*
 * Who a QEMU is on its host, so that a guest which has broken into its QEMU is
 * nobody there.
 *
 * Each machine is a user and a group of its own, whose number is made from its
 * uuid: the same on every host, so that an image on a storage that hosts share
 * belongs to it wherever it runs, and another's for every other machine, so
 * that the kernel keeps their memory, sockets and images apart.  It has the
 * groups of the user in "qemu-user" besides, for /dev/kvm.  No capabilities,
 * and none to be had again (no_new_privs, an empty bounding set); QEMU's own
 * filter of system calls is switched on by its command line (argv.c).
 *
 * The numbers are CONFINE_FIRST to CONFINE_FIRST + CONFINE_NUMBERS - 1, which
 * systemd's list of user numbers leaves to nobody.  Two of a thousand machines
 * have the same one with a probability of 0.4 %.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct error;

enum {
	CONFINE_FIRST = 0x70000000, /* 1879048192 */
	CONFINE_NUMBERS = 1 << 27,
	CONFINE_GROUPS = 32,
};

struct confinement {
	bool on; /* else QEMU is who this process is */
	uid_t number;
	gid_t group; /* of a QEMU the same number */
	gid_t groups[CONFINE_GROUPS];
	int groups_count;
};

/* @user: the setting, NULL and "root" for none; a name, or a number that has
 * no groups.  @uuid: of the machine.  -EPERM when there is no such user. */
int confine_find(struct confinement *ret, const char *user, const char *uuid,
		 struct error *e);
bool confine_wanted(const char *user);

uid_t confine_number(const char *uuid);

/* -EPERM: another machine's folder beside @run_dir is of the same user, so that
 * nothing would keep the two apart. */
int confine_alone(const char *run_dir, const struct confinement *c,
		  struct error *e);

/* The folders from the run directory down, which are ours: QEMU's user has to
 * come through them to its own.  @run_dir: that of the machine. */
int confine_folder(const char *run_dir, const struct confinement *c,
		   struct error *e);

/* In the process that becomes QEMU, which is a child of a program with threads:
 * system calls and nothing else.  0, or -1 with errno.
 *
 * First its groups, and files as its user sees them; no process of that user's
 * can send it a signal yet.  Then all the rest, after which they can: it goes
 * last. */
int confine_look(const struct confinement *c);
int confine_enter(const struct confinement *c);
