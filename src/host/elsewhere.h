/* SPDX-License-Identifier: MIT */

/*
 * Machines that were last seen on a peer: who starts one here asks that peer
 * first, which may say that it has moved on.  The notes are in host/store.h.
 *
 * Any thread may call; it waits for peers.
 */
#pragma once

#include "wire/message.h"

struct error;
struct host;

/* -EBUSY where a peer has it, or cannot be asked. */
int elsewhere_check(struct host *h, const char *name, const char *uuid,
		    struct error *e);
/* To a peer's "holds". */
void elsewhere_answer(struct host *h, const char *peer,
		      const struct message_holds *request, struct message *ret);
