/* SPDX-License-Identifier: MIT */

/* Folders for a test to write in.  They, what is in them, and the processes
 * that were started since the first, are gone when the program is over, however
 * it ends. */
#pragma once

enum { SCRATCH_CAP = 64 };

/* A new one, for this user alone; where there can be none, the test fails. */
void scratch_folder(char ret[static SCRATCH_CAP]);
