/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/definition.h"
#include "qemu/options.h"

static const char small[] = "[machine]\nname = web1\nmemory = 256M\n";

static struct definition parsed(const char *text)
{
	struct definition d;
	struct error e;

	if (definition_parse(&d, "web1", text, &e) < 0)
		fail_msg("%s", e.text);
	return d;
}

/* The command line, joined by blanks, and the definition gone. */
static char *command(const char *text, bool incoming)
{
	struct launch_options o = { .default_qemu = "/bin/qemu",
				    .run_dir = "/run/d",
				    .incoming = incoming };
	struct definition d = parsed(text);
	struct words argv;
	struct error e;
	char *all = calloc(1, 4096);

	if (definition_argv(&d, &o, &argv, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < argv.count; i++)
		strcat(strcat(all, i ? " " : ""), argv.at[i]);
	words_done(&argv);
	definition_done(&d);
	return all;
}

static void assert_refused(const char *lines, const char *expected)
{
	struct definition d;
	char text[1024];
	struct error e;

	snprintf(text, sizeof(text), "%s%s", small, lines);
	assert_int_equal(definition_parse(&d, "web1", text, &e), -EINVAL);
	assert_string_equal(e.text, expected);
}

#define DISKS \
	"disk root = path=/srv/a b.raw,format=raw,storage=local\n" \
	"disk data = path=/srv/c.qcow2,format=qcow2,bus=scsi," \
	"storage=shared\n" \
	"disk more = path=/srv/d.raw,format=raw,bus=scsi\n" \
	"disk mine = path=/srv/e.raw,format=raw,bus=none\n"

static void disks_become_nodes_and_devices(void **state)
{
	AUTO_FREE char *all =
		command("[machine]\nname = web1\nmemory = 256M\n"
			"arguments = -device ide-hd,drive=disk-mine\n" DISKS,
			false);
	const char *at = strstr(all, "-device");

	(void)state;
	assert_non_null(at);
	assert_string_equal(
		at,
		"-device ide-hd,drive=disk-mine "
		"-blockdev driver=raw,node-name=disk-root,discard=unmap,"
		"file.driver=file,file.filename=/srv/a b.raw,"
		"file.discard=unmap "
		"-device virtio-blk-pci,drive=disk-root,id=disk-root "
		"-device virtio-scsi-pci,id=disk-scsi "
		"-blockdev driver=qcow2,node-name=disk-data,discard=unmap,"
		"file.driver=file,file.filename=/srv/c.qcow2,"
		"file.discard=unmap "
		"-device scsi-hd,bus=disk-scsi.0,drive=disk-data,id=disk-data "
		"-blockdev driver=raw,node-name=disk-more,discard=unmap,"
		"file.driver=file,file.filename=/srv/d.raw,file.discard=unmap "
		"-device scsi-hd,bus=disk-scsi.0,drive=disk-more,id=disk-more "
		"-blockdev driver=raw,node-name=disk-mine,discard=unmap,"
		"file.driver=file,file.filename=/srv/e.raw,file.discard=unmap "
		"-display none");
}

/* A peer that does not know the key starts the same QEMU. */
static void disks_survive_being_written(void **state)
{
	struct definition d =
		parsed("[machine]\nname = web1\nmemory = 256M\n" DISKS);
	AUTO_FREE char *text = definition_text(&d);
	AUTO_FREE char *for_peers = definition_text_for_peers(&d);
	AUTO_FREE char *there = command(for_peers, false);
	AUTO_FREE char *here = command(text, false);
	struct definition again = parsed(text);

	(void)state;
	assert_string_equal(here, there);
	assert_null(strstr(for_peers, "\ndisk "));
	assert_int_equal(again.disks.count, 4);
	assert_int_equal(again.disks.at[1].storage, DISK_ON_ALL);
	assert_true(definition_says_shared(&again, "/srv/c.qcow2"));
	assert_false(definition_says_shared(&again, "/srv/a b.raw"));
	assert_true(definition_starts_as(&d, &again));
	/* Where it lies changes nothing of how it is started. */
	again.disks.at[0].storage = DISK_ON_ALL;
	assert_true(definition_starts_as(&d, &again));
	again.disks.at[0].bus = DISK_SATA;
	assert_false(definition_starts_as(&d, &again));
	definition_done(&again);
	definition_done(&d);
}

static void disks_that_are_wrong_are_refused(void **state)
{
	(void)state;
	assert_refused("disk a = path=/x\n",
		       "web1:4:10: disk a has no format: write "
		       "path=/srv/a.raw,format=raw");
	assert_refused("disk a = format=raw\n",
		       "web1:4:10: disk a has no path: write "
		       "path=/srv/a.raw,format=raw");
	assert_refused("disk a = path=x,format=raw\n",
		       "web1:4:10: 'path' must be a path that starts "
		       "with '/'");
	assert_refused("disk a = path=/x,format=vmdk\n",
		       "web1:4:10: format=vmdk: write one of raw, qcow2");
	assert_refused("disk a = path=/x,format=raw,storage=\n",
		       "web1:4:10: storage=: write one of shared, local");
	assert_refused("disk a = path=/x,format=raw,cache=none\n",
		       "web1:4:10: 'cache': a disk has path=, format=, "
		       "bus= and storage=");
	assert_refused("disk a = path=/${dir}/x,format=raw\n",
		       "web1:4:10: '/${dir}/x': nothing is filled in for "
		       "${ in the path of a disk");
	assert_refused("disk a = path=/x,format=raw\n"
		       "disk b = path=/x,format=raw\n",
		       "web1:5:10: disk b (/x) is there twice");
	assert_refused("disk a-name-that-is-far-too-long = "
		       "path=/x,format=raw\n",
		       "web1:4:36: 'a-name-that-is-far-too-long' is no "
		       "name of a disk: use letters, digits, '-', '_' and '.', "
		       "at most 23");
}

static void a_small_definition_has_sensible_defaults(void **state)
{
	struct definition d = parsed(small);

	(void)state;
	assert_string_equal(d.name, "web1");
	assert_int_equal(d.memory_bytes, 256 << 20);
	assert_int_equal(d.vcpus, 1);
	assert_string_equal(d.machine, "q35");
	assert_string_equal(d.accelerator, "kvm:tcg");
	assert_string_equal(d.memory_id, "pc.ram");
	assert_string_equal(d.directory, "/");
	assert_null(d.cpu);
	assert_null(d.qemu);
	assert_int_equal(d.arguments.count, 0);
	definition_done(&d);
}

static void the_command_line_has_own_memory_and_a_monitor(void **state)
{
	char *all = command(small, false);

	(void)state;
	assert_string_equal(
		all,
		"/bin/qemu -name web1 -machine q35,memory-backend=pc.ram "
		"-accel kvm -accel tcg -smp 1 -m size=262144K "
		"-object memory-backend-ram,id=pc.ram,size=268435456,"
		"share=off,x-use-canonical-path-for-ramblock-id=off "
		"-chardev socket,id=drover-qmp,path=/run/d/qmp.sock,server=on,"
		"wait=off -mon chardev=drover-qmp,mode=control -display none");
	free(all);
	all = command(small, true);
	assert_non_null(strstr(all, " -S -incoming defer "));
	assert_non_null(strstr(all, "-object memory-backend-ram,id=pc.ram,"
				    "size=268435456,share=off,"));
	free(all);
}

static void memory_is_shared_where_the_definition_says_so(void **state)
{
	static const char text[] = "[machine]\nname = web1\n"
				   "memory = 256M,share=on,slots=2,maxmem=1G\n";
	struct definition d = parsed(text);
	char *all = command(text, false), *own = definition_text(&d),
	     *theirs = definition_text_for_peers(&d);

	(void)state;
	assert_non_null(strstr(all, "-m size=262144K,slots=2,maxmem=1G "));
	assert_non_null(strstr(all, "memory-backend-memfd,id=pc.ram,"
				    "size=268435456,share=on,"));
	assert_true(d.shared_memory);
	assert_non_null(
		strstr(own, "memory = 256M,slots=2,maxmem=1G,share=on\n"));
	assert_null(strstr(theirs, "share"));
	free(all);
	free(own);
	free(theirs);
	definition_done(&d);
}

static void the_kind_of_memory_is_kept_and_not_told_to_older_peers(void **state)
{
	struct definition d;
	char text[256], *all, *own, *theirs;

	(void)state;
	snprintf(text, sizeof(text), "%smemory-kind = file\n", small);
	d = parsed(text);
	all = command(text, false);
	own = definition_text(&d);
	theirs = definition_text_for_peers(&d);
	assert_non_null(strstr(all, "memory-backend-memfd,id=pc.ram,"));
	assert_non_null(strstr(own, "\nmemory-kind = file\n"));
	assert_null(strstr(theirs, "memory-kind"));
	free(all);
	free(own);
	free(theirs);
	definition_done(&d);
	d = parsed(small);
	own = definition_text(&d);
	assert_null(strstr(own, "memory-kind"));
	free(own);
	definition_done(&d);
	assert_refused("memory-kind = shared\n",
		       "web1:4:15: 'shared' is no kind of memory: write auto, "
		       "private or file");
	assert_refused("memory-kind = private\nhuge-pages = 2M\n",
		       "web1:1:1: memory-kind is private, and huge-pages asks "
		       "for a file: leave one of them out");
}

static void huge_pages_are_a_word_or_a_size(void **state)
{
	static const struct {
		const char *value;
		enum huge_pages_wanted wanted;
		uint64_t bytes;
		bool shown, to_peers;
	} all[] = {
		{ "auto", HUGE_PAGES_AUTO, 0, false, false },
		{ "off", HUGE_PAGES_OFF, 0, true, false },
		{ "thp", HUGE_PAGES_THP, 0, true, false },
		{ "2M", HUGE_PAGES_SIZE, 2 << 20, true, true },
		{ "1G", HUGE_PAGES_SIZE, 1 << 30, true, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char text[256], line[64];
		struct definition d;
		char *own, *theirs;

		snprintf(line, sizeof(line), "huge-pages = %s\n", all[i].value);
		snprintf(text, sizeof(text),
			 "[machine]\nname = web1\nmemory = 2G\n%s", line);
		d = parsed(text);
		assert_int_equal(d.huge_pages, all[i].wanted);
		assert_int_equal(d.huge_page_bytes, all[i].bytes);
		own = definition_text(&d);
		theirs = definition_text_for_peers(&d);
		assert_int_equal(strstr(own, line) != NULL, all[i].shown);
		assert_int_equal(strstr(theirs, line) != NULL, all[i].to_peers);
		free(own);
		free(theirs);
		definition_done(&d);
	}
}

static void a_file_of_drovers_is_handed_over(void **state)
{
	const struct launch_options o = { .default_qemu = "/bin/qemu",
					  .run_dir = "/run/d",
					  .memory_fd = 17 };
	char text[256];
	struct definition d;
	struct words argv;
	struct error e;

	(void)state;
	snprintf(text, sizeof(text), "%smemory-kind = file\n", small);
	d = parsed(text);
	assert_true(definition_has_ram_file(&d));
	assert_int_equal(definition_argv(&d, &o, &argv, &e), 0);
	assert_true(words_have(&argv,
			       "memory-backend-file,id=pc.ram,size=268435456,"
			       "share=on,"
			       "x-use-canonical-path-for-ramblock-id=off,"
			       "mem-path=/proc/self/fd/17,align=2M"));
	words_done(&argv);
	definition_done(&d);
}

static void a_space_in_the_options_of_the_memory_is_refused(void **state)
{
	struct definition d;
	struct error e;

	(void)state;
	assert_int_equal(definition_parse(&d, "web1",
					  "[machine]\nname = web1\n"
					  "memory = 4G,slots=2 ,share=off\n",
					  &e),
			 -EINVAL);
	assert_string_equal(e.text, "web1:3:10: the options of the memory have "
				    "a space in them: write them as in "
				    "4G,share=on");
	assert_int_equal(definition_parse(&d, "web1",
					  "[machine]\nname = web1\n"
					  "memory = 4G,m,\r,share=on\n",
					  &e),
			 -EINVAL);
}

static void long_options_of_the_memory_are_written_whole(void **state)
{
	char text[512] = "[machine]\nname = web1\nmemory = 256M,", *again;
	struct definition d;

	(void)state;
	memset(text + strlen(text), 'x', 300);
	strcat(text, "=1\n");
	d = parsed(text);
	again = definition_text(&d);
	assert_non_null(strstr(again, strstr(text, "memory = ")));
	free(again);
	definition_done(&d);
}

static void arguments_know_their_folder_and_name(void **state)
{
	char *all = command("[machine]\nname = web1\nmemory = 256M\nhuge-pages "
			    "= 2M\n"
			    "cpu = max\naccelerator = tcg\n"
			    "arguments = -nographic -kernel ${dir}/k\n"
			    "    -append \"x ; ${name} $${dir}\"   ; comment\n",
			    false);

	(void)state;
	assert_non_null(strstr(all, "hugetlb=on,hugetlbsize=2097152"));
	assert_non_null(strstr(all, " -accel tcg -cpu max "));
	assert_non_null(
		strstr(all,
		       " -nographic -kernel /run/d/k -append x ; web1 ${dir}"));
	assert_null(strstr(all, "-display"));
	free(all);
}

static void commas_in_the_run_directory_are_doubled(void **state)
{
	struct launch_options o = { "/bin/qemu", "/run/a,b", false, 0 };
	struct definition d = parsed(small);
	struct words argv;
	struct error e;
	bool seen = false;

	(void)state;
	assert_int_equal(definition_argv(&d, &o, &argv, &e), 0);
	for (size_t i = 0; i < argv.count; i++)
		seen |= strstr(argv.at[i], "path=/run/a,,b/qmp.sock") != NULL;
	assert_true(seen);
	words_done(&argv);
	definition_done(&d);
}

static void a_guest_with_numa_nodes_keeps_its_backends(void **state)
{
	char *all =
		command("[machine]\nname = web1\nmemory = 256M\narguments = "
			"-object memory-backend-memfd,id=n0,size=256M,share=on "
			"-numa node,memdev=n0\n",
			false);

	(void)state;
	assert_null(strstr(all, "memory-backend="));
	assert_null(strstr(all, "id=pc.ram"));
	free(all);
}

static void what_drover_sets_itself_is_refused_with_the_key(void **state)
{
	(void)state;
	assert_refused("arguments = -nodefaults -m 4G\n",
		       "web1:4:13: -m is Drover's to set: use the key "
		       "'memory'");
	assert_refused("arguments = -incoming tcp:0:1\n",
		       "web1:4:13: -incoming is Drover's to set: leave it out");
	assert_refused("arguments = -nodefaults\n    --smp 4\n",
		       "web1:5:5: -smp is Drover's to set: use the key "
		       "'vcpus'");
	assert_refused("arguments = -nodefaults -S\n",
		       "web1:4:13: -S is Drover's to set: leave it out");
	assert_refused("machine = q35,memory-backend=x\n",
		       "web1:1:1: memory-backend is Drover's to set: use the "
		       "key 'memory-id'");
	assert_refused("arguments = -object memory-backend-ram,id=pc.ram\n",
		       "web1:1:1: arguments: -object with id=pc.ram is the "
		       "machine's memory, which is Drover's to make: use the "
		       "keys 'memory', 'memory-id' and 'huge-pages'");
}

static void values_of_options_are_no_options(void **state)
{
	struct definition d = parsed("[machine]\nname = a\nmemory = 64M\n"
				     "arguments = -append -S -kernel\n"
				     "arguments = -m\n");

	(void)state;
	assert_int_equal(d.arguments.count, 4);
	definition_done(&d);
}

static void drovers_monitor_stays_its_own(void **state)
{
	struct launch_options o = { "/bin/qemu", "/run/d", false, 0 };
	struct definition d =
		parsed("[machine]\nname = a\nmemory = 64M\n"
		       "arguments = -qmp unix:${dir}/qmp.sock,server=on\n");
	struct words argv;
	struct error e;

	(void)state;
	assert_int_equal(definition_argv(&d, &o, &argv, &e), -EINVAL);
	assert_string_equal(e.text, "-qmp: /run/d/qmp.sock is Drover's "
				    "monitor: use another path");
	definition_done(&d);
}

static void wrong_values_are_explained(void **state)
{
	(void)state;
	assert_refused("vcpus = 0\n",
		       "web1:4:9: '0' is not a number from 1 to 4096");
	assert_refused("memory-id = a,b\n",
		       "web1:4:13: 'a,b' is not an id for QEMU: use letters, "
		       "digits, '-', '.' and '_', a letter first");
	assert_refused("directory = here\n",
		       "web1:4:13: 'directory' must be a path that starts "
		       "with '/'");
	assert_refused("huge-pages = 3M\n", "web1:4:14: '3M' is not a size of "
					    "huge pages: write 2M or 1G, or "
					    "auto, off or thp");
	assert_refused("arguments = -append \"x\n",
		       "web1:4:13: a quote is not closed");
	assert_refused("cpus = 2\n",
		       "web1:4:1: [machine] has no key 'cpus'; did you mean "
		       "'vcpus'?");
}

static void a_definition_needs_name_and_memory(void **state)
{
	struct definition d;
	struct error e;

	(void)state;
	assert_int_equal(definition_parse(&d, "x", "[machine]\nname=a\n", &e),
			 -EINVAL);
	assert_string_equal(e.text,
			    "x:1:1: the key 'memory' is missing in [machine]");
	assert_int_equal(definition_parse(&d, "x", "[machine]\nmemory=4G\n",
					  &e),
			 -EINVAL);
	assert_string_equal(e.text,
			    "x:1:1: the key 'name' is missing in [machine]");
}

static void text_reads_back_as_the_same_definition(void **state)
{
	static const char *const texts[] = {
		small,
		"[machine]\nname = b\nmemory = 8256K,slots=2,maxmem=8G\n"
		"vcpus = 4,sockets=2\nhuge-pages = 64K\ncpu = max,-x\nqemu = "
		"/opt/a b/qemu\n"
		"memory-id = ram0\n",
		"[machine]\nname = c\nmemory = 4G\nmemory-id = ram0\n"
		"arguments = -append 'it'\\''s ; \"all\"' \"\" ;x\n"
		"    -device a,b=c,,d -x\n",
		"[machine]\nname = c\nmemory = 1T\narguments = \\;a '#b'\n"
		"arguments = -append \"a 'b' ; c\" -kernel\n",
	};
	struct definition d, again;
	char *text, *second;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		d = parsed(texts[i]);
		text = definition_text(&d);
		again = parsed(text);
		second = definition_text(&again);
		assert_string_equal(text, second);
		assert_int_equal(d.memory_bytes, again.memory_bytes);
		assert_int_equal(d.arguments.count, again.arguments.count);
		for (size_t j = 0; j < d.arguments.count; j++)
			assert_string_equal(d.arguments.at[j],
					    again.arguments.at[j]);
		free(text);
		free(second);
		definition_done(&d);
		definition_done(&again);
	}
}

#define UUID "123e4567-e89b-42d3-a456-426614174000"

static void a_uuid_is_given_to_qemu(void **state)
{
	static const char *const spellings[] = {
		"[machine]\nname = web1\nmemory = 256M\nuuid = " UUID "\n",
		"[machine]\nname = web1\nmemory = 256M\n"
		"arguments = -nodefaults --uuid "
		"123E4567-E89B-42D3-A456-426614174000 -no-reboot\n",
	};
	char *all;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		struct definition d = parsed(spellings[i]);

		assert_string_equal(d.uuid, UUID);
		assert_int_equal(d.arguments.count, i * 2);
		definition_done(&d);
		all = command(spellings[i], false);
		assert_non_null(strstr(all, "-name web1 -uuid " UUID " "));
		assert_null(strstr(strstr(all, "-uuid") + 2, "uuid"));
		free(all);
	}
}

