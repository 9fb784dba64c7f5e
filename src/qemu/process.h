/* SPDX-License-Identifier: MIT */

/* What /proc says about a QEMU that somebody else has started. */
#pragma once

#include <sys/types.h>

#include "base/words.h"

struct error;

/* The command line, the program first.  -ESRCH, -EACCES; -EINVAL when the
 * process has none (a kernel thread, or one that has ended). */
int process_words(struct words *ret, pid_t pid, struct error *e);

/* Where a link of /proc/PID ("exe", "cwd", "fd/7") points, on the heap. */
int process_link(char **ret, pid_t pid, const char *name, struct error *e);

/* Whose it is: -EACCES where its real, effective and saved users differ. */
int process_user(uid_t *ret, pid_t pid, struct error *e);

/* -EINVAL unless the process runs a qemu-system-* or qemu-kvm. */
int process_check_qemu(pid_t pid, struct error *e);
