/* SPDX-License-Identifier: MIT */

/* Who may see what of the page. */
#include "unit.h"

#include <string.h>

#include "base/text.h"
#include "base/words.h"
#include "web/admit.h"

#define TOKEN "0123456789abcdef0123456789abcdef"

static char name[] = "alpha.example", *names[] = { name, NULL };
static const struct words named = { names, 1 };
static const struct web_door open_door = { .names = &named };
static const struct web_door locked = { TOKEN, &named };

static struct web_verdict ask(const struct web_door *d, struct web_asked a)
{
	struct web_verdict v;

	a.verb = a.verb ? a.verb : "GET";
	web_admit(&v, d, &a);
	return v;
}

static void test_names(void **state)
{
	static const struct {
		const char *host;
		unsigned status;
	} rows[] = {
		{ NULL, 0 },
		{ "localhost", 0 },
		{ "localhost:8080", 0 },
		{ "127.0.0.1:8080", 0 },
		{ "127.8.9.1", 0 },
		{ "alpha.example", 0 },
		{ "ALPHA.example:80", 0 },
		{ "", 403 },
		{ "alpha.example.evil", 403 },
		{ "alpha", 403 },
		{ "evil", 403 },
		{ "localhost.evil", 403 },
		{ "localhostevil", 403 },
		{ "127.0.0.1.evil", 403 },
		{ "evil:127.0.0.1", 403 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct web_asked a = { .path = "/",
					     .host = rows[i].host };

		assert_int_equal(ask(&open_door, a).status, rows[i].status);
	}
}

static void test_origins(void **state)
{
	static const struct {
		const char *origin, *site;
		unsigned status;
	} rows[] = {
		{ NULL, NULL, 0 },
		{ "http://localhost:80", "same-origin", 0 },
		{ "https://localhost:80", NULL, 0 },
		{ NULL, "none", 0 },
		{ NULL, "same-site", 403 },
		{ NULL, "cross-site", 403 },
		{ "http://localhost", NULL, 403 },
		{ "http://localhost:80.evil", NULL, 403 },
		{ "null", NULL, 403 },
		{ "", NULL, 403 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct web_asked a = { .path = "/v1/host",
				       .host = "localhost:80",
				       .origin = rows[i].origin,
				       .site = rows[i].site };

		assert_int_equal(ask(&open_door, a).status, rows[i].status);
		a.verb = "POST";
		a.path = "/login";
		assert_int_equal(ask(&locked, a).status, rows[i].status);
		/* A link from elsewhere leads to the page, which is public. */
		a.verb = "GET";
		a.path = "/";
		assert_int_equal(ask(&open_door, a).what, WEB_ASSET);
	}
}

static void test_tokens(void **state)
{
	struct web_asked a = { .path = "/v1/host" };

	(void)state;
	assert_int_equal(ask(&open_door, a).what, WEB_CALL);
	assert_int_equal(ask(&locked, a).status, 401);
	a.cookie = "";
	assert_int_equal(ask(&locked, a).status, 401);
	a.cookie = TOKEN "0";
	assert_int_equal(ask(&locked, a).status, 401);
	a.cookie = TOKEN;
	assert_int_equal(ask(&locked, a).what, WEB_CALL);
	a.cookie = NULL;
	a.path = "/page.js";
	assert_int_equal(ask(&locked, a).what, WEB_ASSET);

	assert_true(web_is_token(TOKEN, TOKEN, strlen(TOKEN)));
	assert_false(web_is_token(TOKEN, TOKEN, strlen(TOKEN) - 1));
	assert_false(web_is_token(TOKEN, TOKEN "0", strlen(TOKEN) + 1));
	assert_false(web_is_token(TOKEN, "", 0));
	assert_false(web_is_token(TOKEN, "1123456789abcdef0123456789abcdef",
				  strlen(TOKEN)));
}

/* What is no call that shows is looked for among the page's own files. */
static void test_calls(void **state)
{
	static const struct {
		const char *path, *last, *step, *call;
		unsigned status;
	} rows[] = {
		{ "/v1/host", NULL, NULL, "/v1/host", 0 },
		{ "/metrics", NULL, NULL, "/metrics", 0 },
		{ "/v1/jobs/3f9a12cd", NULL, NULL, "/v1/jobs/3f9a12cd", 0 },
		{ "/v1/history/card.eth0.transmit", "5", "10s",
		  "/v1/history/card.eth0.transmit?last=5&step=10s", 0 },
		{ "/v1/history/card.eth0.transmit", NULL, "1m",
		  "/v1/history/card.eth0.transmit?step=1m", 0 },
		{ "/v1/history/x", "5&x=1", NULL, "", 400 },
		{ "/v1/history/x", NULL, "", "", 400 },
		{ "/v1/history/x", "123456789", NULL, "", 400 },
		{ "/v1/host/settings", NULL, NULL, "", 0 },
		{ "/v1/debug", NULL, NULL, "", 0 },
		{ "/v1/debug/", NULL, NULL, "", 0 },
		{ "/v1/debug/../host/settings", NULL, NULL, "", 0 },
		{ "/v1/debug/..", NULL, NULL, "", 0 },
		{ "/v1/jobs/a?b", NULL, NULL, "", 0 },
		{ "/v1/jobs/a b", NULL, NULL, "", 0 },
		{ "/v1/log", NULL, NULL, "", 0 },
		{ "/v1/trust", NULL, NULL, "", 0 },
		{ "/v1/nics/plan/beta", NULL, NULL, "", 0 },
	};
	char path[300] = "/v1/jobs/";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct web_verdict v =
			ask(&open_door,
			    (struct web_asked){ .path = rows[i].path,
						.last = rows[i].last,
						.step = rows[i].step });

		assert_int_equal(v.status, rows[i].status);
		assert_string_equal(v.call, rows[i].call);
		assert_int_equal(v.what, rows[i].call[0]  ? WEB_CALL
					 : rows[i].status ? WEB_REFUSED
							  : WEB_ASSET);
	}
	memset(path + 9, 'a', sizeof(path) - 10);
	assert_int_equal(ask(&open_door, (struct web_asked){ .path = path })
				 .status,
			 414);
}

static void test_verbs(void **state)
{
	static const char *const verbs[] = { "POST", "PUT", "DELETE", "HEAD",
					     "OPTIONS" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		for (size_t k = 0; k < web_call_count; k++)
			assert_int_equal(ask(&open_door,
					     (struct web_asked){
						     .verb = verbs[i],
						     .path = web_calls[k] })
						 .status,
					 405);
	assert_int_equal(ask(&locked, (struct web_asked){ .path = "/login" })
				 .status,
			 405);
	assert_int_equal(ask(&locked, (struct web_asked){ .verb = "POST",
							  .path = "/login" })
				 .what,
			 WEB_LOGIN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),  cmocka_unit_test(test_origins),
		cmocka_unit_test(test_tokens), cmocka_unit_test(test_calls),
		cmocka_unit_test(test_verbs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
