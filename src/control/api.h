/* SPDX-License-Identifier: MIT */

/*
 * The control API without its transport: a request, already taken apart into
 * verb, path and body, becomes a call of one function of the service, and what
 * that returns becomes a status and JSON text.
 *
 * Everything in a request is untrusted: the path is compared with the patterns
 * of a const table, names are checked before anything is called, a body is
 * parsed and its fields are checked by name and type.  api_answer() may be
 * called from any thread and blocks for as long as the method takes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct caller;
struct calls;
struct error;
struct host;
struct shape;

enum {
	API_MAX_BODY = 1 << 20,
	API_MAX_PATH = 512,
	API_MAX_ALLOW = 64,
};

struct api_request {
	const char *verb; /* "GET" */
	const char *path; /* unescaped, without the query */
	const char *file; /* the query's file=, for messages; NULL: not given */
	const char *mode; /* likewise, mode=, or option= of before */
	const char *last; /* likewise, last= */
	const char *step; /* likewise, step= */
	const char *purpose; /* likewise, for= */
	const char *body;    /* may be NULL when body_len is 0 */
	size_t body_len;
	const struct caller *by;
	struct calls *calls; /* where it is noted what changes something */
};

/* One method's view of a request that has passed all checks. */
struct api_call {
	const char *name;    /* what stands in the pattern's place, or "" */
	const char *file;    /* never NULL */
	const char *mode;    /* NULL: not given */
	const char *last;    /* NULL: not given */
	const char *step;    /* NULL: not given */
	const char *purpose; /* NULL: not given */
	const char *text;    /* the body, terminated */
	const void *object;  /* API_SHAPE: the body, of the shape @takes */
	struct calls *calls;
};

struct api_reply {
	unsigned status;
	char *body;                /* on the heap; NULL without memory */
	const char *type;          /* of the body; NULL: it is JSON */
	char allow[API_MAX_ALLOW]; /* for 405: "GET, PUT"; else "" */
};

enum api_body { API_NONE, API_SHAPE, API_TEXT };

struct api_route {
	const char *verb;
	const char *path; /* "*" stands for one name */
	/* The answer is made with api_text(). */
	int (*run)(struct host *h, const struct api_call *call, char **ret_text,
		   struct error *e);
	unsigned status; /* of success */
	enum api_body body;
	/* What it does, in the words of the command, when it changes something:
	 * then it is noted, and only for those who may.  NULL: it shows. */
	const char *changes;
	/* Fields of the body that are noted with it, parted by blanks.  No
	 * other is: it may be a secret. */
	const char *notes;
	/* Of API_SHAPE: the body; what is not given is zero. */
	const struct shape *takes;
	const struct shape *gives; /* the answer; docs/api.md is held to it */
	const char *type;          /* of an answer that is no JSON */
	/* The answer is a line for each of them, and has no end: who has the
	 * connection makes it, and there is no @run. */
	bool stream;
};

/* {"error": ..., "kind": ...} */
extern const struct shape refusal_shape;

/* The table is in methods.c. */
extern const struct api_route api_routes[];
extern const size_t api_route_count;

/* Is it one of a stream? */
bool api_is_stream(const struct api_request *request);

/* Always gives a status and a body, which the caller frees. */
void api_answer(struct api_reply *ret, struct host *h,
		const struct api_request *request);

/* A reply that says in one sentence why there is none: the request itself is
 * wrong, or nobody may make it. */
void api_refuse(struct api_reply *ret, unsigned status, const char *text);

/* What the service says that failed, with the status of its kind. */
void api_fail(struct api_reply *ret, const struct error *e);

/* What a method gives: @object as text that people can read too. */
int api_text(char **ret, const struct shape *s, const void *object,
	     struct error *e);
