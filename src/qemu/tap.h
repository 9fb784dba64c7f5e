/* SPDX-License-Identifier: MIT */

/*
 * A tap for a card of a machine, joined to a bridge of the host.  It is there
 * for as long as somebody has its descriptor: once QEMU has been given it,
 * until QEMU ends, however it does.
 *
 * [bridge lan] device = vmbr1 in drover.conf says what "lan" is called here; a
 * bridge without a section is called as it is.
 */
#pragma once

#include "base/ini.h"

struct definition_nic;
struct error;

/* A section [bridge NAME]. */
struct bridge {
	char name[INI_NAME_CAP];
	char *device;
};

extern const struct ini_section bridge_section;

/* The section of a bridge, NULL with none: @bridges is of struct bridge, or
 * NULL. */
const struct bridge *bridge_find(const struct ini_list *bridges,
				 const char *name);
/* Its device. */
const char *bridge_device(const struct ini_list *bridges, const char *name);
/* -ENODEV, and what to do, when there is no such bridge here. */
int bridge_check(const char *device, const char *name, struct error *e);

/* @machine is named in the tap's alias.  @nic has its address. */
int tap_open(int *ret_fd, const char *device, const char *machine,
	     const struct definition_nic *nic, struct error *e);
