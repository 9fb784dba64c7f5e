/* SPDX-License-Identifier: MIT */

/* Universally unique identifiers as text, RFC 9562: 36 characters, always in
 * lower case. */
#pragma once

struct error;

enum { UUID_CAP = 37 };

/* -EINVAL for what is none. */
int uuid_parse(char *ret, const char *text, struct error *e);

/* A random one. */
void uuid_make(char *ret);

/* Of zeros only: QEMU's word for none. */
int uuid_is_nil(const char *uuid);
