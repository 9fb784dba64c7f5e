/* SPDX-License-Identifier: MIT */

/*
 * What TLS costs on a channel: frames of 256 KiB over loopback, plain and
 * secure, in turns; and their records alone, sealed and opened by one thread,
 * below which no secure channel comes.
 *
 *     secure [GIB] [RUNS]
 *
 * Prints processor seconds of both ends (in programs and in the kernel), the
 * time, and the changes of context for each GiB.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/error.h"
#include "channel/channel.h"
#include "channel/record.h"
#include "channel/secure.h"
#include "trust/certificate.h"
#include "trust/context.h"

enum { PAGES = 64, PAGE = 4096, HEAD = 40, FRAME = HEAD + PAGES * PAGE };

static uint64_t frames;
static uint8_t *memory;

static void must(int r, const struct error *e)
{
	if (r >= 0)
		return;
	fprintf(stderr, "secure: %s\n", e->text);
	exit(1);
}

static SSL_CTX *make_context(void)
{
	struct signed_key ca, host;
	struct error e;
	SSL_CTX *c;
	char *certificate;
	int64_t now = time(NULL);

	must(authority_new(&ca, "drover", now, &e), &e);
	must(request_new(&host, "alpha", &e), &e);
	must(certificate_sign(&certificate,
			      &(struct signing){ .authority = &ca,
						 .request = host.certificate,
						 .name = "alpha",
						 .from_s = now - 1,
						 .days = 1,
						 .serial = 2 },
			      &e),
	     &e);
	must(context_new(&c,
			 &(struct context_parts){ ca.certificate, certificate,
						  host.key },
			 &e),
	     &e);
	return c;
}

static void make_frame(uint8_t head[HEAD], struct iovec iov[1 + PAGES])
{
	memset(head, 0, HEAD);
	iov[0] = (struct iovec){ head, HEAD };
	for (size_t k = 0; k < PAGES; k++)
		iov[1 + k] = (struct iovec){ memory + k * PAGE, PAGE };
}

static void *sender(void *arg)
{
	struct channel *c = arg;
	struct error e;

	for (uint64_t i = 0; i < frames; i++) {
		uint8_t head[HEAD];
		struct iovec iov[1 + PAGES];

		make_frame(head, iov);
		must(c->kind->write(c, iov, 1 + PAGES, &e), &e);
	}
	return NULL;
}

static void receive(struct channel *c)
{
	uint8_t *frame = malloc(FRAME);
	struct error e;

	for (uint64_t i = 0; i < frames; i++)
		must(channel_read_all(c, frame, FRAME, USEC_NEVER, &e), &e);
	free(frame);
}

static struct channel *make_secure(struct channel *c, SSL_CTX *context,
				   bool accepts)
{
	const struct secure_options o = { .context = context,
					  .accepts = accepts };
	struct error e;

	must(channel_secure(&c, &o, clock_us() + 5 * USEC_PER_SEC, &e), &e);
	return c;
}

static SSL_CTX *context;

static void *accept_secure(void *arg)
{
	struct channel **c = arg;

	*c = make_secure(*c, context, true);
	return NULL;
}

static void connect_ends(struct channel *ends[2], bool secure)
{
	struct channel_way way = { .host = "127.0.0.1" };
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	pthread_t other;
	struct error e;
	int fd;

	must(channel_kinds[0]->listen(&fd, "127.0.0.1", 0, &e), &e);
	getsockname(fd, (struct sockaddr *)&at, &len);
	way.port = ntohs(at.sin_port);
	must(channel_kinds[0]->dial(&ends[0], &way, USEC_NEVER, -1, &e), &e);
	poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
	must(channel_kinds[0]->accept(&ends[1], fd, 0, &e), &e);
	close(fd);
	if (!secure)
		return;
	pthread_create(&other, NULL, accept_secure, &ends[1]);
	ends[0] = make_secure(ends[0], context, false);
	pthread_join(other, NULL);
}

struct used {
	double user_s, system_s, turns;
};

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct used used_now(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (struct used){ seconds(r.ru_utime), seconds(r.ru_stime),
			      (double)(r.ru_nvcsw + r.ru_nivcsw) };
}

static void run(bool secure, double gib)
{
	struct channel *ends[2];
	pthread_t writes;
	uint64_t began;
	struct used before, after;

	connect_ends(ends, secure);
	began = clock_us();
	before = used_now();
	pthread_create(&writes, NULL, sender, ends[0]);
	receive(ends[1]);
	pthread_join(writes, NULL);
	after = used_now();
	printf("%-6s %.3f + %.3f s of processors, %.3f s, %.0f turns, each "
	       "GiB\n",
	       secure ? "tls" : "plain", (after.user_s - before.user_s) / gib,
	       (after.system_s - before.system_s) / gib,
	       (double)(clock_us() - began) / 1e6 / gib,
	       (after.turns - before.turns) / gib);
	channel_free(ends[0]);
	channel_free(ends[1]);
}

static void seal_and_open(struct record_keys *seals, struct record_keys *opens)
{
	static uint8_t record[RECORD_MOST], content[RECORD_CONTENT];
	struct iovec iov[1 + PAGES], *at = iov;
	int n = 1 + PAGES, len;
	uint8_t head[HEAD], type;
	struct error e;

	make_frame(head, iov);
	while (n > 0) {
		len = record_seal(seals, RECORD_DATA, &at, &n, record, &e);
		must(len, &e);
		must(record_open(opens, record, (size_t)len, content, &type,
				 &e),
		     &e);
	}
}

static void run_alone(double gib)
{
	static const uint8_t secret[RECORD_SECRET];
	const SSL_CIPHER *first =
		sk_SSL_CIPHER_value(SSL_CTX_get_ciphers(context), 0);
	struct record_keys seals, opens;
	struct used before, after;
	struct error e;

	must(record_keys_init(&seals, first, secret, true, &e), &e);
	must(record_keys_init(&opens, first, secret, false, &e), &e);
	before = used_now();
	for (uint64_t i = 0; i < frames; i++)
		seal_and_open(&seals, &opens);
	after = used_now();
	printf("%-6s %.3f s of a processor, each GiB (%s)\n", "alone",
	       (after.user_s - before.user_s) / gib,
	       SSL_CIPHER_get_name(first));
	record_keys_done(&seals);
	record_keys_done(&opens);
}

int main(int argc, char **argv)
{
	double gib = argc > 1 ? atof(argv[1]) : 2;
	int runs = argc > 2 ? atoi(argv[2]) : 5;

	frames = (uint64_t)(gib * (1 << 30)) / FRAME;
	memory = malloc((size_t)PAGES * PAGE);
	memset(memory, 0x5a, (size_t)PAGES * PAGE);
	context = make_context();
	for (int i = 0; i < runs; i++) {
		run(false, gib);
		run(true, gib);
		run_alone(gib);
	}
	return 0;
}
