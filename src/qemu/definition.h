/* SPDX-License-Identifier: MIT */

/*
 * A machine's definition, drover-machine(5): a small text that a person can
 * write.  The memory backend, the monitor socket and what a move needs are
 * Drover's, everything else is the user's arguments for QEMU.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/words.h"
#include "qemu/defined_disk.h"
#include "qemu/nic.h"

struct error;
struct ini_list;

/* Where the main memory is: QEMU's own, or a file that others may map too. */
enum memory_kind_wanted {
	MEMORY_KIND_AUTO, /* private, unless something asks for a file */
	MEMORY_KIND_PRIVATE,
	MEMORY_KIND_FILE,
	MEMORY_KINDS,
};

/* How large its pages are. */
enum huge_pages_wanted {
	HUGE_PAGES_AUTO, /* huge ones where the host gives them by itself */
	HUGE_PAGES_OFF,
	HUGE_PAGES_THP,  /* as auto, and refused where it never does */
	HUGE_PAGES_SIZE, /* huge_page_bytes, which the host has set aside */
	HUGE_PAGES_WANTED,
};

struct definition {
	char *name;
	char *uuid; /* NULL: none yet; in lower case */
	uint64_t memory_bytes;
	char *memory_options;     /* NULL, or "slots=2,maxmem=8G" */
	unsigned priority;        /* 1 + that of its moves; 0: none is said */
	uint64_t stop_timeout_us; /* for the guest to power off; 0: none is said
				   */
	unsigned vcpus;
	char *vcpus_options; /* NULL, or "sockets=1,cores=2" */
	char *machine;       /* "q35" or "q35,usb=off" */
	char *accelerator;   /* "kvm:tcg" */
	char *cpu;           /* NULL: QEMU's default */
	char *qemu;          /* NULL: the host's default */
	char *memory_id;     /* id and so name of the main RAM block */
	char *directory;     /* working directory of QEMU */
	enum huge_pages_wanted huge_pages;
	uint64_t huge_page_bytes; /* of HUGE_PAGES_SIZE, else 0 */
	bool shared_memory;       /* "memory = 4G,share=on" */
	enum memory_kind_wanted memory_kind;
	struct words shared;    /* disks that are the same on all hosts */
	struct words arguments; /* as written, ${dir} not yet expanded */
	struct definition_nics nics;
	struct definition_disks disks;
	/* Groups of machines that are kept on different hosts, and on one;
	 * NULL: none. */
	char *apart, *together;
};

/* What the host adds to a definition for a start. */
struct launch_options {
	const char *default_qemu;
	const char
		*run_dir; /* private to the machine; socket and log go here */
	bool incoming;    /* wait, paused, for a move to come in */
	bool beside; /* a QEMU of the machine runs in the other directory */
	bool shared; /* memory that is a file, whatever it asks for */
	bool small_pages; /* no transparent huge pages, likewise */
	/* Memory of the kind "file": of the QEMU that had it so far; 0: a new
	 * one is made. */
	int memory_fd;
	const char *run_directory; /* of the service */
	uint64_t timeout_us; /* for the monitor to answer; 0: one minute */
	const char
		*user; /* whose groups QEMU has; NULL, "root": not confined */
	/* What is given to that user is noted there (qemu/granted.h); NULL:
	 * nowhere. */
	const char *state_directory;
	/* Of the settings: what an image names below it has to lie there. */
	const struct words *image_directories;
	const struct ini_list *bridges; /* of the settings (qemu/tap.h) */
	const int *nic_fds;             /* taps of its nics */
};

/* Errors are "FILE:LINE:COLUMN: sentence". */
int definition_parse(struct definition *ret, const char *file_name,
		     const char *text, struct error *e);

/* Defaults in place of what is not set, and the uuid out of the arguments,
 * where it stands as QEMU's -uuid; -EINVAL when it cannot be started: no name,
 * no memory, or arguments that are Drover's own. */
int definition_check(struct definition *d, struct error *e);

/* The definition as text, on the heap; definition_parse() gives the same
 * definition again.  NULL without memory. */
char *definition_text(const struct definition *d);

/* As above, with the keys only that each version knows: for peers. */
char *definition_text_for_peers(const struct definition *d);

/* Do they start the same QEMU? */
bool definition_starts_as(const struct definition *d,
			  const struct definition *other);

/* The command line that starts the machine. */
int definition_argv(const struct definition *d, const struct launch_options *o,
		    struct words *ret_argv, struct error *e);

/* Can it be started where QEMU is confined?  -EINVAL with what to write. */
int definition_check_confined(const struct definition *d, struct error *e);

/* Adds to @w a copy of @word with ${dir} and ${name} filled in; "$${" stands
 * for "${". */
int definition_expand(struct words *w, const char *word,
		      const struct definition *d, const char *run_dir,
		      struct error *e);

/* All that stands for the arguments, filled in, and for the disks. */
int definition_words(struct words *w, const struct definition *d,
		     const char *run_dir, struct error *e);

/* Is the image at @path on all hosts, by its word? */
bool definition_says_shared(const struct definition *d, const char *path);

/* Is its main memory a file that is shared? */
bool definition_shares_memory(const struct definition *d);
/* And one that droverd makes (qemu/ram_file.h)? */
bool definition_has_ram_file(const struct definition *d);

/* Do the arguments bring their own memory (-numa node,memdev=...)? */
bool definition_own_memory(const struct definition *d);

void definition_done(struct definition *d);
