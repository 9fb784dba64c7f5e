/* SPDX-License-Identifier: MIT */

/* From a machine's definition to QEMU's command line: definition_argv(). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/confine.h"
#include "qemu/definition.h"
#include "qemu/options.h"

#define CHARDEV_ID "drover-qmp"

static int add_pair(struct words *w, const char *option, const char *value,
		    struct error *e)
{
	if (words_add(w, option, e) < 0)
		return error_code(e);
	return words_add(w, value, e);
}

static int add_accelerators(struct words *w, const char *list, struct error *e)
{
	while (*list) {
		size_t n = strcspn(list, ":");

		if (n > 0 && (words_add(w, "-accel", e) < 0 ||
			      words_addf(w, e, "%.*s", (int)n, list) < 0))
			return error_code(e);
		list += n + (list[n] == ':');
	}
	return 0;
}

/* The backend's id is the name of the RAM block: what a source with a plain
 * -m has, pc.ram, is found at the destination.  Unless somebody needs a file,
 * memory is QEMU's own: it has huge pages, and a hole of a shared file that
 * QEMU reads while it moves would be filled by the kernel. */
static int add_backend(struct words *w, const struct definition *d, bool shared,
		       struct error *e)
{
	char huge[64] = "";

	shared |= definition_shares_memory(d);
	if (d->huge_page_bytes)
		snprintf(huge, sizeof(huge), ",hugetlb=on,hugetlbsize=%" PRIu64,
			 d->huge_page_bytes);
	if (words_add(w, "-object", e) < 0)
		return error_code(e);
	return words_addf(w, e,
			  "memory-backend-%s,id=%s,size=%" PRIu64
			  ",share=%s,x-use-canonical-path-for-ramblock-id=off"
			  "%s",
			  shared ? "memfd" : "ram", d->memory_id,
			  d->memory_bytes, shared ? "on" : "off", huge);
}

/* Aligned, huge pages are mapped as such. */
static int add_file(struct words *w, const struct definition *d, int fd,
		    struct error *e)
{
	if (words_add(w, "-object", e) < 0)
		return error_code(e);
	return words_addf(w, e,
			  "memory-backend-file,id=%s,size=%" PRIu64
			  ",share=on,x-use-canonical-path-for-ramblock-id=off"
			  ",mem-path=/proc/self/fd/%d%s",
			  d->memory_id, d->memory_bytes, fd,
			  d->huge_page_bytes ? "" : ",align=2M");
}

static int add_machine(struct words *w, const struct definition *d,
		       const struct launch_options *o, struct error *e)
{
	bool own = definition_own_memory(d);
	const char *mo = d->memory_options, *vo = d->vcpus_options;

	if (words_add(w, "-machine", e) < 0 ||
	    words_addf(w, e, "%s%s%s", d->machine,
		       own ? "" : ",memory-backend=", own ? "" : d->memory_id) <
		    0 ||
	    add_accelerators(w, d->accelerator, e) < 0)
		return error_code(e);
	if (d->cpu && add_pair(w, "-cpu", d->cpu, e) < 0)
		return error_code(e);
	if (words_add(w, "-smp", e) < 0 ||
	    words_addf(w, e, "%u%s%s", d->vcpus, vo ? "," : "", vo ? vo : "") <
		    0 ||
	    words_add(w, "-m", e) < 0 ||
	    words_addf(w, e, "size=%" PRIu64 "K%s%s", d->memory_bytes / 1024,
		       mo ? "," : "", mo ? mo : "") < 0)
		return error_code(e);
	if (own)
		return 0;
	return o->memory_fd > 0 ? add_file(w, d, o->memory_fd, e)
				: add_backend(w, d, o->shared, e);
}

static int add_monitor(struct words *w, const char *run_dir, struct error *e)
{
	AUTO_FREE char *dir = option_escape(run_dir);

	if (!dir)
		return error_set(e, ENOMEM, "no memory for a command line");
	if (words_add(w, "-chardev", e) < 0 ||
	    words_addf(w, e,
		       "socket,id=" CHARDEV_ID
		       ",path=%s/qmp.sock,server=on,wait=off",
		       dir) < 0)
		return error_code(e);
	return add_pair(w, "-mon", "chardev=" CHARDEV_ID ",mode=control", e);
}

int definition_expand(struct words *w, const char *word,
		      const struct definition *d, const char *run_dir,
		      struct error *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return error_set(e, ENOMEM, "no memory for a command line");
	for (; *word; word++) {
		if (!strncmp(word, "$${", 3)) {
			word++;
			fputs("${", out);
			word++;
		} else if (!strncmp(word, "${dir}", 6)) {
			fputs(run_dir, out);
			word += 5;
		} else if (!strncmp(word, "${name}", 7)) {
			fputs(d->name, out);
			word += 6;
		} else {
			fputc(*word, out);
		}
	}
	if (fclose(out))
		return error_set(e, ENOMEM, "no memory for a command line");
	return words_add(w, text, e);
}

