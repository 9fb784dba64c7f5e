/* SPDX-License-Identifier: MIT */
#include "host/settings.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"

enum { ONE_SECTION_MAX = 256 }; /* peers, networks */

const struct ini_section *const settings_sections[] = {
	&host_section,   &move_section, &power_section, &network_section,
	&bridge_section, &pool_section, &peer_section,
};
const size_t settings_sections_count = ARRAY_SIZE(settings_sections);

static const size_t places[ARRAY_SIZE(settings_sections)] = {
	offsetof(struct settings, host),
	offsetof(struct settings, move),
	offsetof(struct settings, power),
	offsetof(struct settings, named_networks),
	offsetof(struct settings, bridges),
	offsetof(struct settings, pools),
	offsetof(struct settings, peers),
};

void *settings_place(struct settings *s, const struct ini_section *section)
{
	size_t i = 0;

	while (settings_sections[i] != section)
		i++;
	return (char *)s + places[i];
}

/* --- where they come from */

/* The last file that has it counts, and stands last. */
const struct setting_origin *settings_origin(const struct settings *s,
					     const void *base,
					     const struct ini_key *key)
{
	for (size_t i = s->origins_count; i-- > 0;)
		if (s->origins[i].base == base && s->origins[i].key == key)
			return &s->origins[i];
	return NULL;
}

/* The file that is being read is the last one. */
static int note_origin(struct settings *s, const struct ini_place *p,
		       struct error *e)
{
	size_t n = s->origins_count;
	struct setting_origin *more = s->origins;

	if ((n & (n + 1)) == 0)
		more = reallocarray(more, (n + 1) * 2, sizeof(*more));
	if (!more)
		return error_set(e, ENOMEM, "no memory for the settings");
	s->origins = more;
	more[s->origins_count++] =
		(struct setting_origin){ .base = p->base,
					 .key = p->key,
					 .file = s->files.count - 1,
					 .line = p->line };
	return 0;
}

static int given(void *target, const struct ini_place *p, struct error *e)
{
	struct settings *s = target;
	const char *file = s->files.at[s->files.count - 1];

	if (p->by_old_name &&
	    words_addf(&s->renamed, e,
		       "%s:%u: the key '%s' of [%s] is called '%s' now: "
		       "the next version will not know it by its old name",
		       file, p->line, p->key->before, p->section->name,
		       p->key->key) < 0)
		return error_code(e);
	return note_origin(s, p, e);
}

/* --- sections with names */

void *settings_named(const struct ini_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (!strcmp(l->at[i], name)) /* each begins with its name */
			return l->at[i];
	return NULL;
}

static int add_one(void **ret, struct ini_list *l, const struct ini_place *p,
		   struct error *e)
{
	void **more;

	if (l->count == ONE_SECTION_MAX)
		return error_set(e, EINVAL, "more than %d sections [%s NAME]",
				 ONE_SECTION_MAX, p->section->name);
	more = reallocarray(l->at, l->count + 1, sizeof(*more));
	if (more)
		l->at = more;
	if (!more || !(*ret = calloc(1, p->section->size)))
		return error_set(e, ENOMEM, "no memory for [%s %s]",
				 p->section->name, p->name);
	l->at[l->count++] = *ret;
	memcpy(*ret, p->name, strlen(p->name) + 1);
	return ini_defaults(p->section, *ret, e);
}

/* A later file may say more of one that is there, the same file may not. */
static int begin(void *target, struct ini_place *p, struct error *e)
{
	struct settings *s = target;
	const struct setting_origin *before;

	p->base = settings_place(s, p->section);
	if (p->section->size > 0) {
		struct ini_list *l = p->base;

		p->base = settings_named(l, p->name);
		before = settings_origin(s, p->base, NULL);
		if (p->base && before->file == s->files.count - 1)
			return error_set(e, EINVAL, "[%s %s] is there twice",
					 p->section->name, p->name);
		if (!p->base && add_one(&p->base, l, p, e) < 0)
			return error_code(e);
		return note_origin(s, p, e);
	}
	return 0;
}

