/* SPDX-License-Identifier: MIT */

/*
 * Who may see what of the page: a pure function of the request's words and of
 * the door by which it came.  docs/web.md has the rules and what each is
 * against.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct words;

enum {
	WEB_CALL_CAP = 192,  /* of a call of droverd's, with its query */
	WEB_TOKEN_CAP = 33,  /* 128 bits in hex */
	WEB_COOKIE_CAP = 32, /* of a cookie's name */
};

struct web_door {
	const char *token;         /* NULL: whoever comes by here may look */
	const struct words *names; /* of this host, besides localhost */
};

/* NULL: not given. */
struct web_asked {
	const char *verb, *path;
	const char *last, *step; /* of the query */
	const char *host, *origin, *site;
	const char *cookie; /* its value, of our name */
};

enum web_what {
	WEB_REFUSED,
	WEB_ASSET, /* there may be none at that path */
	WEB_CALL,
	WEB_LOGIN, /* its body is to be the token */
};

struct web_verdict {
	enum web_what what;
	unsigned status;         /* of WEB_REFUSED */
	const char *why;         /* likewise */
	char call[WEB_CALL_CAP]; /* of WEB_CALL: what to ask droverd */
};

void web_admit(struct web_verdict *ret, const struct web_door *d,
	       const struct web_asked *a);

/* In the same time wherever they differ. */
bool web_is_token(const char *token, const char *said, size_t len);

/* The calls of droverd's that may be made, for documents and tests: "*" stands
 * for one name. */
extern const char *const web_calls[];
extern const size_t web_call_count;
