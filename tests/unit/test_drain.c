/* SPDX-License-Identifier: MIT */

/* Whether a host is drained, over restarts and with files that cannot be read;
 * and facts of hosts as a placement's plain values. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "host/drain.h"
#include "host/placement.h"
#include "host/placement_facts.h"
#include "host/returns.h"
#include "scratch.h"
#include "wire/message.h"

static char folder[SCRATCH_CAP];

static int begin_folder(void **state)
{
	(void)state;
	scratch_folder(folder);
	return 0;
}

static struct drain *restored(void)
{
	struct drain *d = drain_new(folder, "alpha");
	struct error e;

	assert_non_null(d);
	assert_int_equal(drain_restore(d, &e), 0);
	return d;
}

static bool closed(struct drain *d)
{
	struct error e = { 0 };
	const bool is = drain_check(d, &e) < 0;
	char why[80];

	assert_int_equal(drain_closed(d, why, sizeof(why)), is);
	assert_int_equal(why[0] != '\0', is);
	if (is)
		assert_non_null(strstr(e.text, "alpha is "));
	return is;
}

static enum drain_state state_of(struct drain *d)
{
	struct drain_record r;
	struct error e;
	enum drain_state is;

	assert_int_equal(drain_copy(d, &r, &e), 0);
	is = r.state;
	drain_record_done(&r);
	return is;
}

static void begin(struct drain *d, enum drain_state state)
{
	struct drain_record r = { .state = state };
	struct error e;

	assert_non_null(drain_add(&r, "web1", "u1"));
	assert_int_equal(drain_begin(d, &r, &e), 0);
	drain_record_done(&r);
}

static void test_it_is_drained_until_it_returns_whatever_dies(void **state)
{
	struct drain *d = restored();
	struct drain_record r;
	struct error e;

	(void)state;
	assert_false(closed(d));
	begin(d, DRAIN_DRAINING);
	assert_true(closed(d));
	drain_free(d); /* its daemon has died */
	d = restored();
	assert_int_equal(state_of(d), DRAIN_INTERRUPTED);
	assert_true(closed(d));
	begin(d, DRAIN_DRAINING);
	drain_ends(d, DRAIN_DRAINED);
	drain_free(d);
	d = restored();
	assert_int_equal(state_of(d), DRAIN_DRAINED);
	assert_true(closed(d));
	begin(d, DRAIN_RETURNING);
	assert_false(closed(d));
	drain_free(d);
	d = restored();
	assert_int_equal(state_of(d), DRAIN_AWAY);
	assert_false(closed(d));
	assert_int_equal(drain_copy(d, &r, &e), 0);
	assert_int_equal(r.n_machines, 1);
	assert_string_equal(r.machines[0].name, "web1");
	drain_record_done(&r);
	begin(d, DRAIN_RETURNING);
	drain_ends(d, DRAIN_NONE);
	drain_free(d);
	d = restored();
	assert_int_equal(state_of(d), DRAIN_NONE);
	drain_free(d);
}

static void test_one_works_on_it_at_a_time(void **state)
{
	struct drain *d = restored();
	const struct drain_record r = { .state = DRAIN_DRAINING };
	struct drain_machine m = {
		.name = "web1", .uuid = "u1", .fate = FATE_MOVED, .to = "beta"
	};
	struct drain_record copy;
	struct error e;

	(void)state;
	begin(d, DRAIN_DRAINING);
	assert_int_equal(drain_begin(d, &r, &e), -EBUSY);
	assert_string_equal(e.text, "alpha is draining already: 'drover drain "
				    "--cancel' ends that");
	assert_int_equal(drain_note(d, &m, &e), 0);
	snprintf(m.uuid, sizeof(m.uuid), "u2");
	assert_int_equal(drain_note(d, &m, &e), 0);
	assert_int_equal(drain_copy(d, &copy, &e), 0);
	assert_int_equal(copy.n_machines, 2);
	assert_int_equal(drain_count(&copy, FATE_MOVED), 2);
	drain_record_done(&copy);
	drain_ends(d, DRAIN_NONE);
	drain_free(d);
}

