/* SPDX-License-Identifier: MIT */

/* Messages between hosts, as older and newer versions write them. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "wire/message.h"

static void parsed(struct message *ret, const char *text)
{
	struct error e;

	if (message_parse(ret, text, strlen(text), &e) < 0)
		fail_msg("%s: %s", text, e.text);
}

static const char *refused(const char *text)
{
	static struct error e;
	struct message m;

	assert_int_equal(message_parse(&m, text, strlen(text), &e), -EBADMSG);
	message_done(&m);
	return e.text;
}

static void a_move_of_an_older_version_is_read(void **state)
{
	AUTO_MESSAGE struct message m;

	(void)state;
	parsed(&m, "{\"type\":\"move\",\"job\":\"0a\",\"paused\":true,"
		   "\"machine\":{\"name\":\"web1\",\"definition\":\"d\","
		   "\"type\":\"pc\",\"qemu\":[7,2,1],\"memory\":64,"
		   "\"kvm\":false,\"files\":[{\"path\":\"/k\",\"size\":3}],"
		   "\"devices\":[\"e1000\"],\"blockers\":[],"
		   "\"capabilities\":[]}}");
	assert_int_equal(m.type, MESSAGE_MOVE);
	assert_string_equal(m.move.job, "0a");
	assert_true(m.move.paused);
	assert_false(m.move.switchover_ack);
	assert_string_equal(m.move.guest, "");
	assert_string_equal(m.move.machine.uuid, "");
	assert_null(m.move.machine.full_definition);
	assert_false(m.move.machine.has_disks);
	assert_int_equal(m.move.machine.qemu.minor, 2);
	assert_int_equal(m.move.machine.files[0].size, 3);
	assert_string_equal(m.move.machine.devices.at[0], "e1000");
}

static void what_a_newer_version_says_more_is_skipped(void **state)
{
	AUTO_MESSAGE struct message m;

	(void)state;
	parsed(&m, "{\"type\":\"running\",\"can\":[\"fly\",\"holds\"],"
		   "\"since\":{\"a\":[1]}}");
	assert_int_equal(m.type, MESSAGE_RUNNING);
	assert_int_equal(m.can.count, 2);
	assert_string_equal(m.can.at[1], "holds");
}

static void a_type_that_is_not_known_is_named(void **state)
{
	AUTO_MESSAGE struct message m;

	(void)state;
	parsed(&m, "{\"type\":\"tomorrow\",\"machine\":7}");
	assert_int_equal(m.type, MESSAGE_UNKNOWN);
	assert_string_equal(m.name, "tomorrow");
}

static void an_older_version_can_read_what_is_written(void **state)
{
	struct disk_description disk = { .path = (char[]){ "/d" },
					 .size = -1,
					 .has_size = true };
	const struct message m = {
		.type = MESSAGE_COMPARE,
		.compare = { .name = "web1",
			     .type = "pc",
			     .definition = (char[]){ "d" },
			     .memory_bytes = 64,
			     .has_disks = true,
			     .disks = &disk,
			     .n_disks = 1 },
	};
	AUTO_FREE char *text = message_text(&m);

	(void)state;
	assert_string_equal(
		text, "{\"type\":\"compare\",\"machine\":{\"name\":\"web1\","
		      "\"definition\":\"d\",\"type\":\"pc\",\"qemu\":[0,0,0],"
		      "\"memory\":64,\"kvm\":false,\"files\":[],\"disks\":"
		      "[{\"path\":\"/d\",\"size\":-1}],\"devices\":[],"
		      "\"blockers\":[],\"capabilities\":[]}}");
}

static void what_is_wrong_is_told_with_the_message(void **state)
{
	(void)state;
	assert_string_equal(refused("{\"type\":\"resolve\",\"job\":\"0a\","
				    "\"decision\":\"abort\"}"),
			    "message 'resolve': 'decision' must be one of "
			    "commit");
	assert_string_equal(refused("{\"type\":\"ask\",\"job\":"
				    "\"0123456789abcdef0\"}"),
			    "message 'ask': 'job' must be at most 16 bytes "
			    "long");
	assert_string_equal(refused("{\"type\":\"prepared\",\"blocks\":"
				    "[{\"name\":\"ram\",\"len\":0}]}"),
			    "message 'prepared': blocks: number 1: 'len' must "
			    "be from 1 to 1152921504606846976");
	assert_non_null(strstr(refused("[]"), "JSON object"));
	assert_non_null(strstr(refused("{"), "not JSON"));
}

static void every_type_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < MESSAGE_TYPES; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(message_name(
							(enum message_type)i),
						message_name(
							(enum message_type)k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_move_of_an_older_version_is_read),
		cmocka_unit_test(what_a_newer_version_says_more_is_skipped),
		cmocka_unit_test(a_type_that_is_not_known_is_named),
		cmocka_unit_test(an_older_version_can_read_what_is_written),
		cmocka_unit_test(what_is_wrong_is_told_with_the_message),
		cmocka_unit_test(every_type_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