static void qemus_smbios_may_have_the_uuid(void **state)
{
	struct definition d =
		parsed("[machine]\nname = web1\nmemory = 256M\n"
		       "arguments = -smbios type=1,uuid=" UUID "\n");

	(void)state;
	assert_string_equal(d.uuid, UUID);
	assert_int_equal(d.arguments.count, 2);
	definition_done(&d);
}

static void one_of_zeros_is_none(void **state)
{
	struct definition d =
		parsed("[machine]\nname = web1\nmemory = 256M\narguments = "
		       "-uuid 00000000-0000-0000-0000-000000000000\n");

	(void)state;
	assert_null(d.uuid);
	assert_int_equal(d.arguments.count, 0);
	definition_done(&d);
}

static void a_wrong_uuid_is_explained(void **state)
{
	(void)state;
	assert_refused("uuid = 1234\n",
		       "web1:4:8: '1234' is not a uuid: write it as "
		       "123e4567-e89b-42d3-a456-426614174000");
	assert_refused("uuid = " UUID "0\n",
		       "web1:4:8: '" UUID "0' is not a uuid: write it as "
		       "123e4567-e89b-42d3-a456-426614174000");
	assert_refused("uuid = 00000000-0000-0000-0000-000000000000\n",
		       "web1:4:8: a uuid of zeros names no machine: leave it "
		       "out, and one is made");
	assert_refused("uuid = " UUID "\narguments = -uuid "
		       "123e4567-e89b-42d3-a456-426614174001\n",
		       "web1:1:1: arguments: -uuid is "
		       "123e4567-e89b-42d3-a456-426614174001 and the key "
		       "'uuid' "
		       "is " UUID ": leave one of them out");
}