static void test_what_cannot_be_read_keeps_it_closed(void **state)
{
	char path[SCRATCH_CAP + 16];
	struct error e;
	struct drain *d;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/drain.json", folder);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("{\"state\": \"dra", f);
	fclose(f);
	d = drain_new(folder, "alpha");
	assert_non_null(d);
	assert_int_equal(drain_restore(d, &(struct error){ 0 }), 0);
	assert_true(closed(d));
	assert_int_equal(drain_known(d, &e), -EIO);
	assert_non_null(strstr(e.text, path));
	drain_ends(d, DRAIN_NONE);
	assert_false(closed(d));
	assert_int_equal(drain_known(d, &e), 0);
	drain_free(d);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/drain.json.bad", folder);
	assert_int_equal(access(path, F_OK), 0);
}

static void test_nothing_begins_that_cannot_be_noted(void **state)
{
	struct drain *d = drain_new("/proc/none", "alpha");
	const struct drain_record r = { .state = DRAIN_DRAINING };
	struct error e;

	(void)state;
	assert_non_null(d);
	assert_true(drain_begin(d, &r, &e) < 0);
	assert_false(closed(d));
	assert_int_equal(state_of(d), DRAIN_NONE);
	drain_free(d);
}

/* --- facts */

static const uint64_t GIB = 1ULL << 30;

static struct facts_of told(const char *name, unsigned gib)
{
	struct facts_of f = { .known = true, .heard = true };

	snprintf(f.name, sizeof(f.name), "%s", name);
	f.facts.memory_bytes = gib * GIB;
	return f;
}

static const char *closed_for(struct facts_all *all, unsigned host,
			      const struct words *to)
{
	struct placement_facts p;
	struct error e;
	const char *why;

	assert_int_equal(placement_facts_init(&p, all, to, NULL, true, &e), 0);
	why = p.hosts[host].closed;
	placement_facts_done(&p);
	return why;
}

static void test_who_may_be_chosen(void **state)
{
	struct facts_of at[] = { told("alpha", 0), told("beta", 4),
				 told("gamma", 4) };
	struct facts_all all = { at, ARRAY_SIZE(at) };
	char beta[] = "beta", *named[] = { beta };
	const struct words to = { named, 1 };

	(void)state;
	assert_string_equal(closed_for(&all, 0, NULL), "is being drained");
	assert_null(closed_for(&all, 1, NULL));
	assert_null(closed_for(&all, 1, &to));
	assert_string_equal(closed_for(&all, 2, &to),
			    "is none of those that were named");
	snprintf(at[1].facts.closed, sizeof(at[1].facts.closed), "is drained");
	assert_string_equal(closed_for(&all, 1, &to), "is drained");
	/* One that does not tell is chosen where it is named, and answers. */
	at[1].known = false;
	error_set(&at[1].why, EPROTO, "does not tell");
	assert_string_equal(closed_for(&all, 1, NULL), "does not tell");
	assert_null(closed_for(&all, 1, &to));
	at[1].heard = false;
	assert_string_equal(closed_for(&all, 1, &to), "does not tell");
}

static void test_what_a_machine_needs_is_what_its_host_tells(void **state)
{
	char br0[] = "br0", *bridge[] = { br0 }, pc[] = "pc-q35-7.2",
	     *type[] = { pc };
	struct facts_of at[] = { told("alpha", 0), told("beta", 4) };
	struct facts_all all = { at, ARRAY_SIZE(at) };
	struct machine_facts m[] = {
		{ .name = "web1",
		  .uuid = "u1",
		  .type = "pc-q35-7.2",
		  .memory_bytes = GIB,
		  .bridges = { bridge, 1 } },
		{ .name = "web2",
		  .uuid = "u2",
		  .memory_bytes = GIB,
		  .huge = true },
	};
	struct placement_facts p;
	struct placement_plan plan;
	struct error e;

	(void)state;
	at[0].facts.machines = m;
	at[0].facts.n_machines = ARRAY_SIZE(m);
	assert_int_equal(placement_facts_init(&p, &all, NULL, NULL, true, &e),
			 0);
	assert_int_equal(placement_make(&p.of, &plan, &e), 0);
	assert_int_equal(plan.n_left, 2);
	assert_string_equal(plan.left[0].why, "beta has no bridge br0");
	assert_string_equal(plan.left[1].why,
			    "beta has 0 B of huge pages left, and 1.0 GiB are "
			    "needed");
	placement_plan_done(&plan);
	at[1].facts.bridges = (struct words){ bridge, 1 };
	at[1].facts.types = (struct words){ type, 1 };
	at[1].facts.huge_bytes = GIB;
	placement_facts_done(&p);
	assert_int_equal(placement_facts_init(&p, &all, NULL, NULL, true, &e),
			 0);
	assert_int_equal(placement_facts_refuse(&p, "u1", "beta", "no", &e), 0);
	assert_int_equal(placement_facts_refuse(&p, "u9", "beta", "no", &e), 0);
	assert_int_equal(placement_make(&p.of, &plan, &e), 0);
	assert_int_equal(plan.n_moves, 1);
	assert_string_equal(p.machines[plan.moves[0].machine].name, "web2");
	assert_string_equal(plan.left[0].why, "beta: no");
	placement_plan_done(&plan);
	placement_facts_done(&p);
}

