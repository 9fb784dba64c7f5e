/* SPDX-License-Identifier: MIT */

/*
 * The words of a definition, one after the other.  What QEMU would read is
 * looked at, after ${dir} and ${name} have been filled in.
 */
#include "qemu/policy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/definition.h"
#include "qemu/policy_rules.h"
#include "qemu/tap.h"

enum { BLAME_MAX = 64, SENTENCE_CAP = 640 };

void policy_blame(struct policy_run *r, const char *words, const char *fmt, ...)
{
	char why[SENTENCE_CAP / 2 + 80], text[SENTENCE_CAP],
		plain[SENTENCE_CAP];
	struct error e;
	va_list args;
	int n;

	if (r->failed || r->blame->count >= BLAME_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	n = snprintf(text, sizeof(text), "%.70s%s%.160s%s: %s", r->option,
		     words[0] ? " " : "", words,
		     strlen(words) > 160 ? "..." : "", why);
	if (n < 0 || (size_t)n >= sizeof(text))
		n = (int)sizeof(text) - 1;
	text_printable(plain, sizeof(plain), text, (size_t)n);
	if (words_add(r->blame, plain, &e) < 0) {
		r->failed = true;
		*r->error = e;
	}
}

void policy_no_memory(struct policy_run *r)
{
	r->failed = true;
	error_set(r->error, ENOMEM, "no memory for the policy");
}

/* --- what stands in keys of its own */

static void check_program(struct policy_run *r, const char *program)
{
	const struct words *w = r->policy->programs;

	if (!w || !words_have(w, program))
		policy_blame(r, program,
			     "it is not among the QEMUs that this host may "
			     "start: leave the key out, or add it to "
			     "drover.conf");
}

static void check_accelerators(struct policy_run *r, const char *list)
{
	while (*list && !r->failed) {
		size_t n = strcspn(list, ":");
		AUTO_FREE char *one = strndup(list, n);

		if (!one) {
			policy_no_memory(r);
			return;
		}
		if (n > 0)
			policy_check_properties(r, &policy_accel, one);
		list += n + (list[n] == ':');
	}
}

/* Features of a processor are many, and none is a file. */
static void check_cpu(struct policy_run *r, const char *cpu)
{
	if (strpbrk(cpu, "/:\\{}"))
		policy_blame(r, cpu,
			     "no property of a processor has such characters: "
			     "write model,feature=on,...");
}

static void check_directory(struct policy_run *r, const char *directory)
{
	if (strcmp(directory, "/") != 0)
		policy_path(r, directory, directory, PLACE_IMAGE);
}

/* A bridge leads to a network of this host, so it is named here as well. */
static void check_nic(struct policy_run *r, const struct definition_nic *nic)
{
	const struct policy_kind *k =
		policy_find_kind(&policy_device, nic->model);

	if (!bridge_find(r->policy->bridges, nic->bridge))
		policy_blame(r, nic->bridge,
			     "it is no bridge for machines of peers: add a "
			     "section [bridge %s] to drover.conf",
			     nic->bridge);
	if (!k || k->refused)
		policy_blame(r, nic->model,
			     "this model is not among those that are allowed: "
			     "use virtio-net-pci");
}

static void check_syntax(struct policy_run *r, const struct policy_syntax *s,
			 const char *key, const char *value)
{
	r->option = key;
	if (value)
		policy_check_properties(r, s, value);
}

static void check_keys(struct policy_run *r, const struct definition *d)
{
	r->option = "qemu";
	if (d->qemu)
		check_program(r, d->qemu);
	check_syntax(r, &policy_machine, "machine", d->machine);
	check_syntax(r, &policy_memory, "memory", d->memory_options);
	check_syntax(r, &policy_smp, "vcpus", d->vcpus_options);
	r->option = "accelerator";
	if (d->accelerator)
		check_accelerators(r, d->accelerator);
	r->option = "cpu";
	if (d->cpu)
		check_cpu(r, d->cpu);
	r->option = "nic";
	for (size_t i = 0; i < d->nics.count; i++)
		check_nic(r, &d->nics.at[i]);
	r->option = "directory";
	if (d->directory)
		check_directory(r, d->directory);
}

/* --- arguments */

static void check_value(struct policy_run *r, const struct policy_option *o,
			const char *value)
{
	if (o->class == POLICY_REFUSED) {
		policy_blame(r, value, "%s", o->why);
		return;
	}
	if (o->syntax)
		policy_check_properties(r, o->syntax, value);
	if (o->check)
		o->check(r, value);
}

/* Looks at what begins at @at; the number of words that it takes. */
static size_t check_words(struct policy_run *r, const struct words *w,
			  size_t at)
{
	const char *word = w->at[at];
	const char *next = at + 1 < w->count ? w->at[at + 1] : NULL;
	const struct policy_option *o;

	if (word[0] != '-') {
		r->option = "the word";
		policy_check_disk(r, word);
		return 1;
	}
	r->option = word;
	o = policy_find_option(word + (word[1] == '-' ? 2 : 1));
	if (!o) {
		policy_blame(r, "",
			     "this option is not among those that are "
			     "allowed: leave it out");
		return next && next[0] != '-' ? 2 : 1;
	}
	if (!o->alone && !next) {
		policy_blame(r, "", "its value is missing");
		return 1;
	}
	check_value(r, o, o->alone ? "" : next);
	return o->alone ? 1 : 2;
}

static bool all_utf8(struct policy_run *r, const struct words *w)
{
	bool all = true;

	for (size_t i = 0; i < w->count; i++) {
		size_t n = strlen(w->at[i]);

		if (text_utf8_len(w->at[i], n) == n)
			continue;
		r->option = "the word";
		policy_blame(r, w->at[i], "it is no UTF-8: write it so");
		all = false;
	}
	return all;
}

static void check_arguments(struct policy_run *r, const struct words *w,
			    bool has_nics)
{
	if (!all_utf8(r, w))
		return;
	r->no_network = !has_nics;
	for (size_t at = 0; at < w->count && !r->failed;)
		at += check_words(r, w, at);
	r->option = "arguments";
	if (r->no_network)
		policy_blame(r, "",
			     "no network is named, so QEMU adds one by which "
			     "the guest reaches this host's loopback: add "
			     "-nic none");
}

int policy_check(const struct policy *p, const struct definition *d,
		 struct words *ret_blame, struct error *e)
{
	struct policy_run r = { .policy = p, .blame = ret_blame, .error = e };
	SCOPED(words_done) struct words w = { 0 };

	if (definition_words(&w, d, p->run_dir, e) < 0)
		return error_code(e);
	check_keys(&r, d);
	check_arguments(&r, &w, d->nics.count > 0);
	return r.failed ? error_code(e) : 0;
}

static int check_file(const struct policy *p, const char *path, unsigned places,
		      struct words *ret_blame, struct error *e)
{
	struct policy_run r = { .policy = p,
				.option = "the file",
				.blame = ret_blame,
				.error = e };

	policy_path(&r, path, path, places);
	return r.failed ? error_code(e) : 0;
}

int policy_check_file(const struct policy *p, const char *path,
		      struct words *ret_blame, struct error *e)
{
	return check_file(p, path, PLACE_IMAGE | PLACE_DATA, ret_blame, e);
}

int policy_check_image(const struct policy *p, const char *path,
		       struct words *ret_blame, struct error *e)
{
	return check_file(p, path, PLACE_IMAGE, ret_blame, e);
}
