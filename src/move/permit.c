/* SPDX-License-Identifier: MIT */
#include "move/permit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "move/move.h"
#include "qemu/policy.h"

/* A peer that means harm would fill the log. */
enum { FINDINGS_MOST = 64 };

static int programs_of(struct words *ret, const struct move_host *host,
		       struct error *e)
{
	if (words_add(ret, host->qemu, e) < 0)
		return error_code(e);
	return words_add_all(ret, host->programs, e);
}

/* The source names them beside the definition, and they are looked at here. */
static int check_files(const struct policy *p,
		       const struct machine_description *m, struct words *blame,
		       struct error *e)
{
	for (size_t i = 0; i < m->n_files; i++)
		if (policy_check_file(p, m->files[i].path, blame, e) < 0)
			return error_code(e);
	for (size_t i = 0; i < m->n_disks; i++)
		if (!m->disks[i].network && !m->disks[i].near &&
		    policy_check_file(p, m->disks[i].path, blame, e) < 0)
			return error_code(e);
	return 0;
}

/* They are switched on in the QEMU that waits for the stream: some open ports,
 * or read more than the stream. */
static int check_capabilities(const struct machine_description *m,
			      struct words *blame, struct error *e)
{
	for (size_t i = 0; i < m->capabilities.count; i++)
		if (strcmp(m->capabilities.at[i], "dirty-bitmaps") != 0 &&
		    words_addf(blame, e,
			       "the capability %.60s: a move needs it at "
			       "neither end, switch it off",
			       m->capabilities.at[i]) < 0)
			return error_code(e);
	return 0;
}

static int check(const struct move_host *host,
		 const struct machine_description *m,
		 const struct definition *d, struct words *blame,
		 struct error *e)
{
	SCOPED(words_done) struct words programs = { 0 };
	char run_dir[PATH_MAX];
	const struct policy p = { .programs = &programs,
				  .image_directories = host->image_directories,
				  .run_dir = run_dir,
				  .bridges = host->bridges,
				  .real_path = policy_real_path,
				  .read_head = policy_read_head };

	move_run_dir(run_dir, host->run_directory, d->name);
	if (programs_of(&programs, host, e) < 0 ||
	    policy_check(&p, d, blame, e) < 0 ||
	    check_capabilities(m, blame, e) < 0)
		return error_code(e);
	/* Of those that the definition names it has been said. */
	return blame->count > 0 ? 0 : check_files(&p, m, blame, e);
}

bool permit_judges(const struct move_host *host, const struct definition *d)
{
	return host->strict && !host->is_own(host->context, d);
}

int permit_check(const struct move_host *host,
		 const struct machine_description *m,
		 const struct definition *d, struct findings *ret,
		 struct error *e)
{
	SCOPED(words_done) struct words blame = { 0 };

	if (!permit_judges(host, d))
		return 0;
	if (check(host, m, d, &blame, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < blame.count && i < FINDINGS_MOST; i++)
		findings_add(ret, SEVERITY_ERROR, "%s refuses %s",
			     host->own_name, blame.at[i]);
	return blame.count > 0;
}

int permit_file(const struct move_host *host, const char *path, struct error *e)
{
	SCOPED(words_done) struct words blame = { 0 };
	const struct policy p = { .image_directories = host->image_directories,
				  .run_dir = "/",
				  .real_path = policy_real_path };

	if (!host->strict)
		return 0;
	if (policy_check_image(&p, path, &blame, e) < 0)
		return error_code(e);
	return blame.count == 0 ? 0
				: error_set(e, EPERM, "%s refuses %s",
					    host->own_name, blame.at[0]);
}

int permit_opened(const struct move_host *host, pid_t pid, const char *run_dir,
		  struct error *e)
{
	const struct policy p = { .image_directories = host->image_directories,
				  .run_dir = run_dir,
				  .real_path = policy_real_path };

	if (policy_check_opened(&p, pid, e) < 0)
		return error_in(e, "%s ends QEMU again", host->own_name);
	return 0;
}