/* Whatever it says, and however long. */
static void test_no_answer_keeps_a_return_waiting_for_ever(void **state)
{
	struct message_returns_answer a = { .state = RETURNS_ELSEWHERE };
	struct drain_machine m = { .fate = FATE_WAITS, .to = "beta" };
	unsigned asked = 0;

	(void)state;
	/* "It is on your side." */
	snprintf(a.host, sizeof(a.host), "alpha");
	for (; m.fate != FATE_MOVED && asked < 100; asked++)
		returns_heard(&m, "alpha", &a, 0);
	assert_int_equal(asked, 20);
	assert_string_equal(m.why,
			    "host beta says that it is here, and it is not");
	assert_string_equal(m.to, "beta");
	/* Others that send it round and round. */
	m = (struct drain_machine){ .fate = FATE_WAITS, .to = "beta" };
	snprintf(a.host, sizeof(a.host), "gamma");
	returns_heard(&m, "alpha", &a, 0);
	assert_int_equal(m.fate, FATE_WAITS);
	assert_string_equal(m.to, "gamma");
	returns_heard(&m, "alpha", &a, 0);
	assert_int_equal(m.fate, FATE_MOVED);
	/* "I move it." */
	m = (struct drain_machine){ .fate = FATE_WAITS, .to = "beta" };
	a = (struct message_returns_answer){ .state = RETURNS_MOVES,
					     .job = "17" };
	for (asked = 0; asked < 100; asked++)
		returns_heard(&m, "alpha", &a, 3599000000);
	assert_int_equal(m.fate, FATE_COMES);
	assert_string_equal(m.job, "17");
	returns_heard(&m, "alpha", &a, 3600000000);
	assert_int_equal(m.fate, FATE_MOVED);
	assert_non_null(strstr(m.why, "host beta says that it moves it"));
	assert_string_equal(m.job, "");
}

static bool is_told(const char *text)
{
	struct host_facts f = { 0 };
	struct error e;
	const int r = shape_parse(&host_facts_shape, &f, text, strlen(text),
				  SHAPE_MESSAGE, &e);

	if (r == 0)
		host_facts_done(&f);
	else
		assert_non_null(strstr(e.text, " must be "));
	return r == 0;
}

static void test_no_host_tells_what_none_has(void **state)
{
	(void)state;
	assert_true(is_told("{\"load\":0,\"memory\":1125899906842624}"));
	assert_true(is_told("{\"load\":1000,\"machines\":[]}"));
	assert_false(is_told("{\"load\":-1e300}"));
	assert_false(is_told("{\"load\":-0.001}"));
	assert_false(is_told("{\"load\":1000.5}"));
	assert_false(is_told("{\"load\":\"nan\"}"));
	assert_false(is_told("{\"memory\":1125899906842625}"));
	assert_false(is_told("{\"total\":1152921504606846976}"));
	assert_false(is_told("{\"huge\":1152921504606846976}"));
	assert_false(is_told("{\"machines\":[{\"name\":\"a\","
			     "\"memory\":281474976710657}]}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			test_it_is_drained_until_it_returns_whatever_dies,
			begin_folder),
		cmocka_unit_test_setup(test_one_works_on_it_at_a_time,
				       begin_folder),
		cmocka_unit_test_setup(test_what_cannot_be_read_keeps_it_closed,
				       begin_folder),
		cmocka_unit_test(test_nothing_begins_that_cannot_be_noted),
		cmocka_unit_test(
			test_no_answer_keeps_a_return_waiting_for_ever),
		cmocka_unit_test(test_no_host_tells_what_none_has),
		cmocka_unit_test(test_who_may_be_chosen),
		cmocka_unit_test(
			test_what_a_machine_needs_is_what_its_host_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
