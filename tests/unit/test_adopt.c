/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "qemu.h"
#include "qemu/adopt.h"
#include "qemu/probe.h"
#include "qemu/qmp.h"

#define MONITOR " -qmp unix:qmp.sock,server=on,wait=off"

/* Adopt a QEMU that runs @command and compare the definition's text, without
 * the lines qemu and directory, with @expected.  A QEMU that is not installed
 * where it was built for is started with -L. */
static void assert_adopted(const char *command, const char *expected)
{
	char path[ADOPT_PATH_MAX], wanted[128], kept[4096] = "";
	struct definition d;
	struct guest g;
	struct error e;
	char *text, *rest, *line;

	guest_start_plain(&g, command);
	if (adopt_process(g.process.pid, &d, path, &e) < 0)
		fail_msg("%s", e.text);
	snprintf(wanted, sizeof(wanted), "%s/qmp.sock", g.dir);
	assert_string_equal(path, wanted);
	assert_string_equal(d.directory, g.dir);
	assert_non_null(strstr(d.qemu, "/qemu-system-x86_64"));
	text = definition_text(&d);
	definition_done(&d);
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (!*line || !strncmp(line, "qemu =", 6) ||
		    !strncmp(line, "directory =", 11) ||
		    !strncmp(line, "arguments = -L", 14))
			continue;
		strcat(strcat(kept, line), "\n");
	}
	assert_string_equal(kept, expected);
	free(text);
	guest_end(&g);
}

static void a_plain_command_line_becomes_a_definition(void **state)
{
	(void)state;
	if (!qemu_for_tests())
		skip();
	assert_adopted("-S -nodefaults -display none -name web1 -m 64 -smp 2 "
		       "-M q35,accel=tcg,usb=off -cpu max "
		       "-fw_cfg name=opt/a,string='b c ; ${d}'" MONITOR,
		       "[machine]\nname = web1\nmemory = 64M\nvcpus = 2\n"
		       "machine = q35,usb=off\naccelerator = tcg\ncpu = max\n"
		       "memory-id = pc.ram\narguments = -nodefaults\n"
		       "arguments = -display none\narguments = -fw_cfg "
		       "'name=opt/a,string=b c ; $${d}'\n");
}

static void the_memory_backend_and_chardev_monitors_are_recognised(void **state)
{
	(void)state;
	if (!qemu_for_tests())
		skip();
	assert_adopted(
		"-S -nodefaults -display none -name guest=db,debug-threads=on "
		"-m size=65536k,slots=2,maxmem=1G "
		"-smp sockets=1,cores=2,threads=2 "
		"-machine pc,memory-backend=ram0 -accel tcg,thread=multi "
		"-object '{\"qom-type\":\"memory-backend-ram\",\"id\":\"ram0\","
		"\"size\":67108864}' -mon chardev=m,mode=control "
		"-chardev socket,id=m,path=qmp.sock,server=on,wait=off "
		"-chardev null,id=n -device isa-serial,chardev=n",
		"[machine]\nname = db\nmemory = 64M,slots=2,maxmem=1G\n"
		"vcpus = 4,sockets=1,cores=2,threads=2\nmachine = pc\n"
		"accelerator = tcg,thread=multi\nmemory-id = ram0\n"
		"arguments = -nodefaults\narguments = -display none\n"
		"arguments = -chardev null,id=n\n"
		"arguments = -device isa-serial,chardev=n\n");
}

static void several_backends_stay_arguments(void **state)
{
	(void)state;
	if (!qemu_for_tests())
		skip();
	assert_adopted(
		"-S -nodefaults -display none -machine pc,accel=tcg -m 64 "
		"-name 'a b' "
		"-object memory-backend-ram,id=n0,size=32M "
		"-object memory-backend-ram,id=n1,size=32M "
		"-numa node,memdev=n0 -numa node,memdev=n1" MONITOR,
		"[machine]\nname = axb\nmemory = 64M\nvcpus = 1\nmachine = pc\n"
		"accelerator = tcg\nmemory-id = pc.ram\n"
		"arguments = -nodefaults\narguments = -display none\n"
		"arguments = -object memory-backend-ram,id=n0,size=32M\n"
		"arguments = -object memory-backend-ram,id=n1,size=32M\n"
		"arguments = -numa node,memdev=n0\n"
		"arguments = -numa node,memdev=n1\n");
}

