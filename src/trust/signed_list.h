/* SPDX-License-Identifier: MIT */

/* A list of hosts as a text, and what the CA says of it. */
#pragma once

#include "trust/certificate.h"

struct error;
struct shape;

struct signed_list {
	char *text; /* NULL: there is none */
	char signature[SIGNATURE_CAP];
};

extern const struct shape signed_list_shape;

void signed_list_done(struct signed_list *l);
int signed_list_copy(struct signed_list *ret, const struct signed_list *l,
		     struct error *e);
