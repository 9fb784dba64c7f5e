/* SPDX-License-Identifier: MIT */

/*
 * Threads with names: top -H, perf(1) and gdb say which is which.
 */
#pragma once

#include <pthread.h>

/* Bytes that the kernel keeps of a name, with the NUL (prctl(2)). */
enum { THREAD_NAME = 16 };

/* As pthread_create(); @name is shorter than THREAD_NAME. */
int thread_create(pthread_t *ret, const char *name, void *(*main)(void *),
		  void *arg);
/* This thread's. */
void thread_name(const char *name);
