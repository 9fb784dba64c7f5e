/* SPDX-License-Identifier: MIT */

/*
 * droverd --check: whether settings that could be read fit this host and its
 * peers, without starting anything.
 *
 * Cards, folders, programs and certificates are looked at; of a peer with TLS,
 * the certificate that it shows when it is connected to.  It hears nothing but
 * a handshake, and whether it can be reached now is no fault of the settings.
 */
#pragma once

#include "base/words.h"

struct error;
struct settings;
struct settings_source;

/* A sentence each. */
struct check {
	struct words unknown; /* what is not understood, and left out */
	struct words wrong;   /* what does not work like this */
	struct words notes;   /* what somebody should know */
};

/* @from: where @s was read.  Fails only where a look could not be taken. */
int settings_check(struct check *ret, const struct settings *s,
		   const struct settings_source *from, struct error *e);
void check_done(struct check *c);
