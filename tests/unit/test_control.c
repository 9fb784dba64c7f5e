/* SPDX-License-Identifier: MIT */

/* The control API, mostly by way of its own client over a real socket. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/client.h"
#include "control/api.h"
#include "control/control.h"
#include "control/gate.h"
#include "place.h"

static const struct {
	const char *verb, *path, *body;
	int status;
	const char *asked;
} routes[] = {
	{ "GET", "/v1/host", "", 200, "host_show" },
	{ "GET", "/v1/host/settings", "", 200, "host_settings_list" },
	{ "POST", "/v1/host/settings",
	  "{\"setting\":\"move.timeout\",\"values\":[\"1s\",\"2s\"]}", 200,
	  "host_set move.timeout 1s 2s" },
	{ "GET", "/v1/machines", "", 200, "machine_list" },
	{ "GET", "/v1/machines/web1", "", 200, "machine_show web1" },
	{ "PUT", "/v1/machines?file=a%20b", "name = x\n", 200,
	  "machine_define a b: name = x\n" },
	{ "PUT", "/v1/machines", "", 200, "machine_define definition: " },
	{ "DELETE", "/v1/machines/web1", "", 200, "machine_forget web1" },
	{ "DELETE", "/v1/machines/web1", "{\"leave_running\":true}", 200,
	  "machine_forget web1 leave" },
	{ "GET", "/v1/machines/web1/disks", "", 200, "machine_disks web1" },
	{ "GET", "/v1/pools", "", 200, "host_pools" },
	{ "GET", "/v1/old-disks", "", 200, "host_old_disks" },
	{ "DELETE", "/v1/old-disks/web1", "", 200,
	  "host_remove_old_disks web1" },
	{ "POST", "/v1/machines/web1/start", "", 200, "machine_start web1" },
	{ "POST", "/v1/machines/web1/stop", "", 200, "machine_stop web1" },
	{ "POST", "/v1/machines/web1/shutdown", "", 200,
	  "machine_shutdown web1 0" },
	{ "POST", "/v1/machines/web1/shutdown", "{\"timeout_ms\":1500}", 200,
	  "machine_shutdown web1 1500" },
	{ "POST", "/v1/machines/web1/restart", "", 200,
	  "machine_restart web1 0" },
	{ "POST", "/v1/machines/web1/restart", "{\"now\":true}", 200,
	  "machine_restart web1 0 now" },
	{ "POST", "/v1/machines/web1/restart", "{\"timeout_ms\":1500}", 200,
	  "machine_restart web1 1500" },
	{ "POST", "/v1/machines/web1/pause", "", 200, "machine_pause web1" },
	{ "POST", "/v1/machines/web1/resume", "", 200, "machine_resume web1" },
	{ "POST", "/v1/machines/web1/move",
	  "{\"host\":\"beta\",\"networks\":[\"eth1\"],\"paused\":true}", 202,
	  "machine_move web1 beta - 1/1 0/0 - paused" },
	{ "POST", "/v1/machines/web1/move",
	  "{\"host\":\"beta\",\"mode\":\"tcp\",\"connections\":3,"
	  "\"on_timeout\":\"force\",\"networks\":[]}",
	  202, "machine_move web1 beta tcp 1/0 1/3 force" },
	{ "POST", "/v1/machines/web1/move",
	  "{\"host\":\"beta\",\"converge\":[\"throttle\",\"pause\"]}", 202,
	  "machine_move web1 beta - 0/0 0/0 - converge" },
	{ "POST", "/v1/machines/web1/move",
	  "{\"host\":\"beta\",\"option\":\"auto\"}", 202,
	  "machine_move web1 beta auto 0/0 0/0 -" },
	{ "POST", "/v1/machines/web1/move",
	  "{\"host\":\"beta\",\"option\":\"auto\",\"mode\":\"tcp\"}", 202,
	  "machine_move web1 beta tcp 0/0 0/0 -" },
	{ "POST", "/v1/machines/web1/move", "{\"any\":true}", 202,
	  "machine_move_any web1 -" },
	{ "POST", "/v1/machines/web1/update", "", 202, "machine_update web1" },
	{ "GET", "/v1/drain", "", 200, "host_drain_show" },
	{ "POST", "/v1/drain", "", 202, "host_drain -" },
	{ "POST", "/v1/drain", "{\"to\":[\"beta\"],\"stop_the_rest\":true}",
	  202, "host_drain beta stop" },
	{ "POST", "/v1/drain/plan", "{\"to\":[\"beta\",\"gamma\"]}", 200,
	  "host_drain_plan 2" },
	{ "POST", "/v1/drain/resume", "", 202, "host_drain_resume" },
	{ "DELETE", "/v1/drain", "", 200, "host_drain_cancel" },
	{ "POST", "/v1/return", "", 202, "host_return" },
	{ "GET", "/metrics", "", 200, "host_sample" },
	{ "GET", "/v1/history", "", 200, "host_past_names" },
	{ "GET", "/v1/history/card.eth0.receive", "", 200,
	  "host_past card.eth0.receive 0 900" },
	{ "GET", "/v1/history/jobs.running?step=1m&last=5", "", 200,
	  "host_past jobs.running 2 5" },
	{ "GET", "/v1/finished", "", 200, "host_finished" },
	{ "GET", "/v1/finished/3f", "", 200, "host_finished_show 3f" },
	{ "GET", "/v1/hosts", "", 200, "host_hosts" },
	{ "GET", "/v1/capacity", "", 200, "host_capacity" },
	{ "POST", "/v1/machines/web1/compare", "{\"host\":\"beta\"}", 200,
	  "machine_compare web1 beta" },
	{ "POST", "/v1/adopt", "{\"pid\":12}", 200, "machine_adopt 12 - -" },
	{ "POST", "/v1/adopt", "{\"pid\":12,\"name\":\"db\"}", 200,
	  "machine_adopt 12 db -" },
	{ "POST", "/v1/adopt", "{\"pid\":12,\"user\":\"kvm\"}", 200,
	  "machine_adopt 12 - kvm" },
	{ "GET", "/v1/jobs", "", 200, "job_list" },
	{ "GET", "/v1/jobs/3f9a12cd", "", 200, "job_show 3f9a12cd" },
	{ "POST", "/v1/jobs/3f9a12cd/cancel", "", 200, "job_cancel 3f9a12cd" },
	{ "POST", "/v1/jobs/3f9a12cd/set",
	  "{\"converge\":[\"throttle\"],\"timeout_ms\":5}", 200,
	  "job_set 3f9a12cd 1/throttle 0/0 1/5" },
	{ "POST", "/v1/jobs/3f9a12cd/resolve", "{\"run_here\":true}", 200,
	  "job_resolve 3f9a12cd here" },
	{ "POST", "/v1/jobs/3f9a12cd/resolve", "{\"run_here\":false}", 200,
	  "job_resolve 3f9a12cd there" },
	{ "GET", "/v1/debug/3f9a12cd", "", 200, "host_debug_job 3f9a12cd" },
	{ "GET", "/v1/debug", "", 200, "host_debug_job 3f" },
	{ "GET", "/v1/nics", "", 200, "nic_list" },
	{ "GET", "/v1/nics/eth0.100", "", 200, "nic_show eth0.100" },
	{ "GET", "/v1/nics/plan", "", 200, "nic_show plan" },
	{ "GET", "/v1/nics/plan/beta", "", 200, "nic_plan beta -" },
	{ "GET", "/v1/nics/plan/beta?mode=tcp&option=auto", "", 200,
	  "nic_plan beta tcp" },
	{ "GET", "/v1/nics/plan/beta?option=auto", "", 200,
	  "nic_plan beta auto" },
	{ "GET", "/v1/nic-matrix", "", 200, "nic_matrix" },
	{ "GET", "/v1/nic-advice", "", 200, "nic_advise -" },
	{ "GET", "/v1/nic-advice?for=storage", "", 200, "nic_advise storage" },
	{ "GET", "/v1/trust", "", 200, "host_trust_show" },
	{ "POST", "/v1/trust/init", "", 200, "host_trust_init" },
	{ "POST", "/v1/trust/invite", "", 200, "host_trust_invite" },
	{ "POST", "/v1/trust/invite", "{\"host\":\"beta\"}", 200,
	  "host_trust_invite beta" },
	{ "POST", "/v1/trust/join",
	  "{\"host\":\"10.0.0.1\",\"token\":\"t\",\"port\":6601}", 200,
	  "host_trust_join 10.0.0.1 t 6601" },
	{ "POST", "/v1/trust/renew", "", 200, "host_trust_renew" },
	{ "GET", "/v1/trust/members", "", 200, "host_trust_members" },
	{ "DELETE", "/v1/trust/members/beta", "", 200,
	  "host_trust_remove beta" },
	{ "POST", "/v1/trust/export", "", 200, "host_trust_export" },
	{ "POST", "/v1/trust/import",
	  "{\"key\":\"k\",\"certificate\":\"c\",\"serial\":7,"
	  "\"members\":{\"list\":\"l\",\"signature\":\"s\"}}",
	  200, "host_trust_show" },
	{ "POST", "/v1/trust/release", "", 200, "host_trust_show" },
	{ "POST", "/v1/relays",
	  "{\"role\":\"accept\",\"name\":\"r\",\"qemu\":\"/q\"}", 202,
	  "relay_start accept r /q 0" },
	{ "POST", "/v1/relays",
	  "{\"role\":\"accept\",\"name\":\"r\",\"qemu\":\"/q\",\"pid\":7}", 202,
	  "relay_start accept r /q 7" },
};

static void each_route_calls_its_function(void **state)
{
	struct place *p = *state;
	char reply[4096];

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		assert_int_equal(ask(p, routes[i].verb, routes[i].path,
				     routes[i].body, reply, sizeof(reply)),
				 routes[i].status);
		assert_string_equal(p->host.asked, routes[i].asked);
		assert_non_null(
			strstr(reply, !strcmp(routes[i].path, "/metrics")
					      ? "text/plain; version"
					      : "application/json"));
	}
}

static void the_log_level_is_shown_and_set(void **state)
{
	struct place *p = *state;
	char reply[4096];

	assert_int_equal(ask(p, "GET", "/v1/log", "", reply, sizeof(reply)),
			 200);
	assert_non_null(strstr(reply, "\"level\": \"info\""));
	assert_int_equal(ask(p, "PUT", "/v1/log", "{\"level\":\"warning\"}",
			     reply, sizeof(reply)),
			 200);
	assert_non_null(strstr(reply, "\"level\": \"warning\""));
	assert_int_equal(log_level(), LOG_WARNING);
	assert_int_equal(ask(p, "PUT", "/v1/log", "{\"level\":\"loud\"}", reply,
			     sizeof(reply)),
			 400);
	assert_non_null(strstr(reply, "'loud' is not a log level: use error, "
				      "warning, info or debug"));
	assert_int_equal(log_level(), LOG_WARNING);
	log_set_level(LOG_INFO);
}

static void failures_become_statuses_with_one_sentence(void **state)
{
	static const struct {
		int code, status;
		const char *kind;
	} cases[] = {
		{ EINVAL, 400, "invalid" },
		{ ENOENT, 404, "not-found" },
		{ ESRCH, 404, "not-found" },
		{ EEXIST, 409, "refused" },
		{ EBUSY, 409, "refused" },
		{ EPERM, 409, "refused" },
		{ EIO, 500, "failed" },
		{ ENOSPC, 500, "failed" },
		{ EHOSTUNREACH, 502, "peer-unreachable" },
		{ ETIMEDOUT, 502, "timed-out" },
	};
	struct place *p = *state;
	char reply[4096], kind[64];

	p->host.reason = "machine web1: it is on fire";
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		p->host.fail_code = cases[i].code;
		assert_int_equal(ask(p, "GET", "/v1/machines/web1", "", reply,
				     sizeof(reply)),
				 cases[i].status);
		assert_non_null(
			strstr(reply,
			       "\"error\": \"machine web1: it is on fire\""));
		snprintf(kind, sizeof(kind), "\"kind\": \"%s\"", cases[i].kind);
		assert_non_null(strstr(reply, kind));
	}
}

static void an_error_that_is_not_utf8_still_arrives(void **state)
{
	struct place *p = *state;
	char reply[4096];

	p->host.fail_code = EIO;
	p->host.reason = "open /tmp/\xff\xfe: failed";
	assert_int_equal(ask(p, "GET", "/v1/host", "", reply, sizeof(reply)),
			 500);
	assert_non_null(strstr(reply, "open /tmp/??: failed"));
}

static void unknown_paths_are_404(void **state)
{
	static const char *const wrong[] = {
		"/",
		"/v1",
		"/v1/",
		"/v2/host",
		"/v1/hosts/beta",
		"/v1/machines/",
		"/v1/machines/web1/",
		"/v1/machines/web1/jump",
		"/v1/machines/a/b/start",
		"/v1/machines//start",
		"/v1/jobs/3f9a12cd/cancel/now",
		"/v1/machines/a%2Fb",
	};
	struct place *p = *state;
	char reply[4096];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(ask(p, "GET", wrong[i], "", reply,
				     sizeof(reply)),
				 404);
	assert_string_equal(p->host.asked, "");
}

static void names_are_checked_before_anything_is_called(void **state)
{
	struct place *p = *state;
	char reply[4096];

	assert_int_equal(ask(p, "GET", "/v1/machines/..", "", reply,
			     sizeof(reply)),
			 400);
	assert_int_equal(ask(p, "POST", "/v1/machines/a%20b/start", "", reply,
			     sizeof(reply)),
			 400);
	assert_int_equal(ask(p, "POST", "/v1/adopt",
			     "{\"pid\":1,\"name\":\"../x\"}", reply,
			     sizeof(reply)),
			 400);
	assert_string_equal(p->host.asked, "");
}

static void a_wrong_verb_is_405_and_says_which_are_right(void **state)
{
	struct place *p = *state;
	char reply[4096];

	assert_int_equal(ask(p, "POST", "/v1/machines/web1", "", reply,
			     sizeof(reply)),
			 405);
	assert_non_null(strstr(reply, "Allow: GET, DELETE\r\n"));
	assert_non_null(
		strstr(reply, "/v1/machines/web1 takes GET, DELETE, not POST"));
	assert_int_equal(ask(p, "GET", "/v1/machines/web1/move", "", reply,
			     sizeof(reply)),
			 405);
	assert_non_null(strstr(reply, "Allow: POST\r\n"));
}

static void wrong_bodies_are_400_and_say_what_is_wrong(void **state)
{
	static const struct {
		const char *path, *body, *says;
	} cases[] = {
		{ "/v1/machines/web1/move", "", "'host' is missing" },
		{ "/v1/machines/web1/move", "{\"host\":", "not JSON" },
		{ "/v1/machines/web1/move", "[]", "must be a JSON object" },
		{ "/v1/machines/web1/move", "{}", "'host' is missing" },
		{ "/v1/machines/web1/move", "{\"host\":7}",
		  "'host' must be a string" },
		{ "/v1/machines/web1/move",
		  "{\"host\":\"b\",\"dowtime_limit_ms\":3}",
		  "there is no field 'dowtime_limit_ms' here" },
		{ "/v1/machines/web1/move",
		  "{\"host\":\"b\",\"connections\":1.5}",
		  "'connections' must be a whole number" },
		{ "/v1/machines/web1/move",
		  "{\"host\":\"b\",\"networks\":\"a\"}",
		  "'networks' must be a list" },
		{ "/v1/machines/web1/move", "{\"host\":\"b\",\"networks\":[7]}",
		  "'networks' must be a list of strings" },
		{ "/v1/machines/web1/move", "{\"host\":\"b\",\"paused\":1}",
		  "'paused' must be true or false" },
		{ "/v1/machines/web1/move", "{\"host\":\"b\",\"host\":\"c\"}",
		  "not JSON" },
		{ "/v1/adopt", "{\"pid\":0}", "number of a process" },
		{ "/v1/adopt", "{\"pid\":99999999999}", "number of a process" },
		{ "/v1/jobs/3f9a12cd/resolve", "{}", "'run_here' is missing" },
		{ "/v1/relays", "{\"role\":\"accept\"}", "'name' is missing" },
	};
	struct place *p = *state;
	char reply[4096];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(ask(p, "POST", cases[i].path, cases[i].body,
				     reply, sizeof(reply)),
				 400);
		if (!strstr(reply, cases[i].says))
			fail_msg("%s: %s", cases[i].body, reply);
	}
	assert_string_equal(p->host.asked, "");
}

static int put_definition(const struct place *p, size_t len, char *reply,
			  size_t cap)
{
	char *text = malloc(len + 256);
	int head = snprintf(text, 256,
			    "PUT /v1/machines HTTP/1.1\r\nHost: drover\r\n"
			    "Connection: close\r\nContent-Length: %zu\r\n\r\n",
			    len);
	int status;

	memset(text + head, 'x', len);
	status = send_raw(p, text, (size_t)head + len, reply, cap);
	free(text);
	return status;
}

static void a_body_may_have_1_mib_and_not_one_byte_more(void **state)
{
	struct place *p = *state;
	char *reply = malloc(2 << 20);

	assert_int_equal(put_definition(p, 1 << 20, reply, 2 << 20), 200);
	p->host.asked[0] = '\0';
	assert_int_equal(put_definition(p, (1 << 20) + 1, reply, 2 << 20), 413);
	assert_non_null(strstr(reply, "longer than 1 MiB"));
	assert_int_equal(put_definition(p, 5 << 20, reply, 2 << 20), 413);
	assert_string_equal(p->host.asked, "");
	free(reply);
}

static void a_zero_byte_in_a_definition_is_refused(void **state)
{
	static const char request[] = "PUT /v1/machines HTTP/1.1\r\n"
				      "Host: d\r\nConnection: close\r\n"
				      "Content-Length: 3\r\n\r\na\0b";
	struct place *p = *state;
	char reply[4096];

	assert_int_equal(send_raw(p, request, sizeof(request) - 1, reply,
				  sizeof(reply)),
			 400);
	assert_non_null(strstr(reply, "zero byte"));
}

static void a_long_path_is_414(void **state)
{
	struct place *p = *state;
	char path[700], reply[4096];

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ask(p, "GET", path, "", reply, sizeof(reply)), 414);
}

static void bytes_that_are_no_http_do_no_harm(void **state)
{
	static const char junk[] = "\x16\x03\x01 hello\r\n\r\n\r\n";
	struct place *p = *state;
	char reply[4096];

	send_raw(p, junk, sizeof(junk) - 1, reply, sizeof(reply));
	assert_int_equal(ask(p, "GET", "/v1/host", "", reply, sizeof(reply)),
			 200);
}

static void *get_host(void *arg)
{
	struct place *p = arg;
	char reply[4096];

	assert_int_equal(ask(p, "GET", "/v1/host", "", reply, sizeof(reply)),
			 200);
	return NULL;
}

static void a_method_that_takes_long_holds_up_nobody(void **state)
{
	struct place *p = *state;
	pthread_barrier_t meet;
	pthread_t slow;
	char reply[4096];

	pthread_barrier_init(&meet, NULL, 2);
	p->host.meet = &meet;
	pthread_create(&slow, NULL, get_host, p);
	pthread_barrier_wait(&meet); /* now it is inside */
	assert_int_equal(ask(p, "GET", "/v1/jobs", "", reply, sizeof(reply)),
			 200);
	pthread_barrier_wait(&meet);
	pthread_join(slow, NULL);
	pthread_barrier_destroy(&meet);
}

