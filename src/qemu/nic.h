/* SPDX-License-Identifier: MIT */

/*
 * The network cards of a machine that stand on bridges of its host: the lines
 * "nic NAME = bridge=br0,mac=52:54:12:34:56:78,model=virtio-net-pci" of its
 * definition.  Drover makes the tap (qemu/tap.h), so QEMU, which may not,
 * has to be given its descriptor only.
 *
 * A card's address is made from the machine's uuid and the card's name where it
 * is not written, so that it is the same on every host and after every start.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct definition;
struct error;
struct words;

enum {
	NIC_NAME_CAP = 32,
	NIC_BRIDGE_CAP = 64,
	NIC_MAC_CAP = 18,
	NICS_MAX = 16,
	MAC_BYTES = 6
};

struct definition_nic {
	char name[NIC_NAME_CAP];
	char bridge[NIC_BRIDGE_CAP];
	char mac[NIC_MAC_CAP]; /* "": none yet */
	char model[NIC_BRIDGE_CAP];
};

struct definition_nics {
	struct definition_nic *at; /* NULL: there are none */
	size_t count;
};

/* Adds "NAME bridge=...". */
int nics_add(struct definition_nics *n, const char *line, struct error *e);
void nics_done(struct definition_nics *n);

/* Those without an address get one; @identity: of the machine. */
void nics_settle(struct definition_nics *n, const char *identity);
/* That address as bytes. */
void mac_bytes(unsigned char ret[static MAC_BYTES], const char *mac);

/* The keys of a definition. */
void nics_write(FILE *out, const struct definition_nics *n);
/* What stands for them where nobody knows the key, as arguments: QEMU's helper
 * makes the tap. */
void nics_write_arguments(FILE *out, const struct definition_nics *n);
/* QEMU's options; fds[i] is the tap of the i-th. */
int nics_argv(struct words *w, const struct definition_nics *n, const int *fds,
	      struct error *e);

/* "-nic bridge" among the arguments, where it says nothing that a nic cannot,
 * becomes one.  The machine does not run: its cards stand elsewhere then. */
int nics_from_arguments(struct definition *d, struct error *e);
/* -EINVAL, with the line to write, for what would have QEMU make a tap. */
int nics_check_arguments(const struct definition *d, struct error *e);
