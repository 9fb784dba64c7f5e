/* SPDX-License-Identifier: MIT */

/*
 * What was given to the users of machines (qemu/grant.h), on disk:
 * STATE/granted/NUMBER.json for the user NUMBER.  A file stands there before it
 * is given and until it has been taken back, so that neither a start that
 * fails nor a daemon that is killed leaves a machine rights that nobody knows
 * of.
 *
 * What the user had before is not noted: on a storage that hosts share that was
 * given to the same machine on another host, which may still run it.
 *
 * Any thread may call, for one machine one at a time.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct confinement;
struct error;
struct named_files;

/* Gives the files to the machine's user.  @state_directory: NULL where nothing
 * is to be noted.  What fails may have given some. */
int granted_give(const char *state_directory, const char *machine,
		 const struct named_files *files, const struct confinement *who,
		 struct error *e);

/* Its QEMU has ended, or was not started: what was given is taken back.  What
 * cannot be is logged. */
void granted_take_back(const char *state_directory, uid_t number);
/* The same of a user of whom that is not certain: nothing happens while a
 * process of his lives. */
void granted_take_back_unused(const char *state_directory, uid_t number);
/* The machine runs on another host: what it was given may be needed there. */
void granted_forget(const char *state_directory, uid_t number);
/* After a start: of all users that have no process, but those of machines that
 * @keep names. */
void granted_sweep(const char *state_directory,
		   bool (*keep)(const void *arg, const char *machine),
		   const void *arg);
