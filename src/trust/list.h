/* SPDX-License-Identifier: MIT */

/*
 * The list of hosts (trust/members.h) as the CA has signed it, in force and on
 * disk.  Any thread may call what begins with trust_; the rest is for the files
 * beside this one, which hold its lock.
 *
 * The newest list counts.  Where it does not say all that the one of before
 * said, say who was removed, because the CA's key has moved to a host that had
 * not heard of it, the one of before is kept beside it: both together are in
 * force here, and the CA's host hears it until its list says that too.
 */
#pragma once

#include <stdint.h>

#include "trust/certificate.h"
#include "trust/members.h"
#include "trust/signed_list.h"

struct error;
struct trust;

/* The list that is in the folder, if one is.  When it is wrong there is none
 * from then on, and whoever was removed is believed. */
int trust_load_list(struct trust *s, struct error *e);

/* The one in force, for members_done(); an empty one where there is none. */
int trust_members(struct trust *s, struct members *ret, struct error *e);
/* The same as host @to is to hear it; the text is NULL where there is none. */
int trust_list(struct trust *s, const char *to, struct signed_list *ret,
	       struct error *e);
/* 1: it is newer than the one here, and counts from now on, also after a
 * restart.  0: it is not.  -EACCES: the CA has not signed it. */
int trust_take_list(struct trust *s, const struct signed_list *l,
		    struct error *e);
/* Does a certificate with this number still prove that name?  -EACCES. */
int trust_check(struct trust *s, const char *name, uint64_t serial,
		struct error *e);
/* Grows with each list that is taken; any thread, without the lock. */
unsigned trust_generation(const struct trust *s);

/* --- with the lock */

/* What is in it, once the CA is known to have said so.  -EACCES. */
int list_read(const struct trust *s, struct members *ret,
	      const struct signed_list *l, struct error *e);

/* What is in force, for a change. */
int list_edit(const struct trust *s, struct members *ret, struct error *e);
/* @next becomes the next version: signed, and on disk before it counts.  It is
 * taken over. */
int list_publish(struct trust *s, const struct signed_key *ca,
		 struct members *next, int64_t now_s, struct error *e);
/* The list in force with another entry of that name. */
int list_publish_with(struct trust *s, const struct signed_key *ca,
		      const struct member *one, int64_t now_s, struct error *e);
/* It was that of another CA. */
void list_forget(struct trust *s);