/* They have no key for it, and refuse a key that they do not know. */
static void peers_of_before_get_the_uuid_as_an_argument(void **state)
{
	struct definition d =
		parsed("[machine]\nname = web1\nmemory = 256M\n"
		       "uuid = " UUID "\narguments = -no-reboot\n");
	char *text = definition_text_for_peers(&d), *own;
	struct definition again = parsed(text);

	(void)state;
	assert_null(strstr(text, "uuid ="));
	assert_non_null(strstr(text, "\narguments = -uuid " UUID "\n"));
	assert_string_equal(again.uuid, UUID);
	own = definition_text(&again);
	assert_non_null(strstr(own, "\nuuid = " UUID "\n"));
	free(text);
	free(own);
	definition_done(&d);
	definition_done(&again);
}

static void what_is_no_utf_8_is_refused(void **state)
{
	static const char *const wrong[] = {
		"\xff",
		"\xe9 ",
		"\xc0\xaf",     /* longer than it has to be */
		"\xed\xa0\x80", /* half of a pair */
		"\xf4\x90\x80\x80",
		"\xe2\x82", /* cut off */
	};
	struct definition d;
	char lines[64], says[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(lines, sizeof(lines), "arguments = x%s", wrong[i]);
		snprintf(says, sizeof(says),
			 "web1:4:14: the byte 0x%02x is not UTF-8: save the "
			 "file in that encoding",
			 (unsigned char)wrong[i][0]);
		assert_refused(lines, says);
	}
	d = parsed("[machine]\nname = web1\nmemory = 256M\narguments = "
		   "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7\n");
	assert_int_equal(d.arguments.count, 1);
	definition_done(&d);
}