int definition_words(struct words *w, const struct definition *d,
		     const char *run_dir, struct error *e)
{
	for (size_t i = 0; i < d->arguments.count; i++)
		if (definition_expand(w, d->arguments.at[i], d, run_dir, e) < 0)
			return error_code(e);
	/* The user's may say where on a bus they are; these take what is left.
	 */
	return defined_disks_argv(w, &d->disks, e);
}

static int check_monitor(const struct option *o, const char *run_dir,
			 struct error *e)
{
	static const char *const monitors[] = { "qmp", "qmp-pretty", "monitor",
						"chardev" };

	for (size_t i = 0; i < ARRAY_SIZE(monitors); i++) {
		const char *at;

		if (strcmp(o->name, monitors[i]) != 0 || !o->value)
			continue;
		at = strstr(o->value, run_dir);
		if (at && !strncmp(at + strlen(run_dir), "/qmp.sock", 9))
			return error_set(e, EINVAL,
					 "-%s: %s/qmp.sock is Drover's "
					 "monitor: "
					 "use another path",
					 o->name, run_dir);
		if (strstr(o->value, "id=" CHARDEV_ID))
			return error_set(e, EINVAL,
					 "-%s: the id " CHARDEV_ID
					 " is Drover's: use another",
					 o->name);
	}
	return 0;
}

static int add_arguments(struct words *w, const struct definition *d,
			 const char *run_dir, struct error *e)
{
	static const char *const displays[] = { "display", "nographic", "vnc",
						"spice",   "curses",    "sdl" };
	size_t at = w->count;
	bool display = false;
	struct option o;

	if (definition_words(w, d, run_dir, e) < 0)
		return error_code(e);
	for (; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		if (check_monitor(&o, run_dir, e) < 0)
			return error_code(e);
		for (size_t i = 0; i < ARRAY_SIZE(displays); i++)
			display |= !strcmp(o.name, displays[i]);
	}
	return display ? 0 : add_pair(w, "-display", "none", e);
}

/* What would be an error of the kernel's, or end QEMU, in words. */
static const struct {
	const char *option, *why;
} unconfined[] = {
	{ "sandbox", "it is Drover's to set" },
	{ "runas", "it has a user of its own" },
	{ "chroot", "it may not change its root" },
};

int definition_check_confined(const struct definition *d, struct error *e)
{
	const struct words *w = &d->arguments;
	struct option o;

	for (size_t at = 0; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		for (size_t i = 0; i < ARRAY_SIZE(unconfined); i++)
			if (!strcmp(o.name, unconfined[i].option))
				return error_set(e, EINVAL,
						 "arguments: -%s: QEMU is "
						 "confined here (qemu-user), "
						 "%s: leave it out",
						 o.name, unconfined[i].why);
	}
	return nics_check_arguments(d, e);
}

/* The filter is on before the first device is made. */
static int add_sandbox(struct words *w, const struct definition *d,
		       const struct launch_options *o, struct error *e)
{
	if (!confine_wanted(o->user))
		return 0;
	if (definition_check_confined(d, e) < 0)
		return error_code(e);
	return add_pair(w, "-sandbox",
			"on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
			"resourcecontrol=deny",
			e);
}

static int build(struct words *w, const struct definition *d,
		 const struct launch_options *o, struct error *e)
{
	const char *qemu = d->qemu ? d->qemu : o->default_qemu;

	if (!qemu)
		return error_set(e, EINVAL,
				 "no QEMU is known: set the key 'qemu'");
	if (add_pair(w, qemu, "-name", e) < 0 || words_add(w, d->name, e) < 0)
		return error_code(e);
	if (d->uuid && add_pair(w, "-uuid", d->uuid, e) < 0)
		return error_code(e);
	if (add_sandbox(w, d, o, e) < 0 || add_machine(w, d, o, e) < 0 ||
	    add_monitor(w, o->run_dir, e) < 0)
		return error_code(e);
	if (o->incoming && (words_add(w, "-S", e) < 0 ||
			    add_pair(w, "-incoming", "defer", e) < 0))
		return error_code(e);
	if (add_arguments(w, d, o->run_dir, e) < 0)
		return error_code(e);
	return nics_argv(w, &d->nics, o->nic_fds, e);
}

int definition_argv(const struct definition *d, const struct launch_options *o,
		    struct words *ret_argv, struct error *e)
{
	struct words w = { 0 };

	if (build(&w, d, o, e) < 0) {
		words_done(&w);
		return error_code(e);
	}
	*ret_argv = w;
	return 0;
}
