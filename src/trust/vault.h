/* SPDX-License-Identifier: MIT */

/*
 * The folder of a struct trust, and what is kept of it in memory.  For the
 * files beside this one: list.c, authority.c and trust.c, which hold the lock
 * while they read and write, for milliseconds.
 */
#pragma once

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "trust/members.h"
#include "trust/signed_list.h"

struct error;

enum { VAULT_PRIVATE = 0600, VAULT_PUBLIC = 0644 };

struct trust {
	char folder[PATH_MAX - 64], own_name[64];
	atomic_uint generation; /* of the list */
	pthread_mutex_t lock;   /* guards the files, and what follows */
	struct members members; /* what both lists say */
	struct signed_list list;
	struct signed_list kept; /* list.h */
};

/* The whole file, on the heap; -ENOENT. */
int vault_load(const struct trust *s, const char *name, char **ret,
	       struct error *e);
bool vault_has(const struct trust *s, const char *name);
int vault_save(const struct trust *s, const char *name, const char *text,
	       mode_t mode, struct error *e);
/* Not on disk before folder_sync(). */
int vault_remove(const struct trust *s, const char *name, struct error *e);
/* -EEXIST where this host has a certificate. */
int vault_check_nobody(const struct trust *s, struct error *e);
