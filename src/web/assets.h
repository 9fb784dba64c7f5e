/* SPDX-License-Identifier: MIT */

/* The files of web/, put into the program by tools/embed: none is read while
 * it runs. */
#pragma once

#include <stddef.h>

struct asset {
	const char *path; /* "/page.js" */
	const char *type;
	const char *etag;    /* with its quotes */
	unsigned char *data; /* not const: what libmicrohttpd takes is not */
	size_t len;
};

extern const struct asset assets[];
extern const size_t asset_count;
