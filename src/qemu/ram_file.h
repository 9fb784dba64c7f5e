/* SPDX-License-Identifier: MIT */

/*
 * Memory of the kind "file": a file of droverd's that QEMU is handed, and that
 * others may map, or be handed, too.
 *
 * It never has a name, so that it is gone with the last process that has it,
 * however that ends.  It lies in a tmpfs with huge pages: the one that the
 * package's unit run-drover-memory.mount mounts at RUN/memory, or else one of
 * its own, which is mounted nowhere and goes with it.  Pages of 2M and 1G are
 * those that the host has set aside.
 */
#pragma once

#include <sys/types.h>

struct definition;
struct error;

/* For the memory of @d, the user @owner's alone; @run_directory: of the
 * service.  The descriptor, or negative errno with what is missing. */
int ram_file_make(const char *run_directory, const struct definition *d,
		  uid_t owner, struct error *e);

/* -ENOMEM with how many huge pages are missing here for @d, beside what others
 * have reserved; -EOPNOTSUPP where it asks for what is switched off. */
int ram_file_check_pages(const struct definition *d, struct error *e);
