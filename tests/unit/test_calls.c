/* SPDX-License-Identifier: MIT */

/* What the service notes of calls that change something. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/calls.h"
#include "place.h"

static void what_is_changed_is_noted_with_who_did_it(void **state)
{
	struct place *p = *state;
	char reply[8192], pid[32];

	ask(p, "GET", "/v1/machines/web1", "", reply, sizeof(reply));
	ask(p, "POST", "/v1/machines/web1/move",
	    "{\"host\":\"beta\",\"paused\":true,\"networks\":[\"x\"]}", reply,
	    sizeof(reply));
	ask(p, "GET", "/v1/log/calls", "", reply, sizeof(reply));
	assert_null(strstr(reply, "\"error\"")); /* it was done in the end */
	p->host.fail_code = EBUSY;
	p->host.reason = "a job holds web1";
	ask(p, "POST", "/v1/machines/web1/stop", "", reply, sizeof(reply));
	assert_int_equal(ask(p, "GET", "/v1/log/calls", "", reply,
			     sizeof(reply)),
			 200);
	snprintf(pid, sizeof(pid), "\"pid\": %d", (int)getpid());
	assert_non_null(strstr(reply, pid));
	assert_non_null(strstr(reply, "\"process\": \"test_calls\""));
	assert_non_null(strstr(reply, "\"action\": \"move\""));
	assert_non_null(
		strstr(reply, "\"details\": \"host=beta paused=true job=3f\""));
	assert_non_null(strstr(reply, "\"action\": \"vm stop --now\""));
	assert_non_null(strstr(reply, "\"status\": 409"));
	assert_non_null(strstr(reply, "\"error\": \"a job holds web1\""));
	assert_null(strstr(reply, "vm show"));

	assert_int_equal(ask(p, "GET", "/v1/log/calls?last=1", "", reply,
			     sizeof(reply)),
			 200);
	assert_null(strstr(reply, "\"action\": \"move\""));
	assert_non_null(strstr(reply, "\"action\": \"vm stop --now\""));
	assert_int_equal(ask(p, "GET", "/v1/log/calls?last=0", "", reply,
			     sizeof(reply)),
			 400);
}

/* In a body there may be a secret; only what a row of the table names is
 * kept, and no caller can begin a line of his own. */
static void nothing_else_of_a_body_is_noted(void **state)
{
	struct place *p = *state;
	char reply[8192];

	ask(p, "PUT", "/v1/machines?file=a%0Ab", "secret = 1\n", reply,
	    sizeof(reply));
	assert_int_equal(ask(p, "GET", "/v1/log/calls", "", reply,
			     sizeof(reply)),
			 200);
	assert_null(strstr(reply, "secret"));
	assert_non_null(strstr(reply, "\"details\": \"file=a?b\""));
}

static off_t size_of(const char *folder, const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return stat(path, &st) < 0 ? -1 : st.st_size;
}

static void what_was_noted_is_bounded_and_the_newest_stays(void **state)
{
	struct place *p = *state;
	char path[128], reply[8192];
	FILE *f;

	snprintf(path, sizeof(path), "%s/calls.log", p->folder);
	ask(p, "POST", "/v1/machines/old/stop", "", reply, sizeof(reply));
	f = fopen(path, "ae");
	for (off_t n = size_of(p->folder, "calls.log"); n < CALLS_FILE_MAX - 64;
	     n += 64)
		fprintf(f, "%063d\n", 0);
	fclose(f);
	ask(p, "POST", "/v1/machines/new/stop", "", reply, sizeof(reply));
	assert_in_range(size_of(p->folder, "calls.log"), 1, 1000);
	assert_in_range(size_of(p->folder, "calls.log.before"), 1,
			CALLS_FILE_MAX);
	/* What is no record is passed over. */
	ask(p, "GET", "/v1/log/calls", "", reply, sizeof(reply));
	assert_non_null(strstr(reply, "\"name\": \"new\""));
	assert_null(strstr(reply, "\"name\": \"old\""));
}

static void without_room_for_it_the_call_is_done_all_the_same(void **state)
{
	struct place *p = *state;
	char path[128], reply[4096];

	snprintf(path, sizeof(path), "%s/calls.log", p->folder);
	assert_int_equal(symlink("/dev/full", path), 0);
	assert_int_equal(ask(p, "POST", "/v1/machines/web1/stop", "", reply,
			     sizeof(reply)),
			 200);
	assert_string_equal(p->host.asked, "machine_stop web1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		AT_A_PLACE(what_is_changed_is_noted_with_who_did_it),
		AT_A_PLACE(nothing_else_of_a_body_is_noted),
		AT_A_PLACE(what_was_noted_is_bounded_and_the_newest_stays),
		AT_A_PLACE(without_room_for_it_the_call_is_done_all_the_same),
	};

	return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
