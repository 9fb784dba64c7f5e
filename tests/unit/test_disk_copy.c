/* SPDX-License-Identifier: MIT */

/* A disk on its way: a client of the server on one side, the file on the other,
 * a session over a network that may be bad in between. */
#include "unit.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "disks/nbd.h"
#include "disks/server.h"
#include "disks/sink.h"
#include "ends.h"
#include "scratch.h"
#include "waits.h"
#include "wire/reader.h"

enum { SIZE = 4 << 20, OUTAGE_US = 10000000 };

static struct {
	struct ends ends;
	struct disk_server *server;
	struct disk_sink *sink;
	char folder[SCRATCH_CAP];
	char file[128], socket[128];
	int client;
	uint64_t cookie;
	uint8_t model[SIZE]; /* what the disk has */
} t;

/* --- the client */

static void dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", t.socket);
	t.client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(t.client, (void *)&a, sizeof(a)), 0);
}

static void send_all(const void *data, size_t len)
{
	assert_int_equal(send(t.client, data, len, MSG_NOSIGNAL), len);
}

static void receive(void *data, size_t len)
{
	assert_int_equal(recv(t.client, data, len, MSG_WAITALL), len);
}

static void shake_hands(void)
{
	uint8_t buf[256];
	struct writer w = writer_to(buf, sizeof(buf));

	dial();
	receive(buf, NBD_GREETING_SIZE);
	write_u32(&w, 3);
	write_u64(&w, 0x49484156454f5054);
	write_u32(&w, 7);
	write_u32(&w, 4 + 4 + 2);
	write_u32(&w, 4);
	write_bytes(&w, "root", 4);
	write_u16(&w, 0);
	send_all(buf, writer_used(&w));
	receive(buf, 20 + 12 + 20);
	assert_int_equal(be64toh(*(uint64_t *)(void *)(buf + 22)), SIZE);
}

/* What nobody has read is a reset. */
static void assert_parted(void)
{
	char c;

	assert_true(recv(t.client, &c, 1, 0) <= 0);
	close(t.client);
	t.client = -1;
}

/* Its cookie. */
static uint64_t ask(unsigned type, uint64_t offset, uint32_t len,
		    const void *data)
{
	uint8_t buf[NBD_REQUEST_SIZE];
	struct writer w = writer_to(buf, sizeof(buf));

	write_u32(&w, 0x25609513);
	write_u16(&w, 0);
	write_u16(&w, (uint16_t)type);
	write_u64(&w, ++t.cookie);
	write_u64(&w, offset);
	write_u32(&w, len);
	send_all(buf, sizeof(buf));
	if (data)
		send_all(data, len);
	return t.cookie;
}

static uint64_t answered(unsigned error)
{
	uint8_t buf[NBD_REPLY_SIZE];
	struct reader r = reader_of(buf, sizeof(buf));

	receive(buf, sizeof(buf));
	assert_int_equal(read_u32(&r), 0x67446698);
	assert_int_equal(read_u32(&r), error);
	return read_u64(&r);
}

static void write_disk(uint64_t offset, const void *data, uint32_t len)
{
	memcpy(t.model + offset, data, len);
	ask(NBD_WRITE, offset, len, data);
	assert_int_equal(answered(NBD_OK), t.cookie);
}

static void zero_disk(unsigned how, uint64_t offset, uint32_t len)
{
	memset(t.model + offset, 0, len);
	ask(how, offset, len, NULL);
	assert_int_equal(answered(NBD_OK), t.cookie);
}

/* --- the copy */

