/* SPDX-License-Identifier: MIT */

/*
 * GET /metrics over TCP, and nothing else: for Prometheus, which reads no unix
 * socket.  Of this host alone: whoever listens elsewhere stands in front.
 */
#pragma once

#include <netinet/in.h>

struct error;
struct host;
struct scrape;

int scrape_start(struct scrape **ret, struct host *h,
		 const struct sockaddr_in *at, struct error *e);
void scrape_stop(struct scrape *s); /* NULL is fine */
