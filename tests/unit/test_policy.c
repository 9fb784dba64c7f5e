/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "policy_rows.h"
#include "qemu/definition.h"
#include "qemu/policy.h"
#include "qemu/tap.h"
#include "scratch.h"

/* A host with links in its image directories. */
static int leads_to(void *unused, const char *path, char *ret, size_t cap)
{
	static const char *const links[][2] = {
		{ "/srv/link.img", "/etc/shadow" },
		{ "/srv/other.img", "/var/lib/drover/images/other.img" },
		{ "/dev/vg0/web1", "/dev/dm-3" },
		{ "/dev/vg0/away", "/etc/shadow" },
		{ "/srv/disk.img", "/dev/sda" },
		{ "/pool", "/tank/pool" },
		{ "/pool/web1.img", "/tank/pool/web1.img" },
		{ "/pool/away.img", "/tank/away.img" },
	};

	(void)unused;
	if (!strcmp(path, "/srv/loop.img"))
		return -ELOOP;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (!strcmp(path, links[i][0]))
			path = links[i][1];
	snprintf(ret, cap, "%s", path);
	return 0;
}

/* Images by their paths: how they begin. */
static int begins_with(void *unused, const char *path, void *buf, size_t cap)
{
#define QCOW(version, offset, size) \
	"QFI\xfb\0\0\0" version "\0\0\0\0\0\0\0" offset "\0\0\0" size
	static const char on_shadow[] = QCOW("\1", "\x18", "\xb") "\0\0\0\0"
								  "/etc/shadow";
	static const char on_base[] = QCOW("\2", "\x14", "\4") "base";
	static const char on_json[] = QCOW("\2", "\x14", "\x7") "json:{}";
	static const char on_itself[] = QCOW("\2", "\x14", "\x6") "itself";
	static const char far_away[] = QCOW("\2", "\x7f", "\x6");
	static const char short_one[] = QCOW("\3", "\0", "\0");
	static const char description[] = "# Disk DescriptorFile\n";
	static const struct {
		const char *path, *bytes;
		size_t len;
	} images[] = {
		{ "/srv/on-shadow", on_shadow, sizeof(on_shadow) - 1 },
		{ "/srv/on-base", on_base, sizeof(on_base) - 1 },
		{ "/srv/below/on-base", on_base, sizeof(on_base) - 1 },
		{ "/srv/below/base", on_shadow, sizeof(on_shadow) - 1 },
		{ "/srv/on-json", on_json, sizeof(on_json) - 1 },
		{ "/srv/itself", on_itself, sizeof(on_itself) - 1 },
		{ "/srv/far-away", far_away, sizeof(far_away) - 1 },
		{ "/srv/short", short_one, sizeof(short_one) - 1 },
		{ "/srv/text", description, sizeof(description) - 1 },
	};

	(void)unused;
	if (!strcmp(path, "/srv/unreadable"))
		return -EIO;
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		if (strcmp(path, images[i].path) != 0)
			continue;
		assert_true(images[i].len <= cap);
		memcpy(buf, images[i].bytes, images[i].len);
		return (int)images[i].len;
	}
	return -ENOENT;
}

/* What is said of @d, a line each; on the heap. */
static char *said_of(const struct definition *d, const char *directories)
{
	static char program[] = "/usr/bin/qemu-system-x86_64";
	static char *programs[] = { program, NULL };
	struct words images = { 0 }, blame = { 0 };
	static struct bridge lan = { .name = "lan" };
	static void *joined[] = { &lan };
	const struct ini_list bridges = { joined, 1 };
	const struct words known = { programs, 1 };
	const struct policy p = { .programs = &known,
				  .image_directories = &images,
				  .run_dir = "/run/drover/web1",
				  .bridges = &bridges,
				  .real_path = leads_to,
				  .read_head = begins_with };
	char *all = calloc(1, 65536);
	struct error e;

	assert_int_equal(words_split(&images, directories, &e), 0);
	if (policy_check(&p, d, &blame, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < blame.count; i++)
		strcat(strcat(all, i ? "\n" : ""), blame.at[i]);
	words_done(&images);
	words_done(&blame);
	return all;
}

static char *said_below(const char *arguments, const char *directories)
{
	static char name[] = "web1";
	struct definition d = { .name = name };
	struct error e;
	char *all;

	if (words_split(&d.arguments, arguments, &e) < 0)
		fail_msg("%s: %s", arguments, e.text);
	all = said_of(&d, directories);
	words_done(&d.arguments);
	return all;
}

static char *said(const char *arguments)
{
	char text[1024];

	snprintf(text, sizeof(text), "-nodefaults %s", arguments);
	return said_below(text, "/srv /var/lib/drover/images");
}

static void what_stays_inside_is_allowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		char *all = said(allowed[i]);

		if (all[0])
			fail_msg("%s: %s", allowed[i], all);
		free(all);
	}
}

