/* SPDX-License-Identifier: MIT */

/* Machines here that the host they came from calls back: its "return". */
#pragma once

struct error;
struct host;
struct message;
struct session;

int callback_answer(struct host *h, struct session *s,
		    const struct message *request, struct message *ret,
		    struct error *e);
