/* SPDX-License-Identifier: MIT */
#include "control/api.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/shape.h"
#include "base/text.h"
#include "control/caller.h"
#include "control/calls.h"

enum { NAME_CAP = 64 };

static const unsigned kind_status[ERROR_KINDS] = {
	[ERROR_FAILED] = 500,    [ERROR_INVALID] = 400,
	[ERROR_NOT_FOUND] = 404, [ERROR_REFUSED] = 409,
	[ERROR_TIMED_OUT] = 502, [ERROR_UNREACHABLE] = 502,
};

int api_text(char **ret, const struct shape *s, const void *object,
	     struct error *e)
{
	*ret = shape_file_text(s, object);
	return *ret ? 0 : error_set(e, ENOMEM, "no memory for the answer");
}

struct refusal {
	const char *error;
	enum error_kind kind;
};

static void show_error(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%s", *(const char *const *)at);
}

static void show_kind(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%s", error_kind_name(*(const enum error_kind *)at));
}

static const struct shape_code error_word = { show_error, NULL };
static const struct shape_code kind_word = { show_kind, NULL };

static const struct shape_field refusal_fields[] = {
	{ "error", SHAPE_CODE, 0, SHAPE_AT(struct refusal, error),
	  .code = &error_word },
	{ "kind", SHAPE_CODE, 0, SHAPE_AT(struct refusal, kind),
	  .code = &kind_word },
};

const struct shape refusal_shape = SHAPE(struct refusal, refusal_fields);

static void fail(struct api_reply *ret, unsigned status, enum error_kind kind,
		 const char *text)
{
	struct refusal r = { .error = text, .kind = kind };

	ret->status = status;
	ret->body = shape_file_text(&refusal_shape, &r);
	ret->allow[0] = '\0';
}

void api_refuse(struct api_reply *ret, unsigned status, const char *text)
{
	enum error_kind kind = ERROR_INVALID;

	if (status == 403 || status == 503)
		kind = ERROR_REFUSED;
	else if (status == 404)
		kind = ERROR_NOT_FOUND;
	fail(ret, status, kind, text);
}

void api_fail(struct api_reply *ret, const struct error *e)
{
	enum error_kind kind = error_kind(e);

	fail(ret, kind_status[kind], kind, e->text);
}

/* Whether @path fits @pattern; the name at the pattern's '*' goes out. */
static bool path_fits(char name[static NAME_CAP], const char *pattern,
		      const char *path)
{
	size_t len;

	name[0] = '\0';
	for (; *pattern; pattern++) {
		if (*pattern != '*') {
			if (*pattern != *path++)
				return false;
			continue;
		}
		len = strcspn(path, "/");
		if (len == 0 || len >= NAME_CAP)
			return false;
		memcpy(name, path, len);
		name[len] = '\0';
		path += len;
	}
	return *path == '\0';
}

static void allow_add(char allow[static API_MAX_ALLOW], const char *verb)
{
	size_t used = strlen(allow);

	snprintf(allow + used, API_MAX_ALLOW - used, "%s%s", used ? ", " : "",
		 verb);
}

/* The route of a request, or NULL; then @allow says which verbs the path
 * knows: none when there is no such path. */
static const struct api_route *route_find(char name[static NAME_CAP],
					  char allow[static API_MAX_ALLOW],
					  const struct api_request *request)
{
	char other[NAME_CAP];

	allow[0] = '\0';
	for (size_t i = 0; i < api_route_count; i++) {
		const struct api_route *r = &api_routes[i];

		if (!path_fits(other, r->path, request->path))
			continue;
		if (!strcmp(r->verb, request->verb)) {
			memcpy(name, other, NAME_CAP);
			return r;
		}
		allow_add(allow, r->verb);
	}
	return NULL;
}

/* Methods get the body as a string; a zero byte would cut it short. */
static int copy_text(char **ret, const struct api_request *request,
		     struct error *e)
{
	AUTO_FREE char *text = malloc(request->body_len + 1);

	if (!text)
		return error_set(e, ENOMEM, "no memory for the request");
	if (request->body_len)
		memcpy(text, request->body, request->body_len);
	text[request->body_len] = '\0';
	if (strlen(text) != request->body_len)
		return error_set(e, EINVAL, "the body holds a zero byte");
	*ret = take_ptr(&text);
	return 0;
}

/* A body, as a method gets it. */
struct taken {
	const struct shape *shape;
	void *object;
	char *text;
};

static void drop_taken(struct taken *t)
{
	if (t->object)
		shape_done(t->shape, t->object);
	free(t->object);
	free(t->text);
}

static int take_shape(struct taken *t, const struct shape *s, const char *text,
		      size_t len, struct error *e)
{
	t->shape = s;
	t->object = calloc(1, s->bytes);
	if (!t->object)
		return error_set(e, ENOMEM, "no memory for the request");
	return shape_parse(s, t->object, text, len, SHAPE_REQUEST, e);
}

static int take_body(struct taken *t, const struct api_route *route,
		     const struct api_request *request, struct error *e)
{
	/* No body is an object without fields. */
	const char *text = request->body_len ? request->body : "{}";
	size_t len = request->body_len ? request->body_len : strlen(text);

	switch (route->body) {
	case API_NONE:
		break;
	case API_TEXT:
		return copy_text(&t->text, request, e);
	case API_SHAPE:
		return take_shape(t, route->takes, text, len, e);
	}
	return 0;
}

/* What the route says of the body, and the file of a definition. */
static void note_body(struct call_record *r, const struct api_route *route,
		      const struct api_call *call)
{
	const char *at = route->notes ? route->notes : "";
	char name[32];

	if (route->body == API_TEXT)
		calls_add(r, "file", call->file);
	for (; call->object && *at; at += strspn(at, " ")) {
		AUTO_FREE char *text = NULL;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, " "), at);
		at += strlen(name);
		text = shape_member_text(route->takes, call->object, name);
		calls_add(r, name, text);
	}
}

