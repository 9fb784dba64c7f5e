/* SPDX-License-Identifier: MIT */
#include "compress/idle.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/scope.h"

enum {
	WINDOW_US = 100000,
	LOOK_US = 50000, /* /proc/uptime counts in 10 ms */
	LOOK_EVERY_US = 550000,
	LOOK_APART_US = 250000,
	STALE_US = 5000000,
	CREDIT_US = 50000,      /* of each processor that may be used */
	CREDIT_LEAST_US = 5000, /* a frame or two */
};

/* Processors; less is what the counting may err by. */
static const double spare_least = 0.25;

/* Idle time of all processors since the start, 0 when it cannot be read. */
static uint64_t read_idle(const struct idle *i)
{
	AUTO_CLOSE int fd =
		open(i->path ? i->path : "/proc/uptime", O_RDONLY | O_CLOEXEC);
	char text[128], *end, *after;
	double idle;
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	strtod(text, &end); /* the host's own time */
	idle = strtod(end, &after);
	if (after == end || !(idle >= 0))
		return 0;
	return (uint64_t)(idle * USEC_PER_SEC + 0.5);
}

static void window_begin(struct idle *i, bool looking, uint64_t now_us)
{
	i->looking = looking;
	i->began_us = now_us;
	i->begun_us = read_idle(i);
	i->used_us = 0;
}

static void allow(struct idle *i, double processors, uint64_t now_us)
{
	i->allowed = processors < i->most ? processors : i->most;
	i->checked_us = now_us;
}

static void window_end(struct idle *i, uint64_t now_us)
{
	double took = (double)(now_us - i->began_us);
	uint64_t now_idle = read_idle(i);
	double idle = 0, used = i->used_us / took;
	bool looked = i->looking, spare, turned;

	if (now_idle > i->begun_us)
		idle = (double)(now_idle - i->begun_us) / took;
	spare = idle >= spare_least;
	if (spare)
		allow(i, idle + used, now_us);
	else if (looked)
		allow(i, 0, now_us);
	turned = !looked && i->had_spare && !spare;
	if (looked)
		i->looked_us = now_us;
	else
		i->had_spare = spare;
	window_begin(i,
		     i->allowed <= 0 ||
			     now_us - i->checked_us > LOOK_EVERY_US ||
			     (turned && now_us - i->looked_us > LOOK_APART_US),
		     now_us);
}

static void grow_credit(struct idle *i, uint64_t now_us)
{
	double most = i->allowed * CREDIT_US;

	if (most < CREDIT_LEAST_US)
		most = CREDIT_LEAST_US;
	i->credit_us += i->allowed * (double)(now_us - i->credited_us);
	i->credited_us = now_us;
	if (i->credit_us > most)
		i->credit_us = most;
}

static uint64_t window_us(const struct idle *i)
{
	return i->looking ? LOOK_US : WINDOW_US;
}

void idle_used(struct idle *i, uint64_t processor_us)
{
	i->used_us += (double)processor_us;
	i->credit_us -= (double)processor_us;
}

bool idle_may_work(struct idle *i, uint64_t now_us)
{
	if (i->asked_us == 0 || now_us - i->asked_us > STALE_US) {
		i->allowed = i->credit_us = 0;
		i->credited_us = now_us;
		window_begin(i, true, now_us);
	}
	i->asked_us = now_us;
	if (now_us - i->began_us >= window_us(i))
		window_end(i, now_us);
	grow_credit(i, now_us);
	return !i->looking && i->credit_us > 0;
}

uint64_t idle_next_us(const struct idle *i)
{
	uint64_t end = i->began_us + window_us(i), paid;

	if (i->looking || i->allowed <= 0)
		return end;
	if (i->credit_us > 0)
		return 0;
	paid = i->credited_us + (uint64_t)(-i->credit_us / i->allowed) + 1;
	return paid < end ? paid : end;
}
