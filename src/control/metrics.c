/* SPDX-License-Identifier: MIT */

/*
 * A family is a line that says what it is, one with its type, and its values,
 * all together.  Units are bytes and seconds, what only grows ends in _total,
 * and no label takes values without end: a machine's name stands on what runs
 * now and nowhere else.
 */
#include "control/metrics.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "control/api.h"
#include "host/sample.h"

static void family(FILE *f, const char *name, const char *type,
		   const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(FILE *f, const char *name, const char *type,
		   const char *help, double value)
{
	family(f, name, type, help);
	fprintf(f, "%s %.17g\n", name, value);
}

/* NAME="TEXT" with what the format asks to be escaped. */
static void label(FILE *f, const char *before, const char *name,
		  const char *text)
{
	fprintf(f, "%s%s=\"", before, name);
	for (; *text; text++) {
		if (*text == '\n') {
			fputs("\\n", f);
			continue;
		}
		if (*text == '\\' || *text == '"')
			fputc('\\', f);
		fputc(*text, f);
	}
	fputc('"', f);
}

/* --- cards */

/* A value of each card, or of each of its two directions or of four kinds. */
struct card_row {
	const char *extra; /* a second label, or "" */
	size_t offset;     /* of a counter */
};

#define OF(member) offsetof(struct counter, member)

static const struct card_family {
	const char *name, *help;
	struct card_row rows[3]; /* ends with one without .extra */
} card_families[] = {
	{ "drover_card_transmit_bytes_total",
	  "Bytes that the card has sent, as the kernel counts them.",
	  { { "", OF(tx_bytes) } } },
	{ "drover_card_receive_bytes_total",
	  "Bytes that the card has received, as the kernel counts them.",
	  { { "", OF(rx_bytes) } } },
	{ "drover_card_transmit_packets_total",
	  "Packets that the card has sent.",
	  { { "", OF(tx_packets) } } },
	{ "drover_card_receive_packets_total",
	  "Packets that the card has received.",
	  { { "", OF(rx_packets) } } },
	{ "drover_card_errors_total",
	  "Packets that the card has sent or received with errors.",
	  { { ",direction=\"transmit\"", OF(tx_errors) },
	    { ",direction=\"receive\"", OF(rx_errors) } } },
	{ "drover_card_drops_total",
	  "Packets that were dropped for want of room.",
	  { { ",direction=\"transmit\"", OF(tx_dropped) },
	    { ",direction=\"receive\"", OF(rx_dropped) } } },
};

#undef OF

static void put_card_family(FILE *f, const struct sample *s,
			    const struct card_family *c)
{
	family(f, c->name, "counter", c->help);
	for (unsigned i = 0; i < s->cards_count; i++)
		for (const struct card_row *r = c->rows; r->extra; r++) {
			const char *at = (const char *)&s->cards[i].count;
			uint64_t value;

			memcpy(&value, at + r->offset, sizeof(value));
			fputs(c->name, f);
			label(f, "{", "device", s->cards[i].name);
			fprintf(f, "%s} %llu\n", r->extra,
				(unsigned long long)value);
		}
}

static void put_of_card(FILE *f, const char *name, const char *device,
			double value)
{
	fputs(name, f);
	label(f, "{", "device", device);
	fprintf(f, "} %.17g\n", value);
}

static void put_cards(FILE *f, const struct sample *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(card_families); i++)
		put_card_family(f, s, &card_families[i]);
	family(f, "drover_card_up", "gauge",
	       "1 where the card is up and has a carrier.");
	for (unsigned i = 0; i < s->cards_count; i++)
		put_of_card(f, "drover_card_up", s->cards[i].name,
			    s->cards[i].up && s->cards[i].carrier);
	family(f, "drover_card_speed_bytes", "gauge",
	       "Bytes a second that the card says it does; left out where it "
	       "says nothing.");
	for (unsigned i = 0; i < s->cards_count; i++)
		if (s->cards[i].speed_mbit)
			put_of_card(f, "drover_card_speed_bytes",
				    s->cards[i].name,
				    s->cards[i].speed_mbit * 125000.0);
}

/* --- jobs */

static double remaining(const struct sample_job *j)
{
	return (double)j->remaining;
}

static double dirty(const struct sample_job *j)
{
	return (double)j->dirty_rate;
}

static double rate(const struct sample_job *j)
{
	return (double)j->rate;
}

static double channels(const struct sample_job *j)
{
	return j->channels;
}

static double outage(const struct sample_job *j)
{
	return j->outage;
}

