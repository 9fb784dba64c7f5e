/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <assert.h>
#include <string.h>

int thread_create(pthread_t *ret, const char *name, void *(*main)(void *),
		  void *arg)
{
	int r = pthread_create(ret, NULL, main, arg);

	assert(strlen(name) < THREAD_NAME);
	if (r == 0)
		pthread_setname_np(*ret, name);
	return r;
}

void thread_name(const char *name)
{
	assert(strlen(name) < THREAD_NAME);
	pthread_setname_np(pthread_self(), name);
}
