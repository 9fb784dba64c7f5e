/* SPDX-License-Identifier: MIT */

/*
 * The list of the hosts that a CA has let in: their names and addresses, and
 * which of them were removed.  The CA's host makes it and signs it, members
 * pass it on and believe nobody but the CA; of two lists the one with the
 * higher version counts.
 *
 * A host that was removed keeps its entry until its last certificate has
 * expired.  Certificates are numbered, and so are removals: those of a name
 * below @serial are of before a removal and prove nothing any more.
 *
 * Two lists can say different things that the CA has said both, when its key
 * has moved without the newest one.  Merged they say both: of each host what
 * has the higher number.
 *
 * Plain values; nothing here touches a file or a clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"

struct error;
struct shape;

enum {
	MEMBERS_MAX = 256,
	MEMBER_ADDRESSES_MAX = 16,
	MEMBERS_TEXT_MAX = 96 * 1024, /* it fits into a message */
};

struct member {
	char name[64];
	struct words addresses; /* numeric */
	unsigned port;
	uint64_t serial;   /* of the first certificate that counts */
	int64_t until_s;   /* the end of the newest one */
	int64_t removed_s; /* 0: it is a member */
};

struct members {
	uint64_t version; /* 0: there is no list */
	int64_t made_s;
	char host[64]; /* that has the CA's key */
	struct member *at;
	size_t count;
};

extern const struct shape members_shape; /* what is signed */

void members_done(struct members *m);
void member_done(struct member *m);

/* NULL: it has no entry. */
const struct member *members_find(const struct members *m, const char *name);

/* Replaces the entry of that name, or adds one.  Copies @one. */
int members_put(struct members *m, const struct member *one, struct error *e);
/* Certificates below @serial count no more.  -ENOENT. */
int members_remove(struct members *m, const char *name, uint64_t serial,
		   int64_t now_s, struct error *e);
/* What @other says of hosts, which is of the same CA, and @m does not know: of
 * each host the entry with the higher number counts, as that was given later.
 * Who has no entry in @m because all of its certificates had expired gets none
 * again, nor does anybody where @m is full.  1: @m has changed. */
int members_merge(struct members *m, const struct members *other,
		  struct error *e);
/* The highest number that is in it. */
uint64_t members_serial(const struct members *m);
/* Entries of removed hosts whose certificates have all expired. */
void members_forget_old(struct members *m, int64_t now_s);

/* Does a certificate with this number still prove that name?  -EACCES with
 * since when it does not. */
int members_check(const struct members *m, const char *name, uint64_t serial,
		  struct error *e);
bool member_same_place(const struct member *a, const struct member *b);

/* On the heap; -EMSGSIZE above MEMBERS_TEXT_MAX. */
int members_text(char **ret, const struct members *m, struct error *e);
/* -EBADMSG for what no list may say. */
int members_parse(struct members *ret, const char *text, struct error *e);