static int note_unknown(void *target, const char *sentence, struct error *e)
{
	return words_add(&((struct settings *)target)->unknown, sentence, e);
}

static const struct ini_format format = { settings_sections,
					  ARRAY_SIZE(settings_sections), begin,
					  given, note_unknown };

int settings_section(const struct ini_section **ret, const char *name,
		     struct error *e)
{
	return ini_find_section(ret, &format, name, e);
}

/* --- a life */

static struct settings *settings_new(struct error *e)
{
	struct settings *s = calloc(1, sizeof(*s));

	if (!s) {
		error_set(e, ENOMEM, "no memory for the settings");
		return NULL;
	}
	s->references = 1;
	for (size_t i = 0; i < settings_sections_count; i++) {
		const struct ini_section *section = settings_sections[i];

		if (section->size > 0 ||
		    ini_defaults(section, settings_place(s, section), e) == 0)
			continue;
		settings_drop(s);
		return NULL;
	}
	return s;
}

static void clear_list(const struct ini_section *section, struct ini_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		ini_clear(section, l->at[i]);
		free(l->at[i]);
	}
	free(l->at);
}

struct settings *settings_hold(struct settings *s)
{
	__atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
	return s;
}

void settings_drop(struct settings *s)
{
	if (!s || __atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < settings_sections_count; i++) {
		const struct ini_section *section = settings_sections[i];
		void *place = settings_place(s, section);

		if (section->size > 0)
			clear_list(section, place);
		else
			ini_clear(section, place);
	}
	words_done(&s->image_folders);
	words_done(&s->files);
	words_done(&s->unknown);
	words_done(&s->renamed);
	free(s->origins);
	free(s);
}

/* --- reading */

/* Whether each of a list is whole, once all files are read. */
static int check_list(const struct settings *s,
		      const struct ini_section *section,
		      const struct ini_list *l, struct error *e)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct setting_origin *head =
			settings_origin(s, l->at[i], NULL);

		assert(head);
		if (section->check(l->at[i], e) < 0)
			return error_in(e, "%s:%u:1", s->files.at[head->file],
					head->line);
	}
	return 0;
}

static int complete(struct settings *s, struct error *e)
{
	for (size_t i = 0; i < settings_sections_count; i++) {
		const struct ini_section *section = settings_sections[i];

		if (section->size > 0 &&
		    check_list(s, section, settings_place(s, section), e) < 0)
			return error_code(e);
	}
	if (host_settings_complete(&s->host, e) < 0 ||
	    pools_folders(&s->image_folders, &s->host.image_directories,
			  &s->pools, e) < 0 ||
	    networks_compose(&s->networks, &s->host.networks,
			     &s->named_networks, e) < 0 ||
	    rdma_policy_compose(&s->rdma, s->host.rdma, &s->named_networks, e) <
		    0)
		return error_in(e, "%s:1:1",
				s->files.count ? s->files.at[0] : "settings");
	return 0;
}

static int read_text(struct settings *s, const char *file_name,
		     const char *text, size_t len, struct error *e)
{
	if (words_add(&s->files, file_name, e) < 0)
		return error_code(e);
	return ini_read_text(&format, s, file_name, text, len, e);
}

static int read_file(struct settings *s, const char *path, struct error *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;

	if (ini_load(&text, &len, path, INI_TEXT_MAX, e) < 0)
		return error_code(e);
	return read_text(s, path, text, len, e);
}

int settings_parse(struct settings **ret, const char *file_name,
		   const char *text, size_t len, struct error *e)
{
	AUTO_SETTINGS struct settings *s = settings_new(e);

	if (!s || read_text(s, file_name, text, len, e) < 0 ||
	    complete(s, e) < 0)
		return error_code(e);
	*ret = take_ptr(&s);
	return 0;
}

/* --- one key */