static void what_reaches_the_host_is_refused_in_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		char *all = said(refused[i].arguments);

		if (strcmp(all, refused[i].blame) != 0)
			fail_msg("%s:\n%s\nbut expected:\n%s",
				 refused[i].arguments, all, refused[i].blame);
		free(all);
	}
}

static void assert_said(char *all, const char *expected)
{
	assert_string_equal(all, expected);
	free(all);
}

static void links_are_followed(void **state)
{
	(void)state;
	assert_said(said("-hda /srv/other.img"), "");
	assert_said(said("-hda /srv/link.img"),
		    "-hda /srv/link.img: it leads to /etc/shadow, which lies "
		    "outside of the folders for images: move that there");
	/* The folder itself may be a link. */
	assert_said(said_below("-nodefaults /pool/web1.img", "/pool"), "");
	assert_said(said_below("-nodefaults /pool/away.img", "/pool"),
		    "the word /pool/away.img: it leads to /tank/away.img, "
		    "which lies outside of the folders for images: move that "
		    "there");
}

static void volumes_are_links_to_other_folders_of_devices(void **state)
{
	(void)state;
	assert_said(said_below("-nodefaults /dev/vg0/web1", "/dev/vg0"), "");
	assert_said(said_below("-nodefaults /dev/vg0/away", "/srv /dev/vg0"),
		    "the word /dev/vg0/away: it leads to /etc/shadow, which "
		    "lies outside of the folders for images: move that there");
	assert_said(said_below("-nodefaults /srv/disk.img", "/srv /dev/vg0"),
		    "the word /srv/disk.img: it leads to /dev/sda, which lies "
		    "outside of the folders for images: move that there");
}