static uint64_t allocated(void)
{
	struct stat st;

	assert_int_equal(stat(t.file, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	return (uint64_t)st.st_blocks * 512;
}

static void assert_same(uint64_t offset, size_t len)
{
	static uint8_t got[SIZE];
	int fd = open(t.file, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, got, len, (off_t)offset), len);
	close(fd);
	if (memcmp(got, t.model + offset, len) != 0)
		fail_msg("the copy differs within %zu bytes at %llu", len,
			 (unsigned long long)offset);
}

static void begin(uint32_t seed)
{
	struct disk_server_options o = { .name = "root", .size = SIZE };
	struct disk_file f = { .size = SIZE };
	struct error e;

	memset(&t, 0, sizeof(t));
	t.client = -1;
	scratch_folder(t.folder);
	snprintf(t.file, sizeof(t.file), "%s/copy.raw", t.folder);
	snprintf(t.socket, sizeof(t.socket), "%s/disk.sock", t.folder);
	ends_init(&t.ends, seed);
	assert_int_equal(ends_open(&t.ends, 2, OUTAGE_US, &e), 0);
	f.path = t.file;
	if (sink_new(&t.sink, ends_far(&t.ends), &f, 1, &e) < 0)
		fail_msg("%s", e.text);
	o.session = t.ends.near;
	o.path = t.socket;
	if (disk_server_new(&t.server, &o, &e) < 0)
		fail_msg("%s", e.text);
	shake_hands();
}

static void end(bool keep)
{
	if (t.client >= 0)
		close(t.client);
	disk_server_stop(t.server);
	sink_stop(t.sink);
	ends_close(&t.ends);
	disk_server_free(t.server);
	sink_free(t.sink, keep);
	ends_done(&t.ends);
}

static void what_is_written_is_there_when_it_is_answered(void **state)
{
	static uint8_t data[1 << 20];
	struct disk_server_stats st;

	(void)state;
	begin(1);
	memset(data, 7, sizeof(data));
	write_disk(4096, data, sizeof(data));
	assert_same(4096, sizeof(data));
	write_disk(SIZE - 1, "x", 1);
	assert_same(SIZE - 1, 1);
	write_disk(511, data, 2);
	ask(NBD_FLUSH, 0, 0, NULL);
	assert_int_equal(answered(NBD_OK), t.cookie);
	assert_same(0, SIZE);
	disk_server_stats(t.server, &st);
	assert_int_equal(st.data_bytes, sizeof(data) + 3);
	assert_int_equal(st.flushes, 1);
	assert_int_equal(st.in_flight, 0);
	assert_true(st.connected);
	end(true);
	assert_int_equal(access(t.file, F_OK), 0);
}

static void zeros_become_holes(void **state)
{
	static uint8_t data[SIZE / 2];
	struct sink_stats st;

	(void)state;
	begin(2);
	assert_int_equal(allocated(), 0);
	memset(data, 7, sizeof(data));
	write_disk(0, data, sizeof(data));
	assert_true(allocated() >= sizeof(data));
	/* as they are named, as data, and among other data */
	zero_disk(NBD_TRIM, 0, 64 << 10);
	zero_disk(NBD_WRITE_ZEROES, 64 << 10, 64 << 10);
	memset(data, 0, sizeof(data));
	write_disk(128 << 10, data, 64 << 10);
	data[0] = data[(64 << 10) - 1] = 1;
	write_disk(192 << 10, data, 64 << 10);
	assert_same(0, SIZE);
	assert_in_range(allocated(), SIZE / 2 - (256 << 10),
			SIZE / 2 - (256 << 10) + 16384);
	sink_stats(t.sink, &st);
	assert_true(st.hole_bytes >= 3 * (64 << 10));
	/* one that is not of whole blocks is zero all the same */
	zero_disk(NBD_WRITE_ZEROES, (1 << 20) + 1, 10000);
	assert_same(0, SIZE);
	end(true);
}

static void what_cannot_be_is_refused_and_the_rest_goes_on(void **state)
{
	(void)state;
	begin(3);
	ask(0, 0, 512, NULL);
	assert_int_equal(answered(NBD_EINVAL), t.cookie);
	ask(NBD_TRIM, SIZE, 512, NULL);
	assert_int_equal(answered(NBD_EINVAL), t.cookie);
	write_disk(0, "abc", 3);
	assert_same(0, SIZE);
	end(true);
}

/* Requests that overlap, many at once, over channels that break: they are
 * answered each once, and the copy has what was written last. */
static void random_writes_over_a_bad_network_arrive(void **state)
{
	enum { ROUNDS = 40, AT_ONCE = 32, MOST = 100000 };
	static uint8_t data[MOST];
	uint32_t seed = stress_seed();
	struct disk_server_stats st;

	(void)state;
	begin(seed);
	cutter_hurt(t.ends.cutter, 1 << 20, 8);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t sum = 0;

		for (int i = 0; i < AT_ONCE; i++) {
			uint32_t len = 1 + random_below(&seed, MOST - 1);
			uint32_t at = random_below(&seed, SIZE - len);
			unsigned how = random_below(&seed, 8);

			if (how == 0) {
				memset(t.model + at, 0, len);
				sum += ask(NBD_WRITE_ZEROES, at, len, NULL);
			} else if (how == 1) {
				sum += ask(NBD_FLUSH, 0, 0, NULL);
			} else {
				for (uint32_t k = 0; k < len; k++)
					data[k] = (uint8_t)(seed + k / 5000);
				memcpy(t.model + at, data, len);
				sum += ask(NBD_WRITE, at, len, data);
			}
			seed++;
		}
		for (int i = 0; i < AT_ONCE; i++)
			sum -= answered(NBD_OK);
		assert_int_equal(sum, 0);
		assert_same(0, SIZE);
	}
	disk_server_stats(t.server, &st);
	assert_true(st.waits > 0);
	assert_true(cutter_faults(t.ends.cutter) > 0);
	end(true);
}

