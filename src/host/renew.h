/* SPDX-License-Identifier: MIT */

/* This host's certificate, and those of members, renewed.  Any thread may call;
 * no lock is held. */
#pragma once

struct error;
struct host;
struct message;
struct session;

/* By the CA, here or at its host; it counts from the next connection on. */
int renew_certificate(struct host *h, struct error *e);
/* A member asks for that. */
int renew_answer(struct host *h, struct session *s,
		 const struct message *request, struct message *ret,
		 struct error *e);
