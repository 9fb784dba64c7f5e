/* SPDX-License-Identifier: MIT */

/* What a stranger says who joins, what it is answered, and a list of hosts:
 * whatever is read is written so that it reads the same, and what is refused
 * has a reason and leaves nothing behind. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "trust/members.h"
#include "trust/pairing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char *request(const char *text)
{
	struct pair_request r;
	uint8_t secret[TOKEN_SECRET];
	struct error e = { 0 };
	char *again;

	if (pair_request_parse(&r, text, strlen(text), &e) < 0) {
		assert(e.code > 0 && e.text[0]);
		return NULL;
	}
	pair_request_secret(secret, &r);
	again = pair_request_text(&r);
	pair_request_done(&r);
	return again;
}

static char *answer(const char *text)
{
	struct pair_answer a;
	struct error e = { 0 };
	char *again;

	if (pair_answer_parse(&a, text, strlen(text), &e) < 0) {
		assert(e.code > 0 && e.text[0]);
		return NULL;
	}
	again = pair_answer_text(&a);
	pair_answer_done(&a);
	return again;
}

static char *list(const char *text)
{
	struct members m;
	struct error e = { 0 };
	char *again = NULL;

	if (members_parse(&m, text, &e) < 0) {
		assert(e.code > 0 && e.text[0]);
		return NULL;
	}
	members_check(&m, m.host, m.version, &e);
	/* It says what it says itself. */
	assert(members_merge(&m, &m, &e) == 0);
	if (members_text(&again, &m, &e) < 0)
		assert(e.text[0]);
	members_done(&m);
	return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char *(*const readers[])(const char *) = { request, answer,
							  list };
	char *text = strndup((const char *)data, len);

	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		char *once = readers[i](text);

		if (once) {
			char *twice = readers[i](once);

			assert(twice && !strcmp(once, twice));
			free(twice);
		}
		free(once);
	}
	free(text);
	return 0;
}