/* @r gets what is to be noted of the body. */
static int route_run(const struct api_route *route, struct host *h,
		     const struct api_request *request, struct call_record *r,
		     char **ret_text, struct error *e)
{
	const char *name = r->name;
	SCOPED(drop_taken) struct taken body = { 0 };
	struct api_call call = { .name = name,
				 .file = request->file,
				 .mode = request->mode,
				 .last = request->last,
				 .step = request->step,
				 .purpose = request->purpose,
				 .calls = request->calls };

	if (name[0] &&
	    text_check_name("machine, job, card or host", name, e) < 0)
		return error_code(e);
	if (!call.file)
		call.file = "definition";
	if (take_body(&body, route, request, e) < 0)
		return error_code(e);
	if (route->stream)
		return error_set(e, EINVAL, "%s is a stream", route->path);
	call.text = body.text;
	call.object = body.object;
	note_body(r, route, &call);
	return route->run(h, &call, ret_text, e);
}

static void refuse_path(struct api_reply *ret,
			const struct api_request *request, const char *allow)
{
	char text[252];

	if (!allow[0]) {
		snprintf(text, sizeof(text), "there is nothing at %.100s",
			 request->path);
		api_refuse(ret, 404, text);
		return;
	}
	snprintf(text, sizeof(text), "%.100s takes %s, not %.16s",
		 request->path, allow, request->verb);
	api_refuse(ret, 405, text);
	snprintf(ret->allow, sizeof(ret->allow), "%s", allow);
}

/* --- who did what */

/* What an answer says of a thing that had no name, or a job. */
struct answer_words {
	char name[64], id[64];
};

static const struct shape_field answer_fields[] = {
	{ "name", SHAPE_TEXT, 0, SHAPE_AT(struct answer_words, name) },
	{ "id", SHAPE_TEXT, 0, SHAPE_AT(struct answer_words, id) },
};

static const struct shape answer_shape =
	SHAPE(struct answer_words, answer_fields);

static void note_answer(struct call_record *r, const char *text)
{
	struct answer_words a = { 0 };
	struct error ignored;

	if (shape_parse(&answer_shape, &a, text, strlen(text), SHAPE_MESSAGE,
			&ignored) < 0)
		return;
	if (!r->name[0])
		snprintf(r->name, sizeof(r->name), "%s", a.name);
	if (a.id[0] && strcmp(a.id, r->name) != 0)
		calls_add(r, "job", a.id);
}

/* @e: NULL when it was done. */
static void note_end(struct call_record *r, const struct api_request *request,
		     const struct api_reply *reply, const struct error *e)
{
	char name[sizeof(r->name)];

	memcpy(name, r->name, sizeof(name)); /* which may have been no name */
	text_printable(r->name, sizeof(r->name), name, strlen(name));
	r->status = reply->status;
	if (e)
		text_printable(r->error, sizeof(r->error), e->text,
			       strlen(e->text));
	else if (reply->body)
		note_answer(r, reply->body);
	calls_note(request->by->changes ? request->calls : NULL, r,
		   request->by);
}

static int check_may(const struct api_route *route, const struct caller *by,
		     struct error *e)
{
	if (!route->changes || by->changes)
		return 0;
	return error_set(e, EPERM,
			 "user %u may only look here, and '%s' changes "
			 "something: that is for root and the group of the "
			 "other control socket",
			 (unsigned)by->uid, route->changes);
}

static void run(struct api_reply *ret, struct host *h, const char *name,
		const struct api_route *route,
		const struct api_request *request)
{
	struct call_record r = { 0 };
	struct error e, *failed = &e;

	snprintf(r.name, sizeof(r.name), "%s", name);
	if (route->changes) {
		snprintf(r.action, sizeof(r.action), "%s", route->changes);
		/* Before it is done: the process may have gone afterwards. */
		caller_names(&r.by, request->by);
	}
	if (check_may(route, request->by, &e) < 0) {
		api_refuse(ret, 403, e.text);
	} else if (route_run(route, h, request, &r, &ret->body, &e) < 0) {
		api_fail(ret, &e);
	} else {
		ret->status = route->status;
		ret->type = route->type;
		ret->allow[0] = '\0';
		failed = NULL; /* what was tried meanwhile may have */
	}
	if (route->changes)
		note_end(&r, request, ret, failed);
}

static void answer(struct api_reply *ret, struct host *h,
		   const struct api_request *request)
{
	const struct api_route *route;
	char name[NAME_CAP], allow[API_MAX_ALLOW];

	if (request->body_len > API_MAX_BODY) {
		api_refuse(ret, 413, "the body is longer than 1 MiB");
		return;
	}
	if (strlen(request->path) > API_MAX_PATH) {
		api_refuse(ret, 414, "the path is longer than 512 characters");
		return;
	}
	route = route_find(name, allow, request);
	if (route)
		run(ret, h, name, route, request);
	else
		refuse_path(ret, request, allow);
}

bool api_is_stream(const struct api_request *request)
{
	char name[NAME_CAP], allow[API_MAX_ALLOW];
	const struct api_route *route = route_find(name, allow, request);

	return route && route->stream;
}

void api_answer(struct api_reply *ret, struct host *h,
		const struct api_request *request)
{
	char path[128];

	answer(ret, h, request);
	text_printable(path, sizeof(path), request->path,
		       strlen(request->path));
	log_debug("API: %.16s %s: %u", request->verb, path, ret->status);
}