static void images_may_name_images_alone(void **state)
{
#define ALONE ": make an image of it that stands alone, by qemu-img convert"
#define GUESSED \
	"QEMU would take it for a format that may name other files: write " \
	"-drive with format=raw, or make a qcow2 of it by qemu-img convert"
	static const struct row rows[] = {
		{ "-hda /srv/on-base", "" },
		{ "-drive file=/srv/on-base,format=qcow2", "" },
		{ "-drive file=/srv/on-shadow,format=raw", "" },
		{ "-drive file=/srv/text,format=raw", "" },
		{ "-hda /srv/text", "-hda /srv/text: " GUESSED },
		{ "-drive file=/srv/text", "-drive file=/srv/text: " GUESSED },
		{ "-drive driver=throttle,throttle-group=t,file.filename="
		  "/srv/text",
		  "-drive file.filename=/srv/text: " GUESSED },
		{ "-drive driver=copy-on-read,file.filename=/srv/text",
		  "-drive file.filename=/srv/text: " GUESSED },
		{ "-drive file=/srv/a,format=qcow2,backing.file.filename="
		  "/srv/text",
		  "-drive backing.file.filename=/srv/text: " GUESSED },
		{ "-drive file=/srv/on-shadow,format=qcow2",
		  "-drive file=/srv/on-shadow (on /etc/shadow): " OUTSIDE },
		{ "-drive file=/srv/on-shadow,format=raw,format=qcow2",
		  "-drive file=/srv/on-shadow (on /etc/shadow): " OUTSIDE },
		{ "/srv/on-shadow",
		  "the word /srv/on-shadow (on /etc/shadow): " OUTSIDE },
		{ "-cdrom /srv/below/on-base",
		  "-cdrom /srv/below/on-base (on /etc/shadow): " OUTSIDE },
		{ "-blockdev '{\"driver\":\"raw\",\"file\":{\"driver\":"
		  "\"qcow2\",\"file\":{\"driver\":\"file\","
		  "\"filename\":\"/srv/on-shadow\"}}}'",
		  "-blockdev file.file.filename=/srv/on-shadow (on "
		  "/etc/shadow): " OUTSIDE },
		{ "-hda /srv/on-json",
		  "-hda /srv/on-json (on json:{}): its backing file is none of "
		  "this host's" ALONE },
		{ "-hda /srv/itself", "-hda /srv/itself: there are more than "
				      "16 images below it" },
		{ "-hda /srv/far-away",
		  "-hda /srv/far-away: the name of its backing file cannot be "
		  "read" ALONE },
		{ "-hda /srv/short",
		  "-hda /srv/short: its header is cut off" ALONE },
		{ "-hda /srv/unreadable",
		  "-hda /srv/unreadable: it cannot be read: Input/output "
		  "error" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_said(said(rows[i].arguments), rows[i].blame);
}

/* What qemu-img makes in @dir is looked into as it lies there. */
static void assert_made(const char *dir, const char *made, const char *expected)
{
	const struct words none = { 0 };
	struct words images = { 0 }, blame = { 0 };
	const struct policy p = { .programs = &none,
				  .image_directories = &images,
				  .run_dir = "/run/x",
				  .real_path = policy_real_path,
				  .read_head = policy_read_head };
	static char name[] = "web1";
	struct definition d = { .name = name };
	char command[256], sentence[512];
	struct error e;

	snprintf(command, sizeof(command),
		 "cd %s && rm -f disk && qemu-img create -q %s", dir, made);
	assert_int_equal(system(command), 0);
	assert_int_equal(words_add(&images, dir, &e), 0);
	assert_int_equal(words_add(&d.arguments, "-nodefaults", &e), 0);
	assert_int_equal(words_addf(&d.arguments, &e, "%s/disk", dir), 0);
	assert_int_equal(policy_check(&p, &d, &blame, &e), 0);
	if (expected)
		snprintf(sentence, sizeof(sentence), "the word %s/disk%s", dir,
			 expected);
	else
		sentence[0] = '\0';
	assert_string_equal(blame.count ? blame.at[0] : "", sentence);
	words_done(&images);
	words_done(&blame);
	words_done(&d.arguments);
}

static void images_that_qemu_makes_are_understood(void **state)
{
	char dir[SCRATCH_CAP], outside[256];

	(void)state;
	if (system("qemu-img --version >/dev/null 2>&1") != 0) {
		print_message("no qemu-img is installed: skipped\n");
		skip();
	}
	scratch_folder(dir);
	assert_made(dir, "-f raw base 1M", NULL);
	assert_made(dir, "-f raw disk 1M", NULL);
	assert_made(dir, "-f qcow2 disk 1M", NULL);
	assert_made(dir, "-f qcow2 -b base -F raw disk", NULL);
	snprintf(outside, sizeof(outside),
		 " (on /etc/passwd): it lies outside of the folders for images "
		 "(%s): move it there, or add its folder to image-directories",
		 dir);
	assert_made(dir, "-f qcow2 -b /etc/passwd -F raw disk", outside);
	assert_made(dir, "-f qcow2 -o data_file=elsewhere disk 1M",
		    ": its data is in another file, which it names" ALONE);
	assert_made(dir, "-f vmdk disk 1M", ": " GUESSED);
	assert_made(dir, "-f vmdk -o subformat=monolithicFlat disk 1M",
		    ": " GUESSED);
	assert_made(dir, "-f vdi disk 1M", ": " GUESSED);
	assert_made(dir, "-f vhdx disk 1M", ": " GUESSED);
	assert_made(dir, "-f vpc disk 1M", ": " GUESSED);
	assert_made(dir, "-f qed disk 1M", ": " GUESSED);
	assert_made(dir, "-f parallels disk 1M", ": " GUESSED);
}

/* To open a pipe lets whoever waits at its other end go on; a tape rewinds. */
static void what_is_no_image_is_not_even_opened(void **state)
{
	char dir[SCRATCH_CAP], pipe[SCRATCH_CAP + 8], buf[512];
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	(void)state;
	scratch_folder(dir);
	snprintf(pipe, sizeof(pipe), "%s/pipe", dir);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_true(inotify_add_watch(watch, pipe, IN_OPEN) >= 0);
	assert_int_equal(policy_read_head(NULL, pipe, buf, sizeof(buf)),
			 -EINVAL);
	assert_int_equal(read(watch, buf, sizeof(buf)), -1);
	close(watch);
}

static void without_folders_for_images_there_are_none(void **state)
{
	(void)state;
	assert_said(said_below("-nodefaults /srv/a.img", ""),
		    "the word /srv/a.img: it lies outside of the folders for "
		    "images (there are none): move it there, or add its folder "
		    "to image-directories");
}

static void the_network_that_qemu_would_add_is_refused(void **state)
{
	static const char wrong[] =
		"arguments: no network is named, so QEMU adds one by which the "
		"guest reaches this host's loopback: add -nic none";

	(void)state;
	assert_said(said_below("", "/srv"), wrong);
	assert_said(said_below("-append -nodefaults", "/srv"), wrong);
	assert_said(said_below("-nic none", "/srv"), "");
	assert_said(said_below("-net none", "/srv"), "");
}

static struct definition parsed(const char *lines)
{
	struct definition d;
	char text[1024];
	struct error e;

	snprintf(text, sizeof(text),
		 "[machine]\nname = web1\n%s"
		 "arguments = -nodefaults\n%s",
		 strstr(lines, "memory") ? "" : "memory = 64M\n", lines);
	if (definition_parse(&d, "web1", text, &e) < 0)
		fail_msg("%s", e.text);
	return d;
}

static const struct row of_keys[] = {
	{ "", "" },
	{ "machine = pc-q35-7.2,usb=off,smm=on,hpet=off\n", "" },
	{ "qemu = /usr/bin/qemu-system-x86_64\n", "" },
	{ "cpu = host,-vmx,model-id=A B\n", "" },
	{ "vcpus = 4,sockets=1,cores=4\n", "" },
	{ "memory = 1G,slots=2,maxmem=4G\n", "" },
	{ "directory = /srv/web1\n", "" },
	{ "machine = q35,dumpdtb=/etc/x\n",
	  "machine dumpdtb=/etc/x: it writes a file on this host: "
	  "leave it out" },
	{ "machine = q35,firmware=/etc/shadow\n",
	  "machine firmware=/etc/shadow: " OUTSIDE },
	{ "machine = q35,kernel=/etc/shadow\n",
	  "machine kernel=/etc/shadow: " OUTSIDE },
	{ "machine = q35,sgx-epc.0.memdev=m\n",
	  "machine sgx-epc.*.memdev=m: the property "
	  "'sgx-epc.*.memdev' is not among those that are allowed: "
	  "leave it out" },
	{ "machine = x-remote\n",
	  "machine x-remote: it is no machine that can be moved: use "
	  "q35 or pc" },
	{ "machine = machine-of-later\n",
	  "machine machine-of-later: this machine type is not among "
	  "those that are allowed: use another one" },
	{ "accelerator = kvm:qtest\n",
	  "accelerator qtest: it is not for a machine that moves: use "
	  "kvm or tcg" },
	{ "accelerator = kvm,device=/dev/x\n",
	  "accelerator device=/dev/x: the property 'device' is not "
	  "among those that are allowed: leave it out" },
	{ "cpu = host,x=/etc/shadow\n",
	  "cpu host,x=/etc/shadow: no property of a processor has such "
	  "characters: write model,feature=on,..." },
	{ "qemu = /tmp/qemu\n",
	  "qemu /tmp/qemu: it is not among the QEMUs that this host "
	  "may start: leave the key out, or add it to drover.conf" },
	{ "disk a = path=/srv/a.qcow2,format=qcow2,bus=scsi\n"
	  "disk b = path=/srv/b.raw,format=raw,storage=local\n",
	  "" },
	{ "disk a = path=/etc/shadow,format=raw\n",
	  "-blockdev file.filename=/etc/shadow: " OUTSIDE },
	{ "nic web = bridge=lan\n", "" },
	{ "nic web = bridge=br0\n",
	  "nic br0: it is no bridge for machines of peers: add a "
	  "section [bridge br0] to drover.conf" },
	{ "nic web = bridge=lan,model=vfio-pci\n",
	  "nic vfio-pci: this model is not among those that are "
	  "allowed: use virtio-net-pci" },
	{ "directory = /etc\n", "directory /etc: " OUTSIDE },
	{ "memory = 1G,x=1\n",
	  "memory x=1: the property 'x' is not among those that are "
	  "allowed: leave it out" },
	{ "vcpus = 1,x=1\n",
	  "vcpus x=1: the property 'x' is not among those that are "
	  "allowed: leave it out" },
};

static void the_keys_are_judged_like_the_arguments(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(of_keys); i++) {
		struct definition d = parsed(of_keys[i].arguments);

		assert_said(said_of(&d, "/srv /var/lib/drover/images"),
			    of_keys[i].blame);
		definition_done(&d);
	}
}

static void a_word_that_is_no_text_is_refused(void **state)
{
	(void)state;
	assert_said(said("-append a\xff"),
		    "the word a?: it is no UTF-8: write it so");
	assert_said(said("-hda '/srv/a\nb'"),
		    "-hda /srv/a?b: there is a control character in it");
}

static void many_words_to_blame_do_not_fill_the_memory(void **state)
{
	char *all, *text = calloc(1, 65536);
	size_t lines = 1;

	(void)state;
	strcpy(text, "-nodefaults");
	for (int i = 0; i < 1000; i++)
		strcat(text, " -unheard-of");
	all = said_below(text, "/srv");
	for (const char *at = all; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 64);
	free(all);
	free(text);
}

static void the_real_path_of_a_file_that_is_still_to_come(void **state)
{
	char dir[SCRATCH_CAP], path[128], ret[PATH_MAX];

	(void)state;
	scratch_folder(dir);
	snprintf(path, sizeof(path), "%s/new", dir);
	assert_int_equal(policy_real_path(NULL, path, ret, sizeof(ret)), 0);
	assert_string_equal(ret, path);
	assert_int_equal(policy_real_path(NULL, path, ret, 4), -ENAMETOOLONG);
	/* What a link to nothing leads to is not known yet. */
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	assert_int_equal(policy_real_path(NULL, path, ret, sizeof(ret)),
			 -ENOENT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(policy_real_path(NULL, path, ret, sizeof(ret)), 0);
	assert_string_equal(ret, "/etc/passwd");
	unlink(path);
	rmdir(dir);
	assert_int_equal(policy_real_path(NULL, path, ret, sizeof(ret)),
			 -ENOENT);
	assert_int_equal(policy_real_path(NULL, "/new-file", ret, sizeof(ret)),
			 0);
	assert_string_equal(ret, "/new-file");
}
int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stays_inside_is_allowed),
		cmocka_unit_test(what_reaches_the_host_is_refused_in_words),
		cmocka_unit_test(links_are_followed),
		cmocka_unit_test(volumes_are_links_to_other_folders_of_devices),
		cmocka_unit_test(images_may_name_images_alone),
		cmocka_unit_test(images_that_qemu_makes_are_understood),
		cmocka_unit_test(what_is_no_image_is_not_even_opened),
		cmocka_unit_test(without_folders_for_images_there_are_none),
		cmocka_unit_test(the_network_that_qemu_would_add_is_refused),
		cmocka_unit_test(the_keys_are_judged_like_the_arguments),
		cmocka_unit_test(a_word_that_is_no_text_is_refused),
		cmocka_unit_test(many_words_to_blame_do_not_fill_the_memory),
		cmocka_unit_test(the_real_path_of_a_file_that_is_still_to_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
