/* SPDX-License-Identifier: MIT */
#include "trust/vault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/scope.h"

enum { FILE_MAX = 512 * 1024 };

int vault_load(const struct trust *s, const char *name, char **ret,
	       struct error *e)
{
	char path[PATH_MAX];
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", s->folder, name);
	return ini_load(ret, &len, path, FILE_MAX, e);
}

bool vault_has(const struct trust *s, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", s->folder, name);
	return access(path, F_OK) == 0;
}

/* The folder that it is in, as /etc/drover, may be missing too where nothing
 * has been set yet. */
static void make_above(const struct trust *s)
{
	char above[PATH_MAX];
	char *slash;

	snprintf(above, sizeof(above), "%s", s->folder);
	slash = strrchr(above, '/');
	if (!slash || slash == above)
		return;
	*slash = '\0';
	mkdir(above, 0755); /* else saving says what is wrong */
}

int vault_save(const struct trust *s, const char *name, const char *text,
	       mode_t mode, struct error *e)
{
	make_above(s);
	return file_save(s->folder, name, text, mode, e);
}

int vault_remove(const struct trust *s, const char *name, struct error *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", s->folder, name);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove %s", path);
	return 0;
}

int vault_check_nobody(const struct trust *s, struct error *e)
{
	AUTO_FREE char *text = NULL;
	int r = vault_load(s, "host.pem", &text, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return error_set(e, EEXIST,
			 "host %s has a certificate already, in %s: move it "
			 "away first",
			 s->own_name, s->folder);
}