static void an_adopted_definition_starts(void **state)
{
	struct launch_options o = { .incoming = true };
	char path[ADOPT_PATH_MAX];
	struct guest source, copy;
	struct definition d;
	struct error e;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start_plain(&source, "-S -nodefaults -display none -m 48 -M "
				   "pc,accel=tcg -vga std" MONITOR);
	if (adopt_process(source.process.pid, &d, path, &e) < 0)
		fail_msg("%s", e.text);
	guest_folder(&copy);
	o.run_dir = copy.dir;
	if (launch_start(&copy.process, &d, &o, &e) < 0)
		fail_msg("%s", e.text);
	copy.running = true;
	definition_done(&d);
	guest_end(&copy);
	guest_end(&source);
}

static void what_drover_started_is_adopted_as_it_was_written(void **state)
{
	char path[ADOPT_PATH_MAX];
	struct definition d;
	struct guest g;
	struct error e;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start(&g, "memory = 32M\nvcpus = 2\narguments = -nodefaults\n",
		    true);
	if (adopt_process(g.process.pid, &d, path, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(path, g.process.qmp_path);
	assert_string_equal(d.name, "test");
	assert_string_equal(d.machine, "pc");
	assert_string_equal(d.memory_id, "pc.ram");
	assert_int_equal(d.memory_bytes, 32 << 20);
	assert_int_equal(d.vcpus, 2);
	assert_null(strstr(d.arguments.at[0], "chardev"));
	definition_done(&d);
	guest_end(&g);
}

static void other_processes_are_refused(void **state)
{
	char path[ADOPT_PATH_MAX];
	struct definition d;
	struct error e;

	(void)state;
	assert_int_equal(adopt_process(getpid(), &d, path, &e), -EINVAL);
	assert_non_null(strstr(e.text, "is not a QEMU: it runs "));
	assert_int_equal(adopt_process(0x3fffffff, &d, path, &e), -ESRCH);
	assert_string_equal(e.text, "there is no process 1073741823");
}

static void a_qemu_tells_what_it_can_do(void **state)
{
	const struct qemu_facts *f, *again;
	uint64_t start;
	struct error e;

	(void)state;
	if (!qemu_for_tests())
		skip();
	if (probe_qemu(&f, qemu_for_tests(), &e) < 0)
		fail_msg("%s", e.text);
	assert_true(facts_at_least(f, 7, 0));
	assert_false(facts_at_least(f, 99, 0));
	assert_int_equal(strncmp(facts_machine(f, "q35"), "pc-q35-", 7), 0);
	assert_string_equal(facts_machine(f, facts_machine(f, "q35")),
			    facts_machine(f, "q35"));
	assert_null(facts_machine(f, "pc-q35-99.0"));
	assert_true(facts_has_device(f, "virtio-net-pci"));
	if (f->devices) {
		assert_false(facts_has_device(f, "virtio-device"));
		assert_false(facts_has_device(f, "flux-capacitor"));
	}
	assert_true(facts_has_cpu(f, "max"));
	assert_true(facts_has_capability(f, "return-path"));
	assert_int_equal(facts_has_capability(f, "switchover-ack"),
			 facts_at_least(f, 8, 1));
	start = clock_us();
	assert_int_equal(probe_qemu(&again, qemu_for_tests(), &e), 0);
	assert_ptr_equal(f, again);
	assert_true(clock_us() - start < 50 * USEC_PER_MS);
}

static void a_program_that_is_no_qemu_is_refused(void **state)
{
	const struct qemu_facts *f;
	struct error e;

	(void)state;
	assert_int_equal(probe_qemu(&f, "/bin/true", &e), -ECHILD);
	assert_string_equal(e.text, "/bin/true: it does not run as a QEMU with "
				    "a monitor");
	assert_int_equal(probe_qemu(&f, "/nonexistent/qemu", &e), -ENOENT);
	assert_int_equal(probe_qemu(&f, "/etc/passwd", &e), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_command_line_becomes_a_definition),
		cmocka_unit_test(
			the_memory_backend_and_chardev_monitors_are_recognised),
		cmocka_unit_test(several_backends_stay_arguments),
		cmocka_unit_test(an_adopted_definition_starts),
		cmocka_unit_test(
			what_drover_started_is_adopted_as_it_was_written),
		cmocka_unit_test(other_processes_are_refused),
		cmocka_unit_test(a_qemu_tells_what_it_can_do),
		cmocka_unit_test(a_program_that_is_no_qemu_is_refused),
	};

	return cmocka_run_group_tests_name("adopt", tests, NULL, NULL);
}