static const struct job_family {
	const char *name, *help;
	double (*of)(const struct sample_job *j);
} job_families[] = {
	{ "drover_move_remaining_bytes",
	  "Memory that a move that runs has still to send.", remaining },
	{ "drover_move_dirty_bytes_per_second",
	  "What the guest of a move that runs writes.", dirty },
	{ "drover_move_rate_bytes_per_second",
	  "What a move that runs sends now.", rate },
	{ "drover_move_channels", "Connections that a move that runs has.",
	  channels },
	{ "drover_move_outage",
	  "1 while a move that runs has no way to its peer.", outage },
};

/* On a host that moves to itself both ends of a move are there. */
static void put_running(FILE *f, const struct sample *s)
{
	for (size_t n = 0; n < ARRAY_SIZE(job_families); n++) {
		const struct job_family *a = &job_families[n];

		family(f, a->name, "gauge", a->help);
		for (unsigned i = 0; i < s->jobs_count; i++) {
			const struct sample_job *j = &s->jobs[i];

			if (j->kind != JOB_MOVE || j->waits)
				continue;
			fputs(a->name, f);
			label(f, "{", "machine", j->machine);
			label(f, ",", "role", role_names[j->role]);
			label(f, ",", "peer", j->peer);
			fprintf(f, "} %.17g\n", a->of(j));
		}
	}
}

static void put_phases(FILE *f, const struct sample *s)
{
	/* Each that there is, so that none comes and goes. */
	static const char *const phases[] = {
		"waiting", "check",    "hooks",    "connect",
		"disks",   "prepare",  "pre-copy", "switchover",
		"commit",  "clean-up", "other",
	};
	const size_t other = ARRAY_SIZE(phases) - 1;
	unsigned counts[ARRAY_SIZE(phases)] = { 0 };

	for (unsigned i = 0; i < s->jobs_count; i++) {
		size_t n = 0;

		if (s->jobs[i].kind != JOB_MOVE)
			continue;
		while (n < other && strcmp(phases[n], s->jobs[i].stage) != 0)
			n++;
		counts[n]++;
	}
	family(f, "drover_moves", "gauge",
	       "Moves that there are, in either direction, by their stage.");
	for (size_t n = 0; n <= other; n++)
		fprintf(f, "drover_moves{phase=\"%s\"} %u\n", phases[n],
			counts[n]);
}

static const char *reason_of(int why)
{
	return why == ERROR_AS_CODE ? "none"
				    : error_kind_name((enum error_kind)why);
}

/* Those that nobody has ever failed by are there for moves that are done,
 * failed or cancelled alone. */
static bool is_always_there(int result, int why)
{
	return result == JOB_FAILED - JOB_DONE ? why == ERROR_FAILED
					       : why == ERROR_AS_CODE;
}

/* @at: four numbers that say which. */
static void put_result(FILE *f, const char *name, const int at[static 3],
		       uint64_t count)
{
	fputs(name, f);
	label(f, "{", "role", role_names[at[0]]);
	label(f, ",", "result", job_state_names[JOB_DONE + at[1]]);
	label(f, ",", "reason", reason_of(at[2]));
	fprintf(f, "} %llu\n", (unsigned long long)count);
}

static void put_results(FILE *f, const struct sample *s, enum job_kind kind,
			const char *name, const char *help)
{
	family(f, name, "counter", help);
	for (int n = 0; n < ROLES * SAMPLE_RESULTS * ERROR_KINDS; n++) {
		const int at[] = { n / (SAMPLE_RESULTS * ERROR_KINDS),
				   n / ERROR_KINDS % SAMPLE_RESULTS,
				   n % ERROR_KINDS };
		uint64_t count = s->ended.jobs[kind][at[0]][at[1]][at[2]];

		if (count || is_always_there(at[1], at[2]))
			put_result(f, name, at, count);
	}
}

static void put_histogram(FILE *f, const char *name, const char *help,
			  const struct sample_histogram *h)
{
	unsigned long long all = 0;

	family(f, name, "histogram", help);
	for (int i = 0; i < SAMPLE_BUCKETS - 1; i++) {
		all += h->counts[i];
		fprintf(f, "%s_bucket{le=\"%g\"} %llu\n", name,
			sample_limits[i], all);
	}
	all += h->counts[SAMPLE_BUCKETS - 1];
	fprintf(f, "%s_bucket{le=\"+Inf\"} %llu\n", name, all);
	fprintf(f, "%s_sum %.17g\n%s_count %llu\n", name, h->sum, name, all);
}

