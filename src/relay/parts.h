/* SPDX-License-Identifier: MIT */

/*
 * What a relay is made of; for relay.c and connection.c only.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "relay/divert.h"
#include "relay/ending.h"
#include "relay/endpoint.h"
#include "relay/hold.h"
#include "relay/place.h"
#include "relay/taken.h"
#include "wire/frame.h"

struct history_size;
struct relay;
struct session;

struct connection {
	/* set before its threads start */
	struct relay *relay;
	uint16_t number;
	int fd;
	pthread_t reader, writer;
	struct hold hold; /* the writer's */

	/* guarded by the relay */
	bool used;    /* the reader exists */
	bool writing; /* so does the writer */
	bool read_ended, write_ended;
};

struct relay {
	/* set before the threads start */
	struct session *session;
	bool source;
	uint64_t switchover_outage_us;
	struct endpoint endpoint; /* listened on, or connected to */
	int listen_fd;            /* source */
	unsigned connections_max; /* the same */
	int stop_fd;              /* readable once the relay stops */
	int event_fd;
	pthread_t acceptor;
	struct divert divert; /* connection 0 of the source */
	const struct history_size *repeats;
	const struct history_known *known;
	struct kept *kept;
	struct place place; /* destination */
	bool judges;
	struct ending ending;
	struct taken taken; /* destination, when it judges */
	int (*connected)(void *context, struct relay *r, int fd,
			 struct error *e);
	void *context;

	pthread_mutex_t lock; /* guards what follows, and the connections */
	pthread_cond_t changed;
	bool blocks_set, blocks_known; /* of the destination; source */
	char left_out[200];            /* one that is not among them */
	bool connecting;               /* destination: to QEMU, or it has */
	bool stopping, failed;
	struct error why;
	unsigned connections;
	struct connection connection[STREAMS_MAX];
};
