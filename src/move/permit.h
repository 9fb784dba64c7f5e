/* SPDX-License-Identifier: MIT */

/*
 * What a machine that comes from a peer may name: the policy of qemu/policy.h
 * with this host's settings, for who compares and who takes a move.  What this
 * host's administrator wrote himself is not judged, whoever brings it back.
 *
 * Called before anything that the peer names is opened, or looked for.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct definition;
struct error;
struct findings;
struct machine_description;
struct move_host;

/* Is a definition that comes to be judged? */
bool permit_judges(const struct move_host *host, const struct definition *d);

/* A finding for each word that is to blame: 1 when there is one, 0 when there
 * is none. */
int permit_check(const struct move_host *host,
		 const struct machine_description *m,
		 const struct definition *d, struct findings *ret,
		 struct error *e);

/* A file that a peer has made here: -EPERM. */
int permit_file(const struct move_host *host, const char *path,
		struct error *e);

/* What a QEMU has open that was started from a definition that was judged:
 * -EPERM. */
int permit_opened(const struct move_host *host, pid_t pid, const char *run_dir,
		  struct error *e);
