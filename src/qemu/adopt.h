/* SPDX-License-Identifier: MIT */

/*
 * A definition from the command line of a QEMU that somebody else has
 * started.  What has a key of its own in a definition goes there; monitors,
 * -incoming, -S and what ties QEMU to its starter are left out; everything
 * else becomes arguments, word by word.  Devices that were plugged in later
 * are not on the command line and are not seen here.
 */
#pragma once

#include <sys/types.h>

#include "qemu/definition.h"

enum { ADOPT_PATH_MAX = 108 };

/* @ret_qmp_path has room for ADOPT_PATH_MAX bytes.  -ENXIO without a QMP unix
 * socket, -EINVAL for what is no QEMU or cannot be written as a definition,
 * -ESRCH, -EACCES. */
int adopt_process(pid_t pid, struct definition *ret_definition,
		  char *ret_qmp_path, struct error *e);