static void a_sealed_copy_takes_nothing_more(void **state)
{
	struct error e;

	(void)state;
	begin(5);
	write_disk(0, "abc", 3);
	assert_false(sink_is_sealed(t.sink));
	assert_int_equal(sink_seal(t.sink, &e), 0);
	assert_true(sink_is_sealed(t.sink));
	ask(NBD_WRITE, 0, 3, "xyz");
	/* That ends the session, and so the connection, without an answer. */
	assert_parted();
	assert_same(0, SIZE);
	assert_int_equal(session_check(ends_far(&t.ends), &e), -ECONNABORTED);
	end(true);
}

/* The copy's descriptor in this process. */
static int fd_of_copy(void)
{
	struct stat want, st;

	assert_int_equal(stat(t.file, &want), 0);
	for (int fd = 3; fd < 1024; fd++)
		if (fstat(fd, &st) == 0 && st.st_dev == want.st_dev &&
		    st.st_ino == want.st_ino)
			return fd;
	fail_msg("nobody has %s open", t.file);
	return -1;
}

/* Also when a second sync would find nothing wrong: the kernel tells of a write
 * that it lost once. */
static void a_flush_that_fails_is_the_seals_failure(void **state)
{
	struct error e;
	int fd, saved, pipes[2];

	(void)state;
	begin(9);
	write_disk(0, "abc", 3);
	fd = fd_of_copy();
	saved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(dup2(pipes[1], fd), fd); /* which nobody can sync */
	ask(NBD_FLUSH, 0, 0, NULL);
	assert_parted();
	assert_int_equal(dup2(saved, fd), fd);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sink_seal(t.sink, &e), -EINVAL);
		assert_non_null(strstr(e.text, "sync "));
		assert_non_null(strstr(e.text, t.file));
		assert_false(sink_is_sealed(t.sink));
	}
	close(saved);
	close(pipes[0]);
	close(pipes[1]);
	end(false);
}

static void a_client_that_goes_makes_room_for_the_next(void **state)
{
	static uint8_t data[600000];
	struct disk_server_stats st;
	uint8_t head[NBD_REQUEST_SIZE];
	struct writer w = writer_to(head, sizeof(head));

	(void)state;
	begin(6);
	/* half of a write: what has left of it arrives */
	write_u32(&w, 0x25609513);
	write_u32(&w, NBD_WRITE);
	write_u64(&w, 1);
	write_u64(&w, 0);
	write_u32(&w, sizeof(data));
	send_all(head, sizeof(head));
	memset(data, 3, sizeof(data));
	send_all(data, 300000);
	close(t.client);
	shake_hands();
	write_disk(0, data, sizeof(data));
	assert_same(0, SIZE);
	ask(NBD_WRITE, SIZE, 1, NULL);
	assert_parted();
	shake_hands();
	disk_server_stats(t.server, &st);
	assert_string_equal(st.why, "NBD: a write of 1 bytes at 4194304 of a "
				    "disk of 4194304");
	end(true);
}

/* It sends more than the server reads, as QEMU may: that it can write is what
 * it waits for, and a socket that is shut and full never says so. */
