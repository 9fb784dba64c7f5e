/* SPDX-License-Identifier: MIT */

/*
 * Both ends of a session in one process.  `near` dialled, `far` accepted.
 * Either over loopback, with a bad network in between; or in two network
 * namespaces that several cards connect, which may be unplugged.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cutter.h"
#include "session/accept.h"
#include "session/session.h"

/* For threads, where cmocka's assertions cannot be used. */
#define CHECK(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
				#what); \
			abort(); \
		} \
	} while (0)

struct trust;

struct ends {
	struct session_table *table;
	struct acceptor acceptor;
	int listen_fd, stop_fd;
	uint16_t port;
	pthread_t listener;
	struct cutter *cutter; /* NULL with cards */

	/* With cards: 10.99.K.1 on lanK here, 10.99.K.2 on lanK there. */
	unsigned links;
	pid_t far_thread; /* in the far namespace */
	pthread_barrier_t turn;
	struct session_cards cards;    /* near's */
	struct networks networks;      /* any */
	struct compressor *compressor; /* near's, may be NULL; the caller's */
	struct compressor_policy compressor_policy;
	const char *refuse;  /* reason of admit(), NULL admits */
	struct trust *trust; /* near's, may be NULL; the caller's */
	bool far_proves;     /* admit() wants a name that was proved */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned greeting;   /* threads in session_accept() */
	struct session *far; /* the last that was opened */
	struct session *near;
};

/* Listens; dials nothing yet. */
void ends_init(struct ends *e, uint32_t seed);
/* With cards instead; skips the test where there are no namespaces.  The
 * calling thread and those that it starts from now on are on the near host. */
void ends_init_cards(struct ends *e, unsigned links);
/* Plugs card @link (from 1) in or out. */
void ends_plug(const struct ends *e, unsigned link, bool in);
/* Gives card @link here an address of a network that is nowhere else. */
void ends_readdress(const struct ends *e, unsigned link);
/* 0 or the error of session_open(); waits for the far end too. */
int ends_open(struct ends *e, unsigned channels, uint64_t outage_us,
	      struct error *err);
/* Waits for it. */
struct session *ends_far(struct ends *e);
/* Frees both sessions. */
void ends_close(struct ends *e);
void ends_done(struct ends *e);

/* How many times the usual amount a stress test sends: DROVER_TEST_TIMES, or
 * 1. */
unsigned stress_times(void);
/* DROVER_TEST_SEED, or of the clock; printed. */
uint32_t stress_seed(void);
uint32_t random_below(uint32_t *seed, uint32_t below);
