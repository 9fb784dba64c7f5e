/* SPDX-License-Identifier: MIT */

/* A connection over loopback as each end sees it. */
#include "unit.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "channel/channel.h"

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 at = { 0 };
	socklen_t len = sizeof(at);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	/* Where struct sockaddr_in has it, too. */
	return ntohs(at.sin6_port);
}

static void check_arrival(const char *address)
{
	const struct channel_kind *tcp = channel_kinds[0];
	struct channel_way way = { .host = address };
	struct channel *near, *far;
	struct error e;
	int fd;

	assert_int_equal(tcp->listen(&fd, address, 0, &e), 0);
	way.port = port_of(fd);
	assert_int_equal(tcp->dial(&near, &way, clock_us() + 10 * USEC_PER_SEC,
				   -1, &e),
			 0);
	poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 10000);
	assert_int_equal(tcp->accept(&far, fd, 0, &e), 0);
	close(fd);
	assert_int_equal(far->arrived, if_nametoindex("lo"));
	assert_int_equal(near->arrived, 0);
	tcp->free(near);
	tcp->free(far);
}

static void who_accepts_knows_the_card_it_came_in_by(void **state)
{
	(void)state;
	check_arrival("127.0.0.1");
}

static void who_accepts_knows_it_over_ipv6(void **state)
{
	const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in6 at = { .sin6_family = AF_INET6,
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const bool able = fd >= 0 && bind(fd, (const struct sockaddr *)&at,
					  sizeof(at)) == 0;

	(void)state;
	if (fd >= 0)
		close(fd);
	if (!able)
		skip();
	check_arrival("::1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_accepts_knows_the_card_it_came_in_by),
		cmocka_unit_test(who_accepts_knows_it_over_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
