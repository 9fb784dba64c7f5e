/* SPDX-License-Identifier: MIT */

/* Certificates, and connections over loopback that are proved with them. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "certified.h"
#include "channel/channel.h"
#include "channel/secure.h"
#include "trust/certificate.h"
#include "trust/context.h"

enum { DAY_S = 86400 };

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

static int make_world(void **state)
{
	struct certifier *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	certifier_init(w);
	*state = w;
	return 0;
}

static int end_world(void **state)
{
	certifier_done(*state);
	free(*state);
	return 0;
}

/* --- two ends */

struct end {
	struct channel *channel;
	struct secure_options options;
	struct error error;
	int result;
	pthread_t thread;
};

static void *secure_main(void *arg)
{
	struct end *d = arg;

	d->result = channel_secure(&d->channel, &d->options,
				   clock_us() + 3 * USEC_PER_SEC, &d->error);
	/* Who sends what he has proved nothing of is cut off. */
	if (d->result < 0)
		d->channel->kind->shutdown(d->channel);
	return NULL;
}

static void connect_ends(struct end *dials, struct end *accepts)
{
	struct channel_way way = { .host = "127.0.0.1" };
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	struct error e;
	int fd;

	assert_int_equal(channel_kinds[0]->listen(&fd, "127.0.0.1", 0, &e), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	way.port = ntohs(at.sin_port);
	assert_int_equal(channel_kinds[0]->dial(&dials->channel, &way,
						clock_us() + USEC_PER_SEC, -1,
						&e),
			 0);
	poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 1000);
	assert_int_equal(channel_kinds[0]->accept(&accepts->channel, fd, 0, &e),
			 0);
	close(fd);
}

static void shake_hands(struct end *dials, struct end *accepts)
{
	accepts->options.accepts = true;
	connect_ends(dials, accepts);
	pthread_create(&accepts->thread, NULL, secure_main, accepts);
	secure_main(dials);
	pthread_join(accepts->thread, NULL);
}

static void close_end(struct end *d)
{
	channel_free(d->channel);
	context_free(d->options.context);
}

/* --- what is carried */

enum { CHUNK = 300001 };

struct flow {
	struct end *from, *to;
	uint64_t bytes;
	pthread_t writer, reader;
	struct error error;
};

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(at * 2654435761U >> 13);
}

static void *writer_main(void *arg)
{
	struct flow *f = arg;
	uint8_t *data = malloc(CHUNK);
	struct channel *c = f->from->channel;

	for (uint64_t at = 0; at < f->bytes; at += CHUNK) {
		struct iovec iov[3] = { { data, 7 },
					{ data + 7, 0 },
					{ data + 7, CHUNK - 7 } };

		for (size_t i = 0; i < CHUNK; i++)
			data[i] = byte_at(at + i);
		if (c->kind->write(c, iov, 3, &f->error) < 0)
			abort();
	}
	c->kind->finish(c);
	free(data);
	return NULL;
}