static void the_socket_is_for_owner_and_group_alone(void **state)
{
	struct place *p = *state;
	struct stat st;

	assert_int_equal(stat(p->socket, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
}

static void a_live_daemon_keeps_its_socket(void **state)
{
	struct place *p = *state;
	struct control *other = NULL;
	struct error e = { 0 };
	char reply[4096];

	assert_int_equal(place_start(p, &other, &e), -EADDRINUSE);
	assert_null(other);
	assert_non_null(strstr(e.text, "another droverd already serves"));
	assert_int_equal(ask(p, "GET", "/v1/host", "", reply, sizeof(reply)),
			 200);
}

static void a_second_daemon_can_look_before_it_touches_anything(void **state)
{
	struct place *p = *state;
	struct error e = { 0 };

	assert_int_equal(control_check_free(p->socket, &e), -EADDRINUSE);
	control_stop(p->control);
	p->control = NULL;
	assert_int_equal(control_check_free(p->socket, &e), 0);
}

static void the_socket_of_a_dead_daemon_is_replaced(void **state)
{
	struct place *p = *state;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct error e = { 0 };
	char reply[4096];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	control_stop(p->control);
	p->control = NULL;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", p->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	assert_int_equal(access(p->socket, F_OK), 0);

	assert_int_equal(place_start(p, &p->control, &e), 0);
	assert_int_equal(ask(p, "GET", "/v1/host", "", reply, sizeof(reply)),
			 200);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct place *p = *state;
	struct error e = { 0 };
	int fd;

	control_stop(p->control);
	p->control = NULL;
	fd = open(p->socket, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(place_start(p, &p->control, &e), -EEXIST);
	assert_non_null(strstr(e.text, "is not a socket"));
	assert_int_equal(access(p->socket, F_OK), 0);
}

static void stopping_removes_the_socket(void **state)
{
	struct place *p = *state;

	control_stop(p->control);
	p->control = NULL;
	assert_int_equal(access(p->socket, F_OK), -1);
}

static void stopping_leaves_a_successors_socket(void **state)
{
	struct place *p = *state;
	struct control *next;
	struct error e = { 0 };
	char reply[4096];

	unlink(p->socket);
	unlink(p->look);
	assert_int_equal(place_start(p, &next, &e), 0);
	control_stop(p->control);
	p->control = next;
	assert_int_equal(ask(p, "GET", "/v1/host", "", reply, sizeof(reply)),
			 200);
}

static void a_path_that_does_not_fit_is_named(void **state)
{
	char path[200];
	const struct control_options o = { .socket = path };
	struct control *c = NULL;
	struct double_host d = { 0 };
	struct error e = { 0 };

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(control_start(&c, double_as_host(&d), &o, &e),
			 -ENAMETOOLONG);
	assert_non_null(strstr(e.text, "longer than 107 characters"));
}

static void root_the_owner_and_the_group_are_admitted(void **state)
{
	const gid_t more[] = { 7, 105 };
	const struct gate_peer root = { .uid = 0, .gid = 0 };
	const struct gate_peer owner = { .uid = 500, .gid = 500 };
	const struct gate_peer first = { .uid = 1000, .gid = 105 };
	const struct gate_peer member = {
		.uid = 1000,
		.gid = 1000,
		.groups = more,
		.group_count = 2,
	};
	const struct gate_peer stranger = {
		.uid = 1001,
		.gid = 1001,
		.groups = more,
		.group_count = 1,
	};
	const struct gate_peer odd = { .uid = 1001, .gid = GATE_NO_GROUP };

	(void)state;
	assert_true(gate_admits(&root, 500, 105));
	assert_true(gate_admits(&owner, 500, 105));
	assert_true(gate_admits(&first, 500, 105));
	assert_true(gate_admits(&member, 500, 105));
	assert_false(gate_admits(&stranger, 500, 105));
	assert_false(gate_admits(&member, 500, 106));
	assert_false(gate_admits(&odd, 500, GATE_NO_GROUP));
}

/* The file's mode alone would let this one in. */
static void a_stranger_with_a_connection_is_refused(void **state)
{
	static const char request[] =
		"GET /v1/host HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
	struct place *p = *state;
	char reply[4096];
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("skipped: only root can become somebody else\n");
		skip();
	}
	chmod(p->folder, 0755);
	assert_int_equal(chmod(p->socket, 0666), 0);
	pid = fork();
	if (pid == 0) {
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(9);
		status = send_raw(p, request, sizeof(request) - 1, reply,
				  sizeof(reply));
		_exit(status == 403 && strstr(reply, "may not use") ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_string_equal(p->host.asked, "");
}

static void the_client_gets_the_reply_or_the_sentence(void **state)
{
	struct place *p = *state;
	struct client *c = NULL;
	struct error e = { 0 };
	json_t *j = NULL;

	assert_int_equal(client_new(&c, p->socket, &e), 0);
	assert_int_equal(client_get(c, "/v1/jobs/ab", &j, &e), 0);
	assert_string_equal(json_string_value(json_object_get(j, "error")),
			    "job_show ab");
	json_decref(j);
	assert_int_equal(client_post(c, "/v1/jobs/ab/cancel", NULL, &j, &e), 0);
	json_decref(j);
	p->host.fail_code = EBUSY;
	p->host.reason = "a job holds web1";
	assert_int_equal(client_get(c, "/v1/jobs/ab", &j, &e), -EREMOTEIO);
	assert_string_equal(e.text, "a job holds web1");

	control_stop(p->control);
	p->control = NULL;
	assert_int_equal(client_get(c, "/v1/host", &j, &e), -ENOTCONN);
	assert_non_null(strstr(e.text, "No such file or directory (is the "
				       "service running?)"));
	client_free(c);
}

/* --- who did what */

/* compare and a plan make nothing at any host. */
static bool shows_alone(const struct api_route *r)
{
	return !strcmp(r->verb, "GET") || !strcmp(r->path, "/v1/drain/plan") ||
	       !strcmp(r->path, "/v1/machines/*/compare");
}

static void every_method_says_whether_it_changes_something(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_route_count; i++)
		if (shows_alone(&api_routes[i]) != !api_routes[i].changes)
			fail_msg("%s %s: what is no GET needs .changes, the "
				 "words of its command; a GET has none",
				 api_routes[i].verb, api_routes[i].path);
}

static void by_the_other_socket_nothing_can_be_changed(void **state)
{
	struct place *p = *state;
	char reply[4096];

	p->looks = true;
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		bool shows = !strcmp(routes[i].verb, "GET") ||
			     strstr(routes[i].path, "/compare") ||
			     strstr(routes[i].path, "/drain/plan");

		p->host.asked[0] = '\0';
		assert_int_equal(ask(p, routes[i].verb, routes[i].path,
				     routes[i].body, reply, sizeof(reply)),
				 shows ? routes[i].status : 403);
		assert_string_equal(p->host.asked,
				    shows ? routes[i].asked : "");
		if (!shows)
			assert_non_null(strstr(reply, "changes something"));
	}
	assert_int_equal(ask(p, "GET", "/v1/log/calls", "", reply,
			     sizeof(reply)),
			 200);
	assert_non_null(strstr(reply, "\r\n\r\n[]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		AT_A_PLACE(each_route_calls_its_function),
		AT_A_PLACE(the_log_level_is_shown_and_set),
		AT_A_PLACE(failures_become_statuses_with_one_sentence),
		AT_A_PLACE(an_error_that_is_not_utf8_still_arrives),
		AT_A_PLACE(unknown_paths_are_404),
		AT_A_PLACE(names_are_checked_before_anything_is_called),
		AT_A_PLACE(a_wrong_verb_is_405_and_says_which_are_right),
		AT_A_PLACE(wrong_bodies_are_400_and_say_what_is_wrong),
		AT_A_PLACE(a_body_may_have_1_mib_and_not_one_byte_more),
		AT_A_PLACE(a_zero_byte_in_a_definition_is_refused),
		AT_A_PLACE(a_long_path_is_414),
		AT_A_PLACE(bytes_that_are_no_http_do_no_harm),
		AT_A_PLACE(a_method_that_takes_long_holds_up_nobody),
		AT_A_PLACE(the_socket_is_for_owner_and_group_alone),
		AT_A_PLACE(a_live_daemon_keeps_its_socket),
		AT_A_PLACE(a_second_daemon_can_look_before_it_touches_anything),
		AT_A_PLACE(the_socket_of_a_dead_daemon_is_replaced),
		AT_A_PLACE(a_file_that_is_no_socket_is_left_alone),
		AT_A_PLACE(stopping_removes_the_socket),
		AT_A_PLACE(stopping_leaves_a_successors_socket),
		cmocka_unit_test(a_path_that_does_not_fit_is_named),
		cmocka_unit_test(root_the_owner_and_the_group_are_admitted),
		AT_A_PLACE(a_stranger_with_a_connection_is_refused),
		AT_A_PLACE(the_client_gets_the_reply_or_the_sentence),
		cmocka_unit_test(
			every_method_says_whether_it_changes_something),
		AT_A_PLACE(by_the_other_socket_nothing_can_be_changed),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