int settings_try(const struct ini_section *section, const struct ini_key *key,
		 const struct words *values, struct error *e)
{
	AUTO_SETTINGS struct settings *s = settings_new(e);
	struct ini_place p = { .section = section, .key = key, .name = "x" };
	char *at;

	if (!s)
		return error_code(e);
	p.base = settings_place(s, section);
	if (section->size > 0 && add_one(&p.base, p.base, &p, e) < 0)
		return error_code(e);
	at = (char *)p.base + key->offset;
	if (values->count > 1 && !key->repeatable)
		return error_set(e, EINVAL, "'%s' takes one value, not %zu",
				 key->key, values->count);
	if (key->kind->clear)
		key->kind->clear(at);
	for (size_t i = 0; i < values->count; i++)
		if (key->kind->parse(at, key, values->at[i], e) < 0)
			return error_code(e);
	return 0;
}

/* --- the files */

void settings_folder(char *buf, size_t cap, const char *path)
{
	size_t len = strlen(path);

	if (len > 5 && !strcmp(path + len - 5, ".conf"))
		len -= 5;
	snprintf(buf, cap, "%.*s.d", (int)len, path);
}

static bool is_ours(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && !strcmp(name + len - 5, ".conf");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the files in drover.d, in their order; @with is one, whether it
 * is there or not, unless it is NULL. */
static int list_files(struct words *ret, const char *folder, const char *with,
		      struct error *e)
{
	AUTO_CLOSEDIR DIR *d = opendir(folder);
	const struct dirent *entry;

	if (!d && errno != ENOENT)
		return error_sys(e, "%s", folder);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
	while (d && (entry = readdir(d)))
		if (is_ours(entry->d_name) &&
		    (!with || strcmp(entry->d_name, with) != 0) &&
		    words_add(ret, entry->d_name, e) < 0)
			return error_code(e);
	if (with && words_add(ret, with, e) < 0)
		return error_code(e);
	if (ret->count > 0)
		qsort(ret->at, ret->count, sizeof(*ret->at), by_name);
	return 0;
}

static int read_folder(struct settings *s, const struct settings_source *from,
		       struct error *e)
{
	SCOPED(words_done) struct words names = { 0 };
	char folder[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];

	settings_folder(folder, sizeof(folder), from->path);
	if (list_files(&names, folder, from->name, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < names.count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names.at[i]);
		if (from->name && !strcmp(names.at[i], from->name)
			    ? read_text(s, path, from->text, strlen(from->text),
					e) < 0
			    : read_file(s, path, e) < 0)
			return error_code(e);
	}
	return 0;
}

static int read_main(struct settings *s, const struct settings_source *from,
		     struct error *e)
{
	int r = read_file(s, from->path, e);

	return r == -ENOENT && from->optional ? 0 : r;
}

int settings_load(struct settings **ret, const struct settings_source *from,
		  struct error *e)
{
	AUTO_SETTINGS struct settings *s = settings_new(e);

	if (!s || read_main(s, from, e) < 0 || read_folder(s, from, e) < 0 ||
	    complete(s, e) < 0)
		return error_code(e);
	*ret = take_ptr(&s);
	return 0;
}

/* --- for their readers */

void settings_warn(const struct settings *s)
{
	for (size_t i = 0; i < s->unknown.count; i++)
		log_warning("left out: %s", s->unknown.at[i]);
	for (size_t i = 0; i < s->renamed.count; i++)
		log_warning("%s", s->renamed.at[i]);
	if (!s->host.qemu_user)
		log_warning(
			"a guest that breaks into its QEMU is root on this "
			"host: set qemu-user in [host], see drover.conf(5)");
}

struct move_paths settings_paths(const struct settings *s)
{
	struct move_paths p = move_settings_paths(&s->move, &s->networks);

	p.rdma = s->rdma;
	return p;
}

const struct peer *settings_peer(const struct settings *s, const char *name)
{
	return settings_named(&s->peers, name);
}
