/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "qemu/confine.h"
#include "qemu/definition.h"
#include "qemu/files.h"
#include "qemu/grant.h"
#include "scratch.h"

static const struct confinement one = { .on = true,
					.number = CONFINE_FIRST + 1 };
static const struct confinement two = { .on = true,
					.number = CONFINE_FIRST + 2 };

enum { FILE_CAP = SCRATCH_CAP + 8 };

struct file {
	char path[FILE_CAP];
	bool lists; /* the file system has them, and this user may set any */
};

static int new_file(char ret[static FILE_CAP])
{
	char folder[SCRATCH_CAP];
	int fd;

	scratch_folder(folder);
	snprintf(ret, FILE_CAP, "%s/file", folder);
	fd = open(ret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void make(struct file *f, mode_t mode)
{
	struct error e;
	struct stat st;

	close(new_file(f->path));
	assert_int_equal(chmod(f->path, 0600), 0);
	assert_int_equal(stat(f->path, &st), 0);
	f->lists = geteuid() == 0 &&
		   grant_file(f->path, GRANT_READ, &one, &e) == 0 &&
		   stat(f->path, &st) == 0 && st.st_gid == 0;
	assert_int_equal(grant_withdraw(f->path, &one, &e), 0);
	assert_int_equal(chmod(f->path, mode), 0);
}

static bool has_list(const struct file *f)
{
	return getxattr(f->path, "system.posix_acl_access", NULL, 0) > 0;
}

static mode_t mode_of(const struct file *f)
{
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	return st.st_mode & 0777;
}

static void give(const struct file *f, enum grant_use use,
		 const struct confinement *c)
{
	struct error e;

	if (grant_file(f->path, use, c, &e) < 0)
		fail_msg("%s", e.text);
}

static void withdraw(const struct file *f, const struct confinement *c)
{
	struct error e;

	if (grant_withdraw(f->path, c, &e) < 0)
		fail_msg("%s", e.text);
}

static void what_was_given_is_taken_away_again(void **state)
{
	static const mode_t modes[] = { 0600, 0640, 0660, 0400, 0604 };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct file f;

		make(&f, modes[i]);
		if (f.lists) {
			give(&f, GRANT_WRITE, &one);
			assert_true(has_list(&f));
			withdraw(&f, &one);
			assert_false(has_list(&f));
			assert_int_equal(mode_of(&f), modes[i]);
			withdraw(&f, &one);
		}
		if (!f.lists)
			skip();
	}
}

static void what_all_may_is_not_given(void **state)
{
	struct file f;

	(void)state;
	make(&f, 0644);
	give(&f, GRANT_READ, &one);
	assert_false(has_list(&f));
	assert_int_equal(mode_of(&f), 0644);
}

static void others_keep_what_they_have(void **state)
{
	struct file f;

	(void)state;
	make(&f, 0640);
	if (f.lists) {
		give(&f, GRANT_READ, &one);
		give(&f, GRANT_READ, &two);
		withdraw(&f, &one);
		assert_true(has_list(&f));
		withdraw(&f, &two);
		assert_false(has_list(&f));
		assert_int_equal(mode_of(&f), 0640);
	}
	if (!f.lists)
		skip();
}

static void an_image_has_one_writer(void **state)
{
	struct error e = { 0 };
	struct file f;

	(void)state;
	make(&f, 0600);
	if (f.lists) {
		give(&f, GRANT_WRITE, &one);
		give(&f, GRANT_WRITE, &one);
		assert_int_equal(grant_file(f.path, GRANT_READ, &two, &e),
				 -EEXIST);
		assert_non_null(strstr(e.text, "is another machine's, that of "
					       "user 1879048193"));
		withdraw(&f, &one);
		give(&f, GRANT_READ, &one);
		assert_int_equal(grant_file(f.path, GRANT_WRITE, &two, &e),
				 -EEXIST);
	}
	if (!f.lists)
		skip();
}

static void a_folder_and_a_device_are_not_given(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(grant_file("/tmp", GRANT_WRITE, &one, &e), -EINVAL);
	assert_int_equal(grant_file("/dev/null", GRANT_READ, &one, &e),
			 -EINVAL);
	assert_int_equal(grant_file("/nonexistent/x", GRANT_READ, &one, &e),
			 -ENOENT);
	assert_int_equal(grant_withdraw("/nonexistent/x", &one, &e), 0);
}

/* --- which files */

static void assert_files(const char *arguments, const char *writes,
			 const char *reads)
{
	struct named_files files = { .writes = { 0 } };
	struct definition d;
	char text[2048], found[2][1024] = { "", "" };
	struct error e;

	snprintf(text, sizeof(text),
		 "[machine]\nname = a\nmemory = 64M\ndirectory = /srv\n"
		 "arguments = %s\n",
		 arguments);
	if (definition_parse(&d, "a", text, &e) < 0 ||
	    files_named(&files, &d, "/run/a", &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < files.writes.count; i++)
		strcat(strcat(found[0], i ? " " : ""), files.writes.at[i]);
	for (size_t i = 0; i < files.reads.count; i++)
		strcat(strcat(found[1], i ? " " : ""), files.reads.at[i]);
	assert_string_equal(found[0], writes);
	assert_string_equal(found[1], reads);
	files_done(&files);
	definition_done(&d);
}

static void files_are_found_where_they_stand(void **state)
{
	(void)state;
	assert_files("-drive file=/a/x.raw,if=virtio", "/a/x.raw", "");
	assert_files("-drive file=/a/b,,c,readonly=on", "", "/a/b,c");
	assert_files("-drive file.filename=/a/y,read-only=on", "", "/a/y");
	assert_files("-drive 'file=json:{\"driver\":\"raw\",\"file\":"
		     "{\"driver\":\"file\",,\"filename\":\"/a/z\"}}'",
		     "", "");
	assert_files("-blockdev '{\"driver\":\"qcow2\",\"node-name\":\"n\","
		     "\"file\":{\"driver\":\"file\",\"filename\":\"/q\"}}'",
		     "/q", "");
	assert_files("-blockdev "
		     "driver=raw,node-name=n,file.driver=file,file.filename=/"
		     "r",
		     "/r", "");
	assert_files("-drive file=/top,backing.file.filename=/base", "/top",
		     "/base");
	assert_files("-blockdev '{\"driver\":\"qcow2\",\"node-name\":\"n\","
		     "\"backing\":{\"driver\":\"file\",\"filename\":\"/b\"},"
		     "\"file\":{\"driver\":\"file\",\"filename\":\"/q\"}}'",
		     "/q", "/b");
	assert_files("-boot order=c,splash=/s -smbios type=11,path=/o -smbios "
		     "file=/t -device "
		     "ipmi-bmc-sim,sdrfile=/sdr,frudatafile=/fru "
		     "-shim /shim",
		     "", "/s /o /t /sdr /fru /shim");
	assert_files("-hda x.img -cdrom /iso /bare", "/srv/x.img /bare",
		     "/iso");
	assert_files("-kernel /boot/k -initrd /boot/i -bios bios.bin -append "
		     "root=/dev/vda",
		     "", "/boot/k /boot/i");
	assert_files("-device virtio-net-pci,romfile=/rom -device "
		     "e1000,romfile=pxe.rom -fw_cfg name=opt/x,file=/f",
		     "", "/rom /f");
}

static void the_machine_names_files_too(void **state)
{
	static const char text[] =
		"[machine]\nname = a\nmemory = 64M\nmachine = "
		"q35,firmware=/fw,kernel=/k,initrd=/i,dtb=/d,boot.splash=/s\n";
	struct named_files files;
	struct definition d;
	struct error e;

	(void)state;
	assert_int_equal(definition_parse(&d, "a", text, &e), 0);
	assert_int_equal(files_named(&files, &d, "/run/a", &e), 0);
	assert_int_equal(files.reads.count, 5);
	for (const char *at = "/fw\0/k\0/i\0/d\0/s\0"; *at;
	     at += strlen(at) + 1)
		assert_true(words_have(&files.reads, at));
	files_done(&files);
	definition_done(&d);
}

/* A guest writes the first bytes of a raw image. */
static void the_header_of_a_raw_image_is_the_guests(void **state)
{
	static const char below[] = "/etc/shadow";
	unsigned char head[64] = { 'Q', 'F', 'I', 0xfb, 0, 0, 0, 2 };
	char path[FILE_CAP], line[256];
	int fd = new_file(path);

	(void)state;
	head[15] = 48;                /* where the name stands, */
	head[19] = sizeof(below) - 1; /* and its length */
	memcpy(head + 48, below, sizeof(below) - 1);
	assert_true(write(fd, head, sizeof(head)) == sizeof(head));
	close(fd);
	snprintf(line, sizeof(line), "-drive file=%s,format=qcow2", path);
	assert_files(line, path, below);
	snprintf(line, sizeof(line), "-drive file=%s,format=raw", path);
	assert_files(line, path, "");
	snprintf(line, sizeof(line),
		 "-blockdev driver=qcow2,node-name=n,file=f%s -blockdev "
		 "driver=file,node-name=f,filename=%s",
		 "", path);
	assert_files(line, path, below);
	snprintf(line, sizeof(line),
		 "-blockdev driver=qcow2,node-name=n,file=f%s -blockdev "
		 "driver=file,node-name=f,filename=%s",
		 ",backing=b", path);
	assert_files(line, path, "");
	snprintf(line, sizeof(line),
		 "-blockdev driver=raw,node-name=n,"
		 "file.driver=file,file.filename=%s",
		 path);
	assert_files(line, path, "");
}

/* Once it is named it is the administrator's word. */
static void what_only_a_header_names_is_told_apart(void **state)
{
	static const char below[] = "/etc/shadow";
	unsigned char head[64] = { 'Q', 'F', 'I', 0xfb, 0, 0, 0, 2 };
	char path[FILE_CAP], text[512];
	int fd = new_file(path);

	(void)state;
	head[15] = 48;
	head[19] = sizeof(below) - 1;
	memcpy(head + 48, below, sizeof(below) - 1);
	assert_true(write(fd, head, sizeof(head)) == sizeof(head));
	close(fd);
	for (int named = 0; named < 2; named++) {
		struct named_files files;
		struct definition d;
		struct error e;

		snprintf(text, sizeof(text),
			 "[machine]\nname = a\nmemory = 64M\narguments = "
			 "-drive file=%s%s%s\n",
			 path, named ? ",backing.file.filename=" : "",
			 named ? below : "");
		assert_int_equal(definition_parse(&d, "a", text, &e), 0);
		assert_int_equal(files_named(&files, &d, "/run/a", &e), 0);
		assert_int_equal(files.below.count, !named);
		assert_true(words_have(&files.reads, below));
		if (!named)
			assert_string_equal(files.below.at[0], below);
		files_done(&files);
		definition_done(&d);
	}
}

static void two_machines_are_two_users(void **state)
{
	char all[SCRATCH_CAP], a[FILE_CAP], b[FILE_CAP];
	struct error e;

	(void)state;
	if (geteuid() != 0)
		skip();
	scratch_folder(all);
	snprintf(a, sizeof(a), "%s/a", all);
	snprintf(b, sizeof(b), "%s/b", all);
	assert_int_equal(mkdir(a, 0700), 0);
	assert_int_equal(chown(a, one.number, one.number), 0);
	assert_int_equal(confine_alone(a, &one, &e), 0);
	assert_int_equal(confine_alone(b, &two, &e), 0);
	assert_int_equal(confine_alone(b, &one, &e), -EPERM);
	assert_non_null(strstr(e.text, "machine a has the same user"));
}

static void what_is_no_file_of_the_host_is_left_out(void **state)
{
	(void)state;
	assert_files("-drive file=nbd:host:1 -drive file=rbd:pool/x -drive "
		     "if=none,id=e -drive file=${dir}/own.raw",
		     "", "");
	assert_files("-drive file=file:/a/x", "/a/x", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_given_is_taken_away_again),
		cmocka_unit_test(what_all_may_is_not_given),
		cmocka_unit_test(others_keep_what_they_have),
		cmocka_unit_test(an_image_has_one_writer),
		cmocka_unit_test(a_folder_and_a_device_are_not_given),
		cmocka_unit_test(files_are_found_where_they_stand),
		cmocka_unit_test(the_machine_names_files_too),
		cmocka_unit_test(the_header_of_a_raw_image_is_the_guests),
		cmocka_unit_test(what_only_a_header_names_is_told_apart),
		cmocka_unit_test(two_machines_are_two_users),
		cmocka_unit_test(what_is_no_file_of_the_host_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