static void *reader_main(void *arg)
{
	struct flow *f = arg;
	uint8_t *data = malloc(CHUNK);
	struct channel *c = f->to->channel;
	uint64_t at = 0;
	ssize_t n;

	while ((n = c->kind->read(c, data, CHUNK, clock_us() + 5 * USEC_PER_SEC,
				  &f->error)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (data[i] != byte_at(at + (uint64_t)i))
				abort();
		at += (uint64_t)n;
	}
	if (n < 0)
		abort();
	f->bytes = at;
	free(data);
	return NULL;
}

static void both_ways_at_once(struct end *a, struct end *b, uint64_t bytes)
{
	struct flow there = { .from = a, .to = b, .bytes = bytes };
	struct flow back = { .from = b, .to = a, .bytes = bytes };
	struct flow there_read = there, back_read = back;

	pthread_create(&there.writer, NULL, writer_main, &there);
	pthread_create(&back.writer, NULL, writer_main, &back);
	pthread_create(&there.reader, NULL, reader_main, &there_read);
	pthread_create(&back.reader, NULL, reader_main, &back_read);
	pthread_join(there.writer, NULL);
	pthread_join(back.writer, NULL);
	pthread_join(there.reader, NULL);
	pthread_join(back.reader, NULL);
	assert_int_equal(there_read.bytes, (bytes + CHUNK - 1) / CHUNK * CHUNK);
	assert_int_equal(back_read.bytes, there_read.bytes);
}

static void two_hosts_of_a_ca_know_each_other(void **state)
{
	struct certifier *w = *state;
	struct end a = { .options.context =
				 certified_host(w, &w->authority, "alpha",
						now_s() - 10, 30) };
	struct end b = { .options.context =
				 certified_host(w, &w->authority, "beta",
						now_s() - 10, 30) };

	shake_hands(&a, &b);
	assert_int_equal(a.result, 0);
	assert_int_equal(b.result, 0);
	assert_string_equal(a.channel->identity, "beta");
	assert_string_equal(b.channel->identity, "alpha");
	assert_string_equal(a.channel->kind->name, "tls");
	both_ways_at_once(&a, &b, 8 << 20);
	close_end(&a);
	close_end(&b);
}

static void keys_change_while_both_talk(void **state)
{
	struct certifier *w = *state;
	struct end a = { .options = { .context =
					      certified_host(w, &w->authority,
							     "alpha",
							     now_s() - 10, 30),
				      .key_update_bytes = 100000 } };
	struct end b = {
		.options = { .context = certified_host(w, &w->authority, "beta",
						       now_s() - 10, 30),
			     .key_update_bytes = 70000 }
	};

	shake_hands(&a, &b);
	assert_int_equal(a.result, 0);
	both_ways_at_once(&a, &b, 32 << 20);
	close_end(&a);
	close_end(&b);
}

/* --- who is refused */

/* The dialling side hears of it at the latest when it reads. */
static const char *said_to_dialler(struct end *a)
{
	char byte;

	if (a->result < 0)
		return a->error.text;
	assert_true(a->channel->kind->read(a->channel, &byte, 1,
					   clock_us() + 3 * USEC_PER_SEC,
					   &a->error) < 0);
	return a->error.text;
}

static void assert_refused(struct certifier *w, SSL_CTX *context,
			   const char *there)
{
	struct end a = { .options.context = context };
	struct end b = { .options.context =
				 certified_host(w, &w->authority, "beta",
						now_s() - 10, 30) };

	shake_hands(&a, &b);
	assert_int_equal(b.result, -EACCES);
	if (!strstr(b.error.text, there))
		fail_msg("%s", b.error.text);
	if (!strstr(said_to_dialler(&a), "does not accept this host's"))
		fail_msg("%s", a.error.text);
	close_end(&a);
	close_end(&b);
}

static void who_cannot_prove_his_name_is_refused(void **state)
{
	struct certifier *w = *state;

	assert_refused(w,
		       certified_host(w, &w->authority, "alpha",
				      now_s() - 10 * DAY_S, 9),
		       "the certificate of host alpha expired at ");
	assert_refused(w,
		       certified_host(w, &w->authority, "alpha",
				      now_s() + DAY_S, 9),
		       "the certificate of host alpha is not valid before ");
	assert_refused(w,
		       certified_host(w, &w->other, "alpha", now_s() - 10, 9),
		       "the certificate of host alpha is not of a CA that this "
		       "host knows");
}

static void a_dialler_does_not_believe_everybody(void **state)
{
	struct certifier *w = *state;
	struct end a = { .options.context =
				 certified_host(w, &w->authority, "alpha",
						now_s() - 10, 30) };
	struct end b = { .options.context = certified_host(w, &w->other, "beta",
							   now_s() - 10, 30) };

	shake_hands(&a, &b);
	assert_int_equal(a.result, -EACCES);
	assert_non_null(strstr(a.error.text, "the certificate of host beta is "
					     "not of a CA"));
	assert_true(b.result < 0);
	close_end(&a);
	close_end(&b);
}

static void plain_text_is_no_tls(void **state)
{
	static const char hello[] = "DROVER plain hello of some bytes";
	struct certifier *w = *state;
	struct end a = { 0 };
	struct end b = {
		.options = { .context = certified_host(w, &w->authority, "beta",
						       now_s() - 10, 30),
			     .accepts = true }
	};
	struct iovec iov = { (void *)(uintptr_t)hello, sizeof(hello) };
	struct error e;

	connect_ends(&a, &b);
	assert_false(secure_is_tls((uint8_t)hello[0]));
	assert_int_equal(a.channel->kind->write(a.channel, &iov, 1, &e), 0);
	secure_main(&b);
	assert_int_equal(b.result, -EPROTO);
	assert_non_null(strstr(b.error.text, "does not speak TLS 1.3"));
	channel_free(b.channel);
	channel_free(a.channel);
	context_free(b.options.context);
}

static void silence_ends_at_the_deadline(void **state)
{
	struct certifier *w = *state;
	struct end a = { 0 };
	struct end b = {
		.options = { .context = certified_host(w, &w->authority, "beta",
						       now_s() - 10, 30),
			     .accepts = true }
	};

	connect_ends(&a, &b);
	b.result = channel_secure(&b.channel, &b.options,
				  clock_us() + USEC_PER_SEC / 10, &b.error);
	assert_int_equal(b.result, -ETIMEDOUT);
	channel_free(b.channel);
	channel_free(a.channel);
	context_free(b.options.context);
}

/* --- certificates */

static void a_request_is_signed_for_its_own_name_only(void **state)
{
	struct certifier *w = *state;
	struct signed_key asked = { 0 };
	struct signing s = { .authority = &w->authority,
			     .name = "beta",
			     .from_s = now_s(),
			     .days = 1,
			     .serial = 9 };
	AUTO_FREE char *certificate = NULL;
	struct certificate_facts facts;
	struct error e;

	assert_int_equal(request_new(&asked, "alpha", &e), 0);
	s.request = asked.certificate;
	assert_int_equal(certificate_sign(&certificate, &s, &e), -EACCES);
	assert_string_equal(e.text,
			    "host beta asks for a certificate of host alpha");
	s.name = "alpha";
	assert_int_equal(certificate_sign(&certificate, &s, &e), 0);
	assert_int_equal(certificate_read(&facts, certificate, &e), 0);
	assert_string_equal(facts.name, "alpha");
	assert_int_equal(facts.until_s, s.from_s + DAY_S);
	assert_false(facts.authority);
	assert_int_equal(strlen(facts.hash), 64);
	assert_int_equal(certificate_read(&facts, w->authority.certificate, &e),
			 0);
	assert_true(facts.authority);
	signed_key_done(&asked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_hosts_of_a_ca_know_each_other),
		cmocka_unit_test(keys_change_while_both_talk),
		cmocka_unit_test(who_cannot_prove_his_name_is_refused),
		cmocka_unit_test(a_dialler_does_not_believe_everybody),
		cmocka_unit_test(plain_text_is_no_tls),
		cmocka_unit_test(silence_ends_at_the_deadline),
		cmocka_unit_test(a_request_is_signed_for_its_own_name_only),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
