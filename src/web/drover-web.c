/* SPDX-License-Identifier: MIT */

/*
 * drover-web: finds what to listen on, starts a server for each, waits for
 * SIGTERM or SIGINT.  The sockets are those that systemd has opened
 * (sd_listen_fds(3)), or those of the command line, or the default one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/words.h"
#include "cmd/outcome.h"
#include "control/gate.h"
#include "web/server.h"
#include "web/upstream.h"

#define DEFAULT_SOCKET "/run/drover/drover.sock"
#define DEFAULT_LISTEN "/run/drover/web.sock"

enum { FIRST_FD = 3 };

struct options {
	const char *socket; /* droverd's */
	const char *listen; /* NULL: see above */
	uint64_t port;      /* 0: none */
	struct words names;
};

static void options_done(struct options *o)
{
	words_done(&o->names);
}

static int print_help(void)
{
	printf("Usage: drover-web [OPTION]...\n\n"
	       "Shows in a browser what droverd does, and changes nothing.\n\n"
	       "  -S, --socket PATH  droverd's socket, else\n"
	       "                     %s\n"
	       "  -l, --listen PATH  the socket to serve the page on, else\n"
	       "                     %s\n"
	       "  -p, --port PORT    serve it on this port of 127.0.0.1, to "
	       "who "
	       "has the\n"
	       "                     token in the address that is printed\n"
	       "  -n, --name NAME    answer to this name of the host too\n"
	       "      --help         this text\n"
	       "      --version      the version\n",
	       DEFAULT_SOCKET, DEFAULT_LISTEN);
	return STATUS_DONE;
}

static int take_option(struct options *o, int c, struct error *e)
{
	int r = 0;

	if (c == 'S') {
		o->socket = optarg;
	} else if (c == 'l') {
		o->listen = optarg;
	} else if (c == 'n') {
		r = words_add(&o->names, optarg, e);
	} else if (c == 'p') {
		r = text_parse_number(&o->port, optarg, 1, 65535, e);
		if (r < 0)
			r = error_in(e, "--port");
	}
	return r;
}

/* -1: go on; otherwise the exit status. */
static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option all[] = {
		{ "socket", required_argument, NULL, 'S' },
		{ "listen", required_argument, NULL, 'l' },
		{ "port", required_argument, NULL, 'p' },
		{ "name", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct error e;
	int c;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	while ((c = getopt_long(argc, argv, "S:l:p:n:h", all, NULL)) != -1) {
		if (c == 'h')
			return print_help();
		if (c == 'V') {
			printf("drover-web %s\n", DROVER_VERSION);
			return STATUS_DONE;
		}
		if (c == '?') {
			fprintf(stderr, "try 'drover-web --help'\n");
			return STATUS_USAGE;
		}
		if (take_option(o, c, &e) < 0) {
			fprintf(stderr, "drover-web: %s\n", e.text);
			return STATUS_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr,
		"drover-web: '%s' is one word too many; try 'drover-web "
		"--help'\n",
		argv[optind]);
	return STATUS_USAGE;
}

/* --- doors */

/* What stands while the page is served. */
struct doors {
	struct upstream *upstream;
	struct web_server *local, *port;
	struct gate gate; /* of @local where we made it */
	bool gated;
	char token[WEB_TOKEN_CAP], cookie[WEB_COOKIE_CAP];
};

/* How many sockets systemd has opened for us. */
static int activated(void)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	char own[16];

	snprintf(own, sizeof(own), "%d", (int)getpid());
	return pid && n && !strcmp(pid, own) ? (int)strtol(n, NULL, 10) : 0;
}

static int open_local(struct doors *d, const struct options *o, struct error *e)
{
	struct web_listens on = { .fd = FIRST_FD, .door.names = &o->names };

	if (o->listen || activated() != 1) {
		const char *path = o->listen ? o->listen : DEFAULT_LISTEN;

		if (gate_open(&d->gate, path, getegid(), e) < 0)
			return error_code(e);
		d->gated = true;
		on.fd = d->gate.fd;
		d->gate.fd = -1;
	} else {
		fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC);
	}
	return web_start(&d->local, d->upstream, &on, e);
}

static int listen_here(uint16_t port, struct error *e)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const int yes = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, WEB_READERS) < 0)
		return error_sys(e, "listen on 127.0.0.1:%u", (unsigned)port);
	return take_fd(&fd);
}

/* Any user of the host may connect: a token says who was told to. */
static int open_port(struct doors *d, const struct options *o, struct error *e)
{
	struct web_listens on = { .door = { d->token, &o->names },
				  .cookie = d->cookie };
	uint8_t bits[(WEB_TOKEN_CAP - 1) / 2];
	int r;

	if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
		return error_sys(e, "random numbers for the token");
	text_hex(d->token, sizeof(d->token), bits, sizeof(bits));
	/* A browser gives a host's cookies to all of its ports. */
	snprintf(d->cookie, sizeof(d->cookie), "drover-%u", (unsigned)o->port);
	if ((r = listen_here((uint16_t)o->port, e)) < 0)
		return r;
	on.fd = r;
	if ((r = web_start(&d->port, d->upstream, &on, e)) < 0)
		return r;
	printf("http://127.0.0.1:%u/#token=%s\n", (unsigned)o->port, d->token);
	fflush(stdout);
	return 0;
}

static void close_doors(struct doors *d)
{
	/* First the file, so that who comes now is told that nobody serves. */
	if (d->gated)
		gate_close(&d->gate);
	web_stop(d->local);
	web_stop(d->port);
	upstream_free(d->upstream);
}

static int open_doors(struct doors *d, const struct options *o, struct error *e)
{
	int r;

	d->upstream = upstream_new(o->socket);
	if (!d->upstream)
		return error_set(e, ENOMEM, "no memory for the page");
	if (o->port && (r = open_port(d, o, e)) < 0)
		return r;
	if (o->listen || !o->port)
		return open_local(d, o, e);
	return 0;
}

static int serve(const struct options *o, struct error *e)
{
	SCOPED(close_doors) struct doors d = { 0 };
	sigset_t wait;
	int r, sig;

	sigemptyset(&wait);
	sigaddset(&wait, SIGTERM);
	sigaddset(&wait, SIGINT);
	pthread_sigmask(SIG_BLOCK, &wait, NULL);
	signal(SIGPIPE, SIG_IGN);
	if ((r = open_doors(&d, o, e)) < 0)
		return r;
	log_info("drover-web %s shows %s", DROVER_VERSION, o->socket);
	sigwait(&wait, &sig);
	log_info("signal %d: ending", sig);
	return 0;
}

int main(int argc, char **argv)
{
	SCOPED(options_done) struct options o = { .socket = DEFAULT_SOCKET };
	struct error e = { 0 };
	int r = parse_options(&o, argc, argv);

	if (r >= 0)
		return r;
	r = serve(&o, &e);
	if (r < 0)
		fprintf(stderr, "drover-web: %s\n", e.text);
	return r < 0 ? STATUS_FAILED : STATUS_DONE;
}
