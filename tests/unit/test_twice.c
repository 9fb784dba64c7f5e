/* SPDX-License-Identifier: MIT */

/* What a definition may name where a second QEMU is started beside the first.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "qemu/definition.h"
#include "qemu/twice.h"
#include "scratch.h"

#define FOLDER "/run/drover/machines/web1+"

static int judge(const char *arguments, struct error *e)
{
	char text[1024];
	struct definition d;
	int r;

	snprintf(text, sizeof(text),
		 "[machine]\nname = web1\nmemory = 256M\narguments = %s\n",
		 arguments);
	if (definition_parse(&d, "web1", text, e) < 0)
		fail_msg("%s: %s", arguments, e->text);
	r = twice_check(&d, FOLDER, e);
	definition_done(&d);
	return r;
}

static void assert_passes(const char *arguments)
{
	struct error e;

	if (judge(arguments, &e) < 0)
		fail_msg("%s: %s", arguments, e.text);
}

static void assert_blamed(const char *arguments, const char *part)
{
	struct error e = { 0 };

	if (judge(arguments, &e) != -EPERM || !strstr(e.text, part))
		fail_msg("%s: %s", arguments, e.text);
}

#define BACKEND "-numa node,memdev=m -object memory-backend-"

static void memory_of_one_file_is_refused(void **state)
{
	(void)state;
	assert_blamed(BACKEND "file,id=m,size=256M,mem-path=/dev/shm/web1,"
			      "share=on",
		      "memory m is the file /dev/shm/web1");
	assert_blamed("-object memory-backend-file,id=n,size=1M,share=on,"
		      "mem-path=/srv/${name}.nv -device nvdimm,memdev=n",
		      "/srv/web1.nv");
	assert_blamed("-object '{\"qom-type\":\"memory-backend-file\","
		      "\"id\":\"m\",\"share\":true,"
		      "\"mem-path\":\"/srv/m\"}'",
		      "/srv/m");
}

static void memory_of_which_each_has_its_own_is_not(void **state)
{
	char folder[SCRATCH_CAP], text[SCRATCH_CAP + 200];

	(void)state;
	scratch_folder(folder);
	snprintf(text, sizeof(text),
		 BACKEND "file,id=m,size=256M,mem-path=%s,share=on", folder);
	assert_passes(text);
	assert_passes(BACKEND "file,id=m,size=256M,mem-path=/dev/shm/web1");
	assert_passes(BACKEND "file,id=m,size=256M,mem-path=/srv/m,share=on,"
			      "readonly=on");
	assert_passes(BACKEND "file,id=m,size=256M,mem-path=${dir}/m,share=on");
	assert_passes(BACKEND "memfd,id=m,size=256M,share=on");
}

static void a_socket_that_both_would_make_is_refused(void **state)
{
	(void)state;
	assert_blamed("-chardev socket,id=c,path=/run/c,server=on,wait=off",
		      "-chardev has QEMU listen at /run/c");
	assert_blamed("-chardev socket,id=c,path=c,server,nowait", " c: ");
	assert_blamed("-serial unix:/run/c,server=on,wait=off", "/run/c");
	assert_blamed("-serial mon:unix:/run/c,server,nowait", "/run/c");
	assert_blamed("-qmp unix:/run/q,server=on", "-qmp");
	assert_blamed("-vnc unix:/run/vnc", "/run/vnc");
	assert_blamed("-spice unix=on,addr=/run/spice", "/run/spice");
	assert_blamed("-netdev stream,id=n,server=on,addr.type=unix,"
		      "addr.path=/run/n",
		      "/run/n");
	/* The first QEMU's folder by its name. */
	assert_blamed("-qmp unix:/run/drover/machines/web1/q,server=on", "q");
	assert_passes("-chardev socket,id=c,path=/run/c,server=off");
	assert_passes("-chardev socket,id=c,path=/run/c");
	assert_passes("-chardev socket,id=c,path=${dir}/c,server=on,wait=off");
	assert_passes("-monitor unix:${dir}/m,server=on,wait=off");
	assert_passes("-chardev socket,id=c,host=localhost,port=1,server=on");
	assert_passes("-serial chardev:c -monitor none -vnc :1");
	assert_passes("-netdev user,id=n");
}

static void a_file_that_both_would_begin_is_refused(void **state)
{
	(void)state;
	assert_blamed("-serial file:/var/log/c", "write to /var/log/c");
	assert_blamed("-chardev file,id=c,path=/var/log/c", "/var/log/c");
	assert_blamed("-chardev pty,id=c,logfile=/var/log/c", "/var/log/c");
	assert_passes("-chardev pty,id=c,logfile=/var/log/c,logappend=on");
	assert_passes("-chardev file,id=c,path=/var/log/c,append=on");
	assert_passes("-serial file:${dir}/c");
	assert_passes("-serial file:/dev/null");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_of_one_file_is_refused),
		cmocka_unit_test(memory_of_which_each_has_its_own_is_not),
		cmocka_unit_test(a_socket_that_both_would_make_is_refused),
		cmocka_unit_test(a_file_that_both_would_begin_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
