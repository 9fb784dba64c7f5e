/* SPDX-License-Identifier: MIT */

/* A place with a socket of the control API, behind which stands a service that
 * does nothing: of a test each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "control/control.h"
#include "double_host.h"
#include "scratch.h"

struct error;

struct place {
	char folder[SCRATCH_CAP], socket[96], look[96];
	struct control_options options;
	struct double_host host;
	struct control *control;
	bool looks; /* asks by the socket that shows and changes nothing */
};

int place_open(void **state);
int place_close(void **state);
#define AT_A_PLACE(f) \
	cmocka_unit_test_setup_teardown(f, place_open, place_close)

/* One more server there. */
int place_start(struct place *p, struct control **ret, struct error *e);

/* Sends @text as it is and reads until the server closes; returns the status.
 * The reply stays in @reply. */
int send_raw(const struct place *p, const char *text, size_t len, char *reply,
	     size_t cap);
int ask(const struct place *p, const char *verb, const char *path,
	const char *body, char *reply, size_t cap);