static void properties_are_read_in_both_syntaxes(void **state)
{
	json_t *p = option_properties("socket,path=/a,,b,server,nowait,c=d",
				      "backend");
	char buf[32];

	(void)state;
	assert_string_equal(option_text(p, "backend", buf, 32), "socket");
	assert_string_equal(option_text(p, "path", buf, 32), "/a,b");
	assert_true(option_is_on(p, "server", false));
	assert_false(option_is_on(p, "wait", true));
	assert_true(option_is_on(p, "absent", true));
	json_decref(p);
	p = option_properties("{\"qom-type\":\"x\",\"size\":4096,"
			      "\"share\":true}",
			      "qom-type");
	assert_string_equal(option_text(p, "size", buf, 32), "4096");
	assert_true(option_is_on(p, "share", false));
	json_decref(p);
	assert_null(option_properties("{broken", "x"));
}

static void sizes_follow_qemus_rules(void **state)
{
	(void)state;
	assert_int_equal(option_bytes("4G", 1 << 20), 4ULL << 30);
	assert_int_equal(option_bytes("512", 1 << 20), 512 << 20);
	assert_int_equal(option_bytes("1.5g", 1), 3ULL << 29);
	assert_int_equal(option_bytes("x", 1), 0);
	assert_int_equal(option_bytes("4Gx", 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disks_become_nodes_and_devices),
		cmocka_unit_test(disks_survive_being_written),
		cmocka_unit_test(disks_that_are_wrong_are_refused),
		cmocka_unit_test(a_small_definition_has_sensible_defaults),
		cmocka_unit_test(the_command_line_has_own_memory_and_a_monitor),
		cmocka_unit_test(memory_is_shared_where_the_definition_says_so),
		cmocka_unit_test(
			the_kind_of_memory_is_kept_and_not_told_to_older_peers),
		cmocka_unit_test(
			a_space_in_the_options_of_the_memory_is_refused),
		cmocka_unit_test(huge_pages_are_a_word_or_a_size),
		cmocka_unit_test(a_file_of_drovers_is_handed_over),
		cmocka_unit_test(long_options_of_the_memory_are_written_whole),
		cmocka_unit_test(arguments_know_their_folder_and_name),
		cmocka_unit_test(commas_in_the_run_directory_are_doubled),
		cmocka_unit_test(a_guest_with_numa_nodes_keeps_its_backends),
		cmocka_unit_test(
			what_drover_sets_itself_is_refused_with_the_key),
		cmocka_unit_test(values_of_options_are_no_options),
		cmocka_unit_test(drovers_monitor_stays_its_own),
		cmocka_unit_test(wrong_values_are_explained),
		cmocka_unit_test(a_definition_needs_name_and_memory),
		cmocka_unit_test(text_reads_back_as_the_same_definition),
		cmocka_unit_test(a_uuid_is_given_to_qemu),
		cmocka_unit_test(qemus_smbios_may_have_the_uuid),
		cmocka_unit_test(one_of_zeros_is_none),
		cmocka_unit_test(a_wrong_uuid_is_explained),
		cmocka_unit_test(peers_of_before_get_the_uuid_as_an_argument),
		cmocka_unit_test(what_is_no_utf_8_is_refused),
		cmocka_unit_test(properties_are_read_in_both_syntaxes),
		cmocka_unit_test(sizes_follow_qemus_rules),
	};

	return cmocka_run_group_tests_name("definition", tests, NULL, NULL);
}
