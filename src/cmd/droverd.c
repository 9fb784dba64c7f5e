/* SPDX-License-Identifier: MIT */

/*
 * droverd: reads the settings, starts the service and its control API, waits
 * for SIGTERM or SIGINT and takes both down again; at SIGHUP it reads the
 * settings again.  The signals are blocked before the first thread starts, so
 * that only the main thread ever sees them.
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/descriptors.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/words.h"
#include "cmd/notify.h"
#include "cmd/outcome.h"
#include "control/control.h"
#include "host/check.h"
#include "host/host.h"
#include "host/settings.h"

#define DEFAULT_CONFIG "/etc/drover/drover.conf"

struct options {
	const char *config; /* NULL: the default, if it is there */
	bool check;
};

static int print_help(void)
{
	printf("Usage: droverd [OPTION]...\n\n"
	       "The service that moves this host's virtual machines; drover "
	       "talks to it.\n\n"
	       "  -c, --config FILE  the configuration, else\n"
	       "                     %s\n"
	       "  -v, --verbose      log more\n"
	       "      --check        say what is wrong with the configuration, "
	       "and end\n"
	       "      --help         this text\n"
	       "      --version      the version\n",
	       DEFAULT_CONFIG);
	return STATUS_DONE;
}

/* -1: go on; otherwise the exit status. */
static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option all[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "check", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	while ((c = getopt_long(argc, argv, "c:vh", all, NULL)) != -1) {
		if (c == 'c') {
			o->config = optarg;
		} else if (c == 'v') {
			log_set_level(LOG_DEBUG);
		} else if (c == 'k') {
			o->check = true;
		} else if (c == 'h') {
			return print_help();
		} else if (c == 'V') {
			printf("droverd %s\n", DROVER_VERSION);
			return STATUS_DONE;
		} else {
			fprintf(stderr, "try 'droverd --help'\n");
			return STATUS_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr,
		"droverd: '%s' is one word too many; try 'droverd --help'\n",
		argv[optind]);
	return STATUS_USAGE;
}

static void block_signals(sigset_t *ret_wait)
{
	sigemptyset(ret_wait);
	sigaddset(ret_wait, SIGTERM);
	sigaddset(ret_wait, SIGINT);
	sigaddset(ret_wait, SIGHUP);
	pthread_sigmask(SIG_BLOCK, ret_wait, NULL);
	/* A peer or client that leaves is an error of one write. */
	signal(SIGPIPE, SIG_IGN);
}

static void reload(struct host *h)
{
	struct error e;

	if (host_reload(h, &e) < 0)
		log_error("reload: %s: the settings stay as they were", e.text);
	else
		log_info("reload: the settings were read again");
}

static void wait_for_the_end(const sigset_t *wait, struct host *h)
{
	int sig = 0;

	while (sigwait(wait, &sig) == 0 && sig == SIGHUP)
		reload(h);
	log_info("signal %d: ending", sig);
}

static int serve(struct settings *s, const struct settings_source *from,
		 struct error *e)
{
	const struct host_settings *own = &s->host;
	struct sockaddr_in metrics;
	const struct control_options api = { .metrics = own->metrics ? &metrics
								     : NULL,
					     .socket = own->socket,
					     .group = own->group,
					     .read_group = own->read_group,
					     .folder = own->state_directory };
	struct control *control;
	struct host *host;
	sigset_t wait;
	int r;

	if (own->metrics &&
	    (r = metrics_address(&metrics, own->metrics, e)) < 0)
		return r;
	descriptors_raise();
	block_signals(&wait);
	/* A second daemon must not touch the machines of the first. */
	if ((r = control_check_free(own->socket, e)) < 0)
		return r;
	if ((r = host_start(&host, s, from, e)) < 0)
		return r;
	r = control_start(&control, host, &api, e);
	if (r < 0) {
		host_stop(host);
		return r;
	}
	notify_send("READY=1");
	log_info("droverd %s serves %s", DROVER_VERSION, own->socket);

	wait_for_the_end(&wait, host);
	notify_send("STOPPING=1");
	control_stop(control);
	host_stop(host);
	return 0;
}

/* --- droverd --check */

static void say(const char *what, const struct words *sentences)
{
	for (size_t i = 0; i < sentences->count; i++)
		printf("%s: %s\n", what, sentences->at[i]);
}

/* The exit status; below zero: a look could not be taken. */
static int check(const struct settings *s, const struct settings_source *from,
		 struct error *e)
{
	SCOPED(check_done) struct check found = { 0 };

	if (settings_check(&found, s, from, e) < 0)
		return error_code(e);
	say("unknown", &found.unknown);
	say("wrong", &found.wrong);
	say("note", &found.notes);
	if (found.unknown.count > 0)
		return STATUS_USAGE;
	if (found.wrong.count > 0)
		return STATUS_REFUSED;
	printf("%s: the configuration is good\n", from->path);
	return STATUS_DONE;
}

static int run(const struct options *o, struct error *e)
{
	/* A host that nobody configured yet runs on the defaults; a file that
	 * was named has to be there. */
	const struct settings_source from = {
		.path = o->config ? o->config : DEFAULT_CONFIG,
		.optional = !o->config,
	};
	AUTO_SETTINGS struct settings *settings = NULL;

	if (settings_load(&settings, &from, e) < 0)
		return error_code(e);
	if (o->check)
		return check(settings, &from, e);
	settings_warn(settings);
	return serve(settings, &from, e);
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct error e = { 0 };
	int r = parse_options(&o, argc, argv);

	if (r >= 0)
		return r;
	r = run(&o, &e);
	if (r < 0)
		fprintf(stderr, "droverd: %s\n", e.text);
	if (o.check)
		return r < 0 ? (int)outcome_of_code(r)->status : r;
	return r < 0 ? STATUS_FAILED : STATUS_DONE;
}
