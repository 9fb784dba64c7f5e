/* SPDX-License-Identifier: MIT */

/*
 * A definition that a peer sends, and behind a zero how its images begin.
 * Whatever is allowed must not lead outside of
 * the image directories: looked for by a scan that knows nothing of the
 * policy's tables, for what begins with '/' where a value begins.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "qemu/definition.h"
#include "qemu/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Options whose values are text for the guest, or secrets. */
static bool holds_text(const char *option)
{
	static const char *const names[] = { "append", "fw_cfg", "smbios",
					     "object", "vnc",    "spice" };

	option += strspn(option, "-");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(option, names[i]))
			return true;
	return false;
}

static bool is_inside(const char *path)
{
	static const char *const folders[] = {
		"/srv/",
		"/run/x/",
		"/usr/share/qemu/",
		"/usr/share/OVMF/",
		"/usr/share/ovmf/",
		"/usr/share/AAVMF/",
		"/usr/share/edk2/",
		"/usr/share/ipxe/",
		"/usr/lib/ipxe/qemu/",
		"/usr/share/seabios/",
		"/usr/share/qemu-efi/",
	};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (!strncmp(path, folders[i], strlen(folders[i])))
			return true;
	return false;
}

/* @word without doubled slashes and single dots, and with something else for
 * the commas that are part of a value. */
static void simplify(char *word)
{
	char *at;

	while ((at = strstr(word, ",,")))
		memset(at, '_', 2);
	while ((at = strstr(word, "//")))
		memmove(at, at + 1, strlen(at));
	while ((at = strstr(word, "/./")))
		memmove(at, at + 2, strlen(at) - 1);
}

/* Does a path begin at @at?  Not where a '/' stands before it since the value
 * began. */
static bool begins(const char *word, const char *at)
{
	if (at > word && (word[0] == '/' || !strchr("=:\"", at[-1])))
		return false;
	while (at > word && at[-1] != '"' && at[-1] != ',')
		if (*--at == '/')
			return false;
	return true;
}

static void scan(const char *word)
{
	char *plain = strdup(word);

	assert(plain);
	simplify(plain);
	for (const char *at = plain; (at = strchr(at, '/')); at++) {
		assert(strncmp(at, "/../", 4) != 0);
		if (begins(plain, at))
			assert(is_inside(at));
	}
	free(plain);
}

/* Among text QEMU cuts at single commas, whatever the text looks like, and
 * reads these. */
static void scan_pieces(const char *word)
{
	static const char *const keys[] = { "file=", "path=", "addr=" };
	char *plain = strdup(word), *save = NULL;

	assert(plain);
	simplify(plain);
	for (char *at = strtok_r(plain, ",", &save); at;
	     at = strtok_r(NULL, ",", &save))
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (!strncmp(at, keys[i], strlen(keys[i])))
				assert(is_inside(at + strlen(keys[i])));
	free(plain);
}

static bool is_cut(const char *option)
{
	option += strspn(option, "-");
	return !strcmp(option, "fw_cfg") || !strcmp(option, "smbios") ||
	       !strcmp(option, "spice");
}

static void scan_all(const struct definition *d)
{
	struct words w = { 0 };
	struct error e;

	for (size_t i = 0; i < d->arguments.count; i++)
		assert(definition_expand(&w, d->arguments.at[i], d, "/run/x",
					 &e) == 0);
	for (size_t i = 1; i < w.count; i++)
		if (is_cut(w.at[i - 1]))
			scan_pieces(w.at[i]);
	for (size_t i = 0; i < w.count; i++)
		if (i == 0 || !holds_text(w.at[i - 1]))
			scan(w.at[i]);
	if (d->machine && !strstr(d->machine, "append="))
		scan(d->machine);
	words_done(&w);
}

struct head {
	const uint8_t *bytes;
	size_t len;
};

static int read_head(void *arg, const char *path, void *buf, size_t cap)
{
	const struct head *h = arg;
	size_t n = h->len < cap ? h->len : cap;

	assert(!strncmp(path, "/srv/", 5) || is_inside(path) ||
	       path[1] == '/' || path[1] == '.');
	memcpy(buf, h->bytes, n);
	return (int)n;
}

static void check(const struct definition *d, struct head *h)
{
	static char srv[] = "/srv", program[] = "/qemu";
	static char *folders[] = { srv, NULL }, *programs[] = { program, NULL };
	const struct words images = { folders, 1 }, qemus = { programs, 1 };
	const struct policy p = { .programs = &qemus,
				  .image_directories = &images,
				  .run_dir = "/run/x",
				  .read_head = read_head,
				  .arg = h };
	struct words blame = { 0 };
	struct error e;

	assert(policy_check(&p, d, &blame, &e) == 0);
	if (blame.count == 0)
		scan_all(d);
	words_done(&blame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);
	struct definition d;
	struct head h;
	struct error e;

	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	h.len = len - strnlen(text, len);
	h.bytes = data + len - h.len + (h.len > 0);
	h.len -= h.len > 0;
	if (definition_parse(&d, "fuzz", text, &e) == 0) {
		check(&d, &h);
		definition_done(&d);
	}
	free(text);
	return 0;
}
