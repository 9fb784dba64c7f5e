/* SPDX-License-Identifier: MIT */

/* What /proc says about a QEMU that somebody else has started. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/words.h"

struct error;
struct stat;

/* The command line, the program first.  -ESRCH, -EACCES; -EINVAL when the
 * process has none (a kernel thread, or one that has ended). */
int process_words(struct words *ret, pid_t pid, struct error *e);

/* Where a link of /proc/PID ("exe", "cwd", "fd/7") points, on the heap. */
int process_link(char **ret, pid_t pid, const char *name, struct error *e);

/* Whose it is: -EACCES where its real, effective and saved users differ. */
int process_user(uid_t *ret, pid_t pid, struct error *e);

/* -EINVAL unless the process runs a qemu-system-* or qemu-kvm. */
int process_check_qemu(pid_t pid, struct error *e);

/* Has any process that user? */
bool process_of_user(uid_t user);

/* Has it that very file open, so that it can read it, or write to it?  That is
 * the kernel's word. */
bool process_has_open(pid_t pid, const struct stat *st, bool to_write);

/* Bytes of its guest's memory that are there: of all that it has mapped in one
 * piece of 12 MiB or more; 0 where that is not known. */
uint64_t process_ram_bytes(pid_t pid);

/* Bytes of its memory that are in huge pages, of whatever kind; 0 where that is
 * not known. */
uint64_t process_huge_bytes(pid_t pid);
