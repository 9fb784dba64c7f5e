/* SPDX-License-Identifier: MIT */

/*
 * A control group for a QEMU where systemd rules them: a scope of its own below
 * machine.slice, such as drover-web1-1234.scope, which `systemd-cgls` and
 * `systemctl status` show with its memory and processors.  systemd removes it
 * when QEMU has ended.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct error;

/* Does systemd run this host, and was this built to talk to it? */
bool scope_is_possible(void);
int scope_make(const char *machine, pid_t pid, struct error *e);

/* The scope of a QEMU, while its process is there; empty: it has none. */
enum { SCOPE_NAME = 160 };
void scope_find(char ret[static SCOPE_NAME], pid_t pid);
/* Its QEMU has ended: whatever that has started goes as well. */
void scope_end(const char *scope);
