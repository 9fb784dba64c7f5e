/* SPDX-License-Identifier: MIT */

/*
 * Files that are either whole or not there, also after a loss of power.  A
 * folder belongs to one process, which locks it; within it any thread may call,
 * for one file one at a time.
 */
#pragma once

#include <sys/types.h>

struct error;

/* Written aside, synced, renamed, its folder synced.  Makes the folder, for its
 * owner alone. */
int file_save(const char *folder, const char *name, const char *text,
	      mode_t mode, struct error *e);
/* The same in two steps: what is prepared is synced, and nobody reads it before
 * it is published.  Whatever else is saved under that name, and the next start,
 * take it away. */
int file_prepare(const char *folder, const char *name, const char *text,
		 mode_t mode, struct error *e);
int file_publish(const char *folder, const char *name, struct error *e);
void file_drop_prepared(const char *folder, const char *name);
/* That of an absolute @path, on the heap; NULL without memory. */
char *file_folder(const char *path);
/* What was removed from the folder stays removed: on disk when it returns. */
int folder_sync(const char *path, struct error *e);
/* The oldest file goes when there are more than @most. */
void folder_prune(const char *folder, unsigned most);
/* Removes what a process that was killed has left aside; nobody may write into
 * the folder meanwhile. */
void folder_remove_unfinished(const char *folder);