static void a_client_that_waits_to_write_is_let_go(void **state)
{
	static uint8_t data[1 << 20];
	struct pollfd p = { .events = POLLOUT };

	(void)state;
	begin(9);
	cutter_freeze(t.ends.cutter);
	ask(NBD_WRITE, 0, 4096, data);
	ask(NBD_WRITE, 0, sizeof(data), NULL); /* waits for the first */
	while (send(t.client, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) >
	       0)
		;
	assert_int_equal(errno, EAGAIN);
	p.fd = t.client;
	disk_server_rest(t.server, true);
	for (int i = 0; i < 2000 && !(p.revents & (POLLOUT | POLLERR)); i++) {
		poll(NULL, 0, 10);
		poll(&p, 1, 0);
	}
	assert_true(p.revents & (POLLOUT | POLLERR));
	assert_true(send(t.client, data, 1, MSG_NOSIGNAL) < 0);
	session_fail(t.ends.near, "for a test");
	end(false);
}

static void a_session_that_ends_ends_the_connection(void **state)
{
	(void)state;
	begin(7);
	write_disk(0, "abc", 3);
	session_fail(ends_far(&t.ends), "for a test");
	assert_parted();
	end(false);
	/* What was not wanted is gone. */
	assert_int_equal(access(t.file, F_OK), -1);
}

static void what_is_there_is_not_overwritten(void **state)
{
	struct disk_file files[2] = { { .size = SIZE }, { .size = SIZE } };
	struct disk_sink *sink;
	char other[160];
	struct error e;

	(void)state;
	begin(8);
	write_disk(0, "abc", 3);
	snprintf(other, sizeof(other), "%s/other.raw", t.folder);
	files[0].path = other;
	files[1].path = t.file;
	assert_int_equal(sink_new(&sink, ends_far(&t.ends), files, 2, &e),
			 -EEXIST);
	assert_non_null(strstr(e.text, t.file));
	assert_int_equal(access(other, F_OK), -1);
	assert_same(0, SIZE);
	/* A link that leads somewhere is something, too. */
	assert_int_equal(symlink("/dev/null", other), 0);
	assert_int_equal(sink_new(&sink, ends_far(&t.ends), files, 1, &e),
			 -EEXIST);
	end(true);
}

static void runs_are_of_one_kind_and_holes_of_whole_blocks(void **state)
{
	static uint8_t data[20000];
	bool zero;

	(void)state;
	memset(data, 1, sizeof(data));
	assert_int_equal(sink_run(data, sizeof(data), 0, &zero), sizeof(data));
	assert_false(zero);
	memset(data + 4096, 0, 8192);
	assert_int_equal(sink_run(data, sizeof(data), 0, &zero), 4096);
	assert_false(zero);
	assert_int_equal(sink_run(data + 4096, 15904, 4096, &zero), 8192);
	assert_true(zero);
	/* Elsewhere on the disk the same bytes are one whole block and parts.
	 */
	assert_int_equal(sink_run(data + 4096, 15904, 4095, &zero), 1);
	assert_false(zero);
	assert_int_equal(sink_run(data + 4097, 15903, 4096, &zero), 4096);
	assert_true(zero);
	assert_int_equal(sink_run(data + 4096, 100, 0, &zero), 100);
	assert_false(zero);
	assert_int_equal(sink_run(data, 0, 0, &zero), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_there_when_it_is_answered),
		cmocka_unit_test(zeros_become_holes),
		cmocka_unit_test(
			what_cannot_be_is_refused_and_the_rest_goes_on),
		cmocka_unit_test(random_writes_over_a_bad_network_arrive),
		cmocka_unit_test(a_sealed_copy_takes_nothing_more),
		cmocka_unit_test(a_flush_that_fails_is_the_seals_failure),
		cmocka_unit_test(a_client_that_goes_makes_room_for_the_next),
		cmocka_unit_test(a_client_that_waits_to_write_is_let_go),
		cmocka_unit_test(a_session_that_ends_ends_the_connection),
		cmocka_unit_test(what_is_there_is_not_overwritten),
		cmocka_unit_test(
			runs_are_of_one_kind_and_holes_of_whole_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