/* Of moves away, from the begin of the service on. */
static void put_flow(FILE *f, const struct job_flow *flow)
{
	static const char *const kinds[RUN_KINDS] = {
		[RUN_DATA] = "data",   [RUN_ZERO] = "zero",
		[RUN_FILL] = "filled", [RUN_SAME] = "unchanged",
		[RUN_DELTA] = "delta",
	};

	family(f, "drover_pages_sent_total", "counter",
	       "Pages that moves away have sent, by the form in which they "
	       "left.");
	for (int i = 0; i < RUN_KINDS; i++)
		if (kinds[i])
			fprintf(f,
				"drover_pages_sent_total{kind=\"%s\"} %llu\n",
				kinds[i],
				(unsigned long long)flow->pages.of[i]);
	family(f, "drover_sent_bytes_total", "counter",
	       "Bytes that moves away have sent, all of them.");
	fprintf(f,
		"drover_sent_bytes_total{transport=\"tcp\"} %llu\n"
		"drover_sent_bytes_total{transport=\"rdma\"} %llu\n",
		(unsigned long long)flow->sent, (unsigned long long)flow->rdma);
}

static void put_jobs(FILE *f, const struct sample *s)
{
	put_phases(f, s);
	single(f, "drover_jobs_running", "gauge",
	       "Jobs of any kind that run, without those that wait.",
	       s->running);
	single(f, "drover_jobs_waiting", "gauge",
	       "Jobs that wait for their turn.", s->waiting);
	single(f, "drover_jobs_in_doubt", "gauge",
	       "Moves of which nobody knows who has the guest.", s->doubtful);
	put_running(f, s);
	put_results(f, s, JOB_MOVE, "drover_moves_finished_total",
		    "Moves that have ended since the service was started.");
	put_results(f, s, JOB_UPDATE, "drover_updates_finished_total",
		    "Updates in place that have ended since then.");
	put_results(f, s, JOB_RELAY, "drover_relays_finished_total",
		    "Relays that have ended since then.");
	put_histogram(f, "drover_move_duration_seconds",
		      "How long moves away took that are done.",
		      &s->ended.duration);
	put_histogram(f, "drover_move_downtime_seconds",
		      "How long the guests of these stood still.",
		      &s->ended.downtime);
	put_flow(f, &s->ended.flow);
	single(f, "drover_resent_bytes_total", "counter",
	       "Bytes that moves away that have ended sent again.",
	       (double)s->ended.resent);
}

/* --- the host */

static void put_qemu(FILE *f, const struct sample *s)
{
	family(f, "drover_qemu_info", "gauge",
	       "The QEMU that starts take, once it has been asked.");
	if (s->qemu_major > 0)
		fprintf(f, "drover_qemu_info{version=\"%d.%d.%d\"} 1\n",
			s->qemu_major, s->qemu_minor, s->qemu_micro);
}

static void put_host(FILE *f, const struct sample *s)
{
	family(f, "drover_build_info", "gauge", "The version that runs.");
	fputs("drover_build_info", f);
	label(f, "{", "version", DROVER_VERSION);
	fputs("} 1\n", f);
	put_qemu(f, s);
	single(f, "drover_sample_timestamp_seconds", "gauge",
	       "When all this was looked at, since 1970.",
	       (double)s->wall_us / USEC_PER_SEC);
	single(f, "drover_machines", "gauge", "Machines of this host.",
	       s->machines);
	single(f, "drover_guests_running", "gauge",
	       "Machines that have a QEMU.", s->guests);
	single(f, "drover_guests_cpu_seconds_total", "counter",
	       "Processor time of all QEMUs of this host's machines.",
	       s->guests_cpu);
	single(f, "drover_memory_size_bytes", "gauge",
	       "Memory that the host has.", (double)s->memory_total);
	single(f, "drover_memory_available_bytes", "gauge",
	       "Memory that the service could still take.",
	       (double)s->memory_available);
	single(f, "process_cpu_seconds_total", "counter",
	       "Processor time of the service.", s->own_cpu);
	single(f, "process_resident_memory_bytes", "gauge",
	       "Memory that the service has.", (double)s->resident);
	single(f, "process_open_fds", "gauge",
	       "Files that the service has open.", s->open_files);
	single(f, "process_start_time_seconds", "gauge",
	       "When the service was started, since 1970.", s->started);
}

char *metrics_text(const struct sample *s)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool failed;

	if (!f)
		return NULL;
	put_host(f, s);
	put_cards(f, s);
	put_jobs(f, s);
	failed = ferror(f) != 0;
	if (fclose(f) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}

int metrics_show(struct host *h, const struct api_call *c, char **ret,
		 struct error *e)
{
	AUTO_FREE struct sample *s = malloc(sizeof(*s));

	(void)c;
	if (!s)
		return error_set(e, ENOMEM, "no memory for the answer");
	if (host_sample(h, s, e) < 0)
		return error_code(e);
	*ret = metrics_text(s);
	return *ret ? 0 : error_set(e, ENOMEM, "no memory for the answer");
}
