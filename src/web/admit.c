/* SPDX-License-Identifier: MIT */
#include "web/admit.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/words.h"

/* What shows and asks nobody else: no plan (it connects to the peer), no
 * trust, no settings, no log. */
const char *const web_calls[] = {
	"/v1/host",      "/v1/machines", "/v1/jobs",       "/v1/jobs/*",
	"/v1/debug/*",   "/v1/finished", "/v1/finished/*", "/v1/drain",
	"/v1/capacity",  "/v1/nics",     "/v1/nic-matrix", "/v1/history",
	"/v1/history/*", "/metrics",
};
const size_t web_call_count = ARRAY_SIZE(web_calls);

/* A card's name may hold nearly anything; one that needs to be escaped has no
 * graph of its past. */
static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@";

static bool matches(const char *pattern, const char *path)
{
	const size_t len = strlen(pattern);

	if (pattern[len - 1] != '*')
		return !strcmp(pattern, path);
	if (strncmp(pattern, path, len - 1) != 0)
		return false;
	path += len - 1;
	return path[0] && path[0] != '.' && path[strspn(path, plain)] == '\0';
}

static bool is_call(const char *path)
{
	for (size_t i = 0; i < web_call_count; i++)
		if (matches(web_calls[i], path))
			return true;
	return false;
}

static bool is_plain(const char *value)
{
	return !value || (value[0] && strlen(value) <= 8 &&
			  value[strspn(value, plain)] == '\0');
}

static bool is_named(const struct words *names, const char *host)
{
	const size_t len = strcspn(host, ":");

	if (text_is_loopback(host))
		return true;
	for (size_t i = 0; names && i < names->count; i++)
		if (strlen(names->at[i]) == len &&
		    !strncasecmp(names->at[i], host, len))
			return true;
	return false;
}

/* "http://localhost:8080" of the page that this host gave as "localhost:8080";
 * https where something in front of us speaks it. */
static bool is_own(const char *origin, const char *host)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; host && i < ARRAY_SIZE(schemes); i++) {
		const size_t len = strlen(schemes[i]);

		if (!strncmp(origin, schemes[i], len) &&
		    !strcasecmp(origin + len, host))
			return true;
	}
	return false;
}

static void refuse(struct web_verdict *v, unsigned status, const char *why)
{
	*v = (struct web_verdict){ .status = status, .why = why };
}

static bool is_foreign(const struct web_asked *a)
{
	if (a->origin && !is_own(a->origin, a->host))
		return true;
	return a->site && strcmp(a->site, "same-origin") != 0 &&
	       strcmp(a->site, "none") != 0;
}

static void admit_call(struct web_verdict *v, const struct web_door *d,
		       const struct web_asked *a)
{
	const bool last = a->last, step = a->step;
	int n;

	if (d->token && (!a->cookie || !web_is_token(d->token, a->cookie,
						     strlen(a->cookie)))) {
		refuse(v, 401,
		       "who looks has to have the token: open the address "
		       "that drover-web said when it started");
		return;
	}
	if (!is_plain(a->last) || !is_plain(a->step)) {
		refuse(v, 400, "last and step are a number, and 1s, 10s or 1m");
		return;
	}
	n = snprintf(v->call, sizeof(v->call), "%s%s%s%s%s", a->path,
		     last ? "?last=" : "", last ? a->last : "",
		     !step  ? ""
		     : last ? "&step="
			    : "?step=",
		     step ? a->step : "");
	if (n < 0 || n >= (int)sizeof(v->call)) {
		refuse(v, 414, "the path is too long");
		return;
	}
	v->what = WEB_CALL;
}

void web_admit(struct web_verdict *ret, const struct web_door *d,
	       const struct web_asked *a)
{
	const bool call = is_call(a->path);
	const bool login = !strcmp(a->path, "/login");

	*ret = (struct web_verdict){ 0 };
	/* A page elsewhere whose name was made to lead here (DNS rebinding)
	 * calls us by that name. */
	if (a->host && !is_named(d->names, a->host)) {
		refuse(ret, 403,
		       "drover-web does not answer to that name: use "
		       "localhost, or start it with --name");
		return;
	}
	if (strcmp(a->verb, login ? "POST" : "GET") != 0) {
		refuse(ret, 405,
		       login ? "a token is sent with POST"
			     : "this page shows and changes nothing: use "
			       "drover");
		return;
	}
	if ((call || login) && is_foreign(a)) {
		refuse(ret, 403, "that is for this host's own page alone");
		return;
	}
	if (call)
		admit_call(ret, d, a);
	else if (login)
		ret->what = WEB_LOGIN;
	else
		ret->what = WEB_ASSET;
}

bool web_is_token(const char *token, const char *said, size_t len)
{
	const size_t want = strlen(token);
	unsigned char differs = len != want;

	for (size_t i = 0; i < want; i++)
		differs |= (unsigned char)(token[i] ^ (i < len ? said[i] : 0));
	return !differs;
}
