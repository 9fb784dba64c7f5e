/* SPDX-License-Identifier: MIT */

/* A relay between two hosts in this process, and the test in the place of both
 * QEMUs. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "ends.h"
#include "relay/relay.h"
#include "scratch.h"

enum { MAIN, SIDE, CONNECTIONS };

struct both {
	struct ends ends;
	char folder[SCRATCH_CAP], near_path[96], far_path[96];
	struct endpoint there;
	int listen_fd;
	struct relay *near, *far;
	int source[CONNECTIONS], destination[CONNECTIONS];
};

static void start(struct both *p)
{
	const struct endpoint_owner own = { 0 };
	struct error e;

	ends_init(&p->ends, 1);
	assert_int_equal(ends_open(&p->ends, 1, 5 * USEC_PER_SEC, &e), 0);
	scratch_folder(p->folder);
	snprintf(p->near_path, sizeof(p->near_path), "%s/near", p->folder);
	snprintf(p->far_path, sizeof(p->far_path), "%s/far", p->folder);
	assert_int_equal(endpoint_parse(&p->there, p->far_path, &e), 0);
	assert_int_equal(endpoint_listen(&p->there, &own, CONNECTIONS,
					 &p->listen_fd, &e),
			 0);
	assert_int_equal(relay_new(&p->near,
				   &(struct relay_options){
					   .session = p->ends.near,
					   .listen_path = p->near_path },
				   &e),
			 0);
	assert_int_equal(relay_new(&p->far,
				   &(struct relay_options){
					   .session = ends_far(&p->ends),
					   .connect_path = p->far_path },
				   &e),
			 0);
}

static void connect_qemus(struct both *p)
{
	struct pollfd waits = { .fd = p->listen_fd, .events = POLLIN };
	struct endpoint here;
	struct error e;

	assert_int_equal(endpoint_parse(&here, p->near_path, &e), 0);
	for (int i = 0; i < CONNECTIONS; i++) {
		assert_int_equal(endpoint_connect(&here,
						  clock_us() + USEC_PER_SEC,
						  &p->source[i], &e),
				 0);
		assert_int_equal(poll(&waits, 1, 5000), 1);
		p->destination[i] = accept(p->listen_fd, NULL, NULL);
		assert_true(p->destination[i] >= 0);
	}
}

/* As @fd ends for who reads it. */
static void expect_end(int fd)
{
	struct pollfd waits = { .fd = fd, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&waits, 1, 5000), 1);
	assert_int_equal(read(fd, &byte, 1), 0);
}

/* What relay_check() says once it is not "goes on" any more. */
static int outcome(struct relay *r, struct error *e)
{
	struct pollfd waits = { .fd = relay_event_fd(r), .events = POLLIN };

	assert_int_equal(poll(&waits, 1, 5000), 1);
	return relay_check(r, e);
}

static void end(struct both *p)
{
	relay_stop(p->near);
	relay_stop(p->far);
	for (int i = 0; i < CONNECTIONS; i++) {
		close(p->source[i]);
		if (p->destination[i] >= 0)
			close(p->destination[i]);
	}
	endpoint_remove(&p->there);
	close(p->listen_fd);
	ends_close(&p->ends);
	relay_free(p->near);
	relay_free(p->far);
	ends_done(&p->ends);
}

static void a_side_connection_may_end_after_the_session(void **state)
{
	struct pollfd news = { .events = POLLIN };
	eventfd_t ignored;
	struct both p;
	struct error e;

	(void)state;
	start(&p);
	connect_qemus(&p);
	/* The migration is over, as connection 0 says on both hosts. */
	shutdown(p.source[MAIN], SHUT_WR);
	expect_end(p.destination[MAIN]);
	shutdown(p.destination[MAIN], SHUT_WR);
	expect_end(p.source[MAIN]);
	assert_int_equal(outcome(p.near, &e), 1);
	assert_int_equal(outcome(p.far, &e), 1);
	news.fd = relay_event_fd(p.far);
	eventfd_read(news.fd, &ignored);
	session_end(p.ends.near, "done");
	while (session_check(ends_far(&p.ends), &e) == 0)
		poll(NULL, 0, 1);
	/* And only now QEMU closes another one. */
	shutdown(p.destination[SIDE], SHUT_WR);
	expect_end(p.destination[SIDE]);
	assert_int_equal(poll(&news, 1, 200), 0);
	assert_int_equal(relay_check(p.far, &e), 1);
	end(&p);
}

/* The other side is told of the end, and nobody of a failure. */
static void a_side_connection_may_close_with_bytes_in_it(void **state)
{
	struct both p;
	struct error e;

	(void)state;
	start(&p);
	connect_qemus(&p);
	assert_int_equal(send(p.source[SIDE], "bytes", 5, MSG_NOSIGNAL), 5);
	poll(&(struct pollfd){ .fd = p.destination[SIDE], .events = POLLIN }, 1,
	     5000);
	close(p.destination[SIDE]);
	p.destination[SIDE] = -1;
	expect_end(p.source[SIDE]);
	assert_int_equal(send(p.source[SIDE], "more", 4, MSG_NOSIGNAL), 4);
	shutdown(p.source[MAIN], SHUT_WR);
	expect_end(p.destination[MAIN]);
	shutdown(p.destination[MAIN], SHUT_WR);
	expect_end(p.source[MAIN]);
	assert_int_equal(outcome(p.near, &e), 1);
	assert_int_equal(outcome(p.far, &e), 1);
	end(&p);
}

/* A QEMU that takes no connection, and one that is slow to. */
static void a_full_queue_holds_nobody(void **state)
{
	const struct endpoint_owner own = { 0 };
	char folder[SCRATCH_CAP], path[SCRATCH_CAP + 8];
	int listen_fd, fd = -1, held[8], n = 0, r = 0;
	uint64_t start = clock_us();
	struct endpoint p;
	struct error e;

	(void)state;
	scratch_folder(folder);
	snprintf(path, sizeof(path), "%s/full", folder);
	assert_int_equal(endpoint_parse(&p, path, &e), 0);
	assert_int_equal(endpoint_listen(&p, &own, 0, &listen_fd, &e), 0);
	while (n < 8 && (r = endpoint_connect(&p, clock_us() + 50000, &held[n],
					      &e)) == 0) {
		/* Who connected waits in read() and write(). */
		assert_int_equal(fcntl(held[n], F_GETFL) & O_NONBLOCK, 0);
		n++;
	}
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(n > 0 && clock_us() - start >= 50000);
	assert_non_null(strstr(e.text, "connect to QEMU at "));
	fd = accept(listen_fd, NULL, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(endpoint_connect(&p, clock_us() + USEC_PER_SEC, &fd,
					  &e),
			 0);
	close(fd);
	while (n > 0)
		close(held[--n]);
	endpoint_remove(&p);
	close(listen_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_queue_holds_nobody),
		cmocka_unit_test(a_side_connection_may_end_after_the_session),
		cmocka_unit_test(a_side_connection_may_close_with_bytes_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
