/* SPDX-License-Identifier: MIT */

/*
 * A request, as any client may send it, up to the call of the service: routes,
 * names, JSON bodies and their fields.  The input is "VERB PATH\nFILE\nBODY";
 * HTTP itself is libmicrohttpd's.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/api.h"
#include "control/caller.h"
#include "double_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Cuts @text at the first @mark; gives what follows, or its end. */
static char *cut(char *text, char mark)
{
	char *at = strchr(text, mark);

	if (!at)
		return text + strlen(text);
	*at = '\0';
	return at + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct caller by = { .changes = true };
	struct double_host host = { .reason = "no" };
	struct api_request rq = { 0 };
	struct api_reply reply = { 0 };
	char *text = malloc(len + 1), *path, *file, *body;
	json_t *json;

	log_set_level(LOG_ERROR);
	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	path = cut(text, ' ');
	file = cut(path, '\n');
	body = cut(file, '\n');
	rq = (struct api_request){
		.verb = text,
		.path = path,
		.file = file[0] ? file : NULL,
		.body = body,
		.body_len = (size_t)(text + len - body),
		.by = &by,
	};

	api_answer(&reply, double_as_host(&host), &rq);
	assert(reply.status >= 200 && reply.status <= 599);
	assert((reply.status < 300) == (host.asked[0] != '\0'));
	json = json_loads(reply.body, 0, NULL);
	assert(json);
	json_decref(json);
	free(reply.body);
	free(text);
	return 0;
}
