/* SPDX-License-Identifier: MIT */

/*
 * A service that does nothing but remember what it was asked and answer what
 * it was told to: stands in for src/host in tests of the control API.
 */
#pragma once

#include <pthread.h>

struct double_host {
	int fail_code;           /* errno of every answer, 0: succeed */
	const char *reason;      /* with fail_code */
	char asked[2048];        /* "machine_show web1" */
	pthread_barrier_t *meet; /* host_show() waits here twice; or NULL */
};

struct host;

/* The double as what the API takes. */
struct host *double_as_host(struct double_host *d);
