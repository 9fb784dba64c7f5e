/* SPDX-License-Identifier: MIT */
#include "qemu/definition.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/ini.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/uuid.h"
#include "qemu/options.h"

enum {
	VCPUS_MAX = 4096,
	PRIORITY_MOST = 100,
	RAM_UNIT = 8192 /* QEMU rounds to this */
};

/* Options that Drover writes itself, and what to use in their place. */
static const struct owned {
	const char *option, *instead;
} owned[] = {
	{ "accel", "accelerator" },
	{ "cpu", "cpu" },
	{ "enable-kvm", "accelerator" },
	{ "m", "memory" },
	{ "M", "machine" },
	{ "machine", "machine" },
	{ "mem-path", "huge-pages" },
	{ "name", "name" },
	{ "smp", "vcpus" },
	{ "daemonize", NULL },
	{ "incoming", NULL },
	{ "mem-prealloc", NULL },
	{ "pidfile", NULL },
	{ "preconfig", NULL },
	{ "S", NULL },
};

struct parser {
	struct definition definition;
	size_t checked; /* words of the arguments that were looked at */
};

static int check_option(const struct option *o, struct error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
		if (strcmp(o->name, owned[i].option) != 0)
			continue;
		if (owned[i].instead)
			return error_set(e, EINVAL,
					 "-%s is Drover's to set: use the key "
					 "'%s'",
					 o->name, owned[i].instead);
		return error_set(e, EINVAL,
				 "-%s is Drover's to set: leave it out",
				 o->name);
	}
	return 0;
}

/* Look at the options that have become whole since the last call. */
static int check_arguments(const struct words *w, size_t *at, bool final,
			   struct error *e)
{
	while (*at < w->count) {
		struct option o = option_at(w->at, w->count, *at);

		if (check_option(&o, e) < 0)
			return error_code(e);
		if (!final && *at + o.words == w->count && !o.value)
			return 0;
		*at += o.words;
	}
	return 0;
}

static int copy(char **field, const char *value, struct error *e)
{
	char *fresh = strdup(value);

	if (!fresh)
		return error_set(e, ENOMEM, "no memory for a definition");
	free(*field);
	*field = fresh;
	return 0;
}

static int set_text(void *at, const struct ini_key *k, const char *value,
		    struct error *e)
{
	if (!*value)
		return error_set(e, EINVAL, "'%s' needs a value", k->key);
	return copy(at, value, e);
}

static int set_name(void *at, const struct ini_key *k, const char *value,
		    struct error *e)
{
	if (text_check_name("machine", value, e) < 0)
		return error_code(e);
	return set_text(at, k, value, e);
}

static int set_group(void *at, const struct ini_key *k, const char *value,
		     struct error *e)
{
	if (text_check_name("group", value, e) < 0)
		return error_code(e);
	return set_text(at, k, value, e);
}

static int set_uuid(void *at, const struct ini_key *k, const char *value,
		    struct error *e)
{
	char uuid[UUID_CAP];

	if (uuid_parse(uuid, value, e) < 0)
		return error_code(e);
	if (uuid_is_nil(uuid))
		return error_set(e, EINVAL,
				 "a uuid of zeros names no machine: leave it "
				 "out, and one is made");
	return set_text(at, k, uuid, e);
}

static int set_path(void *at, const struct ini_key *k, const char *value,
		    struct error *e)
{
	if (text_check_path(k->key, value, e) < 0)
		return error_code(e);
	return set_text(at, k, value, e);
}

/* An id of QEMU's: it stands in option syntax. */
static int set_id(void *at, const struct ini_key *k, const char *value,
		  struct error *e)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";

	if (strlen(value) > 63 || value[strspn(value, letters)] ||
	    !isalpha((unsigned char)value[0]))
		return error_set(e, EINVAL,
				 "'%.80s' is not an id for QEMU: use letters, "
				 "digits, '-', '.' and '_', a letter first",
				 value);
	return set_text(at, k, value, e);
}

/* "4G,slots=2" is 4G and the options "slots=2". */
static int split_options(char *value, char **ret_options, struct error *e)
{
	char *comma = strchr(value, ',');

	if (!comma)
		return 0;
	*comma = '\0';
	if (!comma[1])
		return error_set(e, EINVAL, "nothing follows the comma");
	return copy(ret_options, comma + 1, e);
}

/* What is said of sharing among the options is ours: QEMU's -m has no such
 * property. */
static int take_share(struct definition *d, struct error *e)
{
	AUTO_FREE char *options = d->memory_options, *rest = NULL;
	char *save = NULL;
	int on;

	d->memory_options = NULL;
	for (char *o = strtok_r(options, ",", &save); o;
	     o = strtok_r(NULL, ",", &save)) {
		AUTO_FREE char *before = take_ptr(&rest);

		if (!strncmp(o, "share=", 6)) {
			if (text_parse_switch(&on, o + 6, e) < 0)
				return error_in(e, "share");
			d->shared_memory = on;
			rest = take_ptr(&before);
		} else if (asprintf(&rest, "%s%s%s", before ? before : "",
				    before ? "," : "", o) < 0) {
			rest = NULL;
			return error_set(e, ENOMEM, "no memory");
		}
	}
	d->memory_options = take_ptr(&rest);
	return 0;
}

static int set_memory(void *at, const struct ini_key *k, const char *value,
		      struct error *e)
{
	struct definition *d = at;
	AUTO_FREE char *size = strdup(value);

	(void)k;
	if (!size)
		return error_set(e, ENOMEM, "no memory for a definition");
	if (split_options(size, &d->memory_options, e) < 0)
		return error_code(e);
	if (d->memory_options && strpbrk(d->memory_options, " \t\r\n\v\f"))
		return error_set(e, EINVAL,
				 "the options of the memory have a space in "
				 "them: write them as in 4G,share=on");
	if (d->memory_options && take_share(d, e) < 0)
		return error_code(e);
	return text_parse_bytes(&d->memory_bytes, size, e);
}

static const char *const huge_pages[HUGE_PAGES_WANTED] = {
	[HUGE_PAGES_AUTO] = "auto",
	[HUGE_PAGES_OFF] = "off",
	[HUGE_PAGES_THP] = "thp",
	[HUGE_PAGES_SIZE] = "a size",
};

static int set_huge_pages(void *at, const struct ini_key *k, const char *value,
			  struct error *e)
{
	struct definition *d = at;
	uint64_t bytes = 0;

	(void)k;
	d->huge_page_bytes = 0;
	for (int i = 0; i < HUGE_PAGES_SIZE; i++) {
		if (strcmp(value, huge_pages[i]) != 0)
			continue;
		d->huge_pages = (enum huge_pages_wanted)i;
		return 0;
	}
	if (text_parse_bytes(&bytes, value, e) < 0 || bytes < 65536 ||
	    (bytes & (bytes - 1)))
		return error_set(e, EINVAL,
				 "'%s' is not a size of huge pages: write 2M "
				 "or 1G, or auto, off or thp",
				 value);
	d->huge_pages = HUGE_PAGES_SIZE;
	d->huge_page_bytes = bytes;
	return 0;
}

static const char *const memory_kinds[MEMORY_KINDS] = {
	[MEMORY_KIND_AUTO] = "auto",
	[MEMORY_KIND_PRIVATE] = "private",
	[MEMORY_KIND_FILE] = "file",
};

static int set_memory_kind(void *at, const struct ini_key *k, const char *value,
			   struct error *e)
{
	struct definition *d = at;

	(void)k;
	for (int i = 0; i < MEMORY_KINDS; i++) {
		if (strcmp(value, memory_kinds[i]) != 0)
			continue;
		d->memory_kind = (enum memory_kind_wanted)i;
		return 0;
	}
	return error_set(e, EINVAL,
			 "'%s' is no kind of memory: write auto, private or "
			 "file",
			 value);
}

static int set_vcpus(void *at, const struct ini_key *k, const char *value,
		     struct error *e)
{
	struct definition *d = at;
	AUTO_FREE char *number = strdup(value);
	uint64_t v;

	(void)k;
	if (!number)
		return error_set(e, ENOMEM, "no memory for a definition");
	if (split_options(number, &d->vcpus_options, e) < 0 ||
	    text_parse_number(&v, number, 1, VCPUS_MAX, e) < 0)
		return error_code(e);
	d->vcpus = (unsigned)v;
	return 0;
}

static int set_priority(void *at, const struct ini_key *k, const char *value,
			struct error *e)
{
	struct definition *d = at;
	uint64_t v;

	(void)k;
	if (text_parse_number(&v, value, 0, PRIORITY_MOST, e) < 0)
		return error_code(e);
	d->priority = (unsigned)v + 1;
	return 0;
}

static int set_stop_timeout(void *at, const struct ini_key *k,
			    const char *value, struct error *e)
{
	struct definition *d = at;

	(void)k;
	if (text_parse_duration(&d->stop_timeout_us, value, e) < 0)
		return error_code(e);
	if (d->stop_timeout_us == 0)
		return error_set(e, EINVAL,
				 "no guest powers off in no time: write a "
				 "duration such as 90s");
	return 0;
}

static int set_shared(void *at, const struct ini_key *k, const char *value,
		      struct error *e)
{
	struct parser *p = at;

	if (!*value)
		return error_set(e, EINVAL, "'%s' needs a value", k->key);
	return words_add(&p->definition.shared, value, e);
}

static int set_nic(void *at, const struct ini_key *k, const char *value,
		   struct error *e)
{
	struct parser *p = at;

	(void)k;
	return nics_add(&p->definition.nics, value, e);
}

static int set_disk(void *at, const struct ini_key *k, const char *value,
		    struct error *e)
{
	struct parser *p = at;

	(void)k;
	return defined_disks_add(&p->definition.disks, value, e);
}

static int set_arguments(void *at, const struct ini_key *k, const char *value,
			 struct error *e)
{
	struct parser *p = at;
	struct words *w = &p->definition.arguments;

	(void)k;
	if (words_split(w, value, e) < 0)
		return error_code(e);
	return check_arguments(w, &p->checked, false, e);
}

#define FIELD(name) .offset = offsetof(struct parser, definition.name)

#define SETS(function) (&(const struct ini_kind){ .parse = (function) })

static const struct ini_key keys[] = {
	{ "name", SETS(set_name), FIELD(name) },
	{ "uuid", SETS(set_uuid), FIELD(uuid) },
	{ "memory", SETS(set_memory) },
	{ "memory-kind", SETS(set_memory_kind), "auto" },
	{ "vcpus", SETS(set_vcpus), "1" },
	{ "priority", SETS(set_priority) },
	{ "stop-timeout", SETS(set_stop_timeout) },
	{ "machine", SETS(set_text), "q35", FIELD(machine) },
	{ "accelerator", SETS(set_text), "kvm:tcg", FIELD(accelerator) },
	{ "cpu", SETS(set_text), FIELD(cpu) },
	{ "qemu", SETS(set_path), FIELD(qemu) },
	{ "huge-pages", SETS(set_huge_pages) },
	{ "memory-id", SETS(set_id), "pc.ram", FIELD(memory_id) },
	{ "directory", SETS(set_path), "/", FIELD(directory) },
	{ "apart", SETS(set_group), FIELD(apart) },
	{ "together", SETS(set_group), FIELD(together) },
	{ "shared", SETS(set_shared), .repeatable = true },
	{ "nic", SETS(set_nic), .repeatable = true, .named = true },
	{ "disk", SETS(set_disk), .repeatable = true, .named = true },
	{ "arguments", SETS(set_arguments), .repeatable = true },
};

static const struct ini_section machine_section = { "machine", keys,
						    ARRAY_SIZE(keys) };
static const struct ini_section *const sections[] = { &machine_section };
static const struct ini_format format = { sections, ARRAY_SIZE(sections) };

void definition_done(struct definition *d)
{
	free(d->name);
	free(d->uuid);
	free(d->memory_options);
	free(d->vcpus_options);
	free(d->machine);
	free(d->accelerator);
	free(d->cpu);
	free(d->qemu);
	free(d->memory_id);
	free(d->directory);
	free(d->apart);
	free(d->together);
	words_done(&d->shared);
	words_done(&d->arguments);
	nics_done(&d->nics);
	defined_disks_done(&d->disks);
	*d = (struct definition){ 0 };
}

bool definition_says_shared(const struct definition *d, const char *path)
{
	const struct definition_disk *disk =
		defined_disks_find(&d->disks, path);

	return words_have(&d->shared, path) ||
	       (disk && disk->storage == DISK_ON_ALL);
}

bool definition_shares_memory(const struct definition *d)
{
	return d->shared_memory || d->huge_page_bytes ||
	       d->memory_kind == MEMORY_KIND_FILE;
}

bool definition_has_ram_file(const struct definition *d)
{
	return d->memory_kind == MEMORY_KIND_FILE && !definition_own_memory(d);
}

bool definition_own_memory(const struct definition *d)
{
	const struct words *w = &d->arguments;
	struct option o;

	for (size_t at = 0; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		if (!strcmp(o.name, "numa") && o.value &&
		    strstr(o.value, "memdev"))
			return true;
	}
	return false;
}

static int check_object(const struct definition *d, const char *value,
			struct error *e)
{
	json_t *o = option_properties(value, "qom-type");
	char buf[32];
	const char *id = option_text(o, "id", buf, sizeof(buf));
	int r = 0;

	if (id && !strcmp(id, d->memory_id))
		r = error_set(e, EINVAL,
			      "arguments: -object with id=%s is the machine's "
			      "memory, which is Drover's to make: use the keys "
			      "'memory', 'memory-id' and 'huge-pages'",
			      d->memory_id);
	json_decref(o);
	return r;
}

static int check_objects(const struct definition *d, struct error *e)
{
	const struct words *w = &d->arguments;
	struct option o;

	if (definition_own_memory(d))
		return 0;
	for (size_t at = 0; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		if (!strcmp(o.name, "object") && o.value &&
		    check_object(d, o.value, e) < 0)
			return error_code(e);
	}
	return 0;
}

static int check_memory(const struct definition *d, struct error *e)
{
	uint64_t unit = d->huge_page_bytes ? d->huge_page_bytes : RAM_UNIT;

	if (d->memory_bytes == 0)
		return error_set(e, EINVAL,
				 "the key 'memory' is missing in [machine]");
	if (d->memory_bytes % unit)
		return error_set(e, EINVAL,
				 "memory of %" PRIu64
				 " bytes is not a multiple "
				 "of %" PRIu64,
				 d->memory_bytes, unit);
	if (d->memory_kind == MEMORY_KIND_PRIVATE &&
	    (d->shared_memory || d->huge_page_bytes))
		return error_set(e, EINVAL,
				 "memory-kind is private, and %s asks for a "
				 "file: leave one of them out",
				 d->shared_memory ? "share=on" : "huge-pages");
	if (strstr(d->machine, "memory-backend="))
		return error_set(e, EINVAL,
				 "memory-backend is Drover's to set: use the "
				 "key 'memory-id'");
	return 0;
}

/* QEMU's own spelling of the key 'uuid'. */
static int take_uuid(struct definition *d, const char *value, struct error *e)
{
	char uuid[UUID_CAP];

	if (uuid_parse(uuid, value, e) < 0)
		return error_in(e, "arguments: -uuid");
	if (uuid_is_nil(uuid))
		return 0;
	if (d->uuid && strcmp(d->uuid, uuid) != 0)
		return error_set(e, EINVAL,
				 "arguments: -uuid is %s and the key 'uuid' is "
				 "%s: leave one of them out",
				 uuid, d->uuid);
	return copy(&d->uuid, uuid, e);
}

/* "-smbios type=1,uuid=..." is one that QEMU takes for the machine's too. */
static int look_at_smbios(struct definition *d, const char *value,
			  struct error *e)
{
	json_t *o = option_properties(value, "type");
	const char *text = json_string_value(json_object_get(o, "uuid"));
	char uuid[UUID_CAP], type[32];
	const char *number = option_text(o, "type", type, sizeof(type));
	struct error ignored;
	int r = 0;

	if (!d->uuid && text && number && !strcmp(number, "1") &&
	    uuid_parse(uuid, text, &ignored) == 0 && !uuid_is_nil(uuid))
		r = copy(&d->uuid, uuid, e);
	json_decref(o);
	return r;
}

static int take_uuids(struct definition *d, struct error *e)
{
	struct words *w = &d->arguments;
	struct option o;

	for (size_t at = 0; at < w->count;) {
		o = option_at(w->at, w->count, at);
		if (!o.value || strcmp(o.name, "uuid") != 0) {
			at += o.words;
			continue;
		}
		if (take_uuid(d, o.value, e) < 0)
			return error_code(e);
		words_remove(w, at, o.words);
	}
	for (size_t at = 0; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		if (o.value && !strcmp(o.name, "smbios") &&
		    look_at_smbios(d, o.value, e) < 0)
			return error_code(e);
	}
	return 0;
}

int definition_check(struct definition *d, struct error *e)
{
	const struct words *w = &d->arguments;
	size_t at = 0;

	if (d->vcpus == 0)
		d->vcpus = 1;
	if ((!d->machine && copy(&d->machine, "q35", e) < 0) ||
	    (!d->accelerator && copy(&d->accelerator, "kvm:tcg", e) < 0) ||
	    (!d->memory_id && copy(&d->memory_id, "pc.ram", e) < 0) ||
	    (!d->directory && copy(&d->directory, "/", e) < 0))
		return error_code(e);
	if (!d->name)
		return error_set(e, EINVAL,
				 "the key 'name' is missing in [machine]");
	if (check_memory(d, e) < 0 || check_objects(d, e) < 0 ||
	    take_uuids(d, e) < 0)
		return error_code(e);
	if (d->uuid)
		nics_settle(&d->nics, d->uuid);
	if (check_arguments(w, &at, true, e) < 0)
		return error_in(e, "arguments");
	return 0;
}

/* What the API could not show again. */
static int check_text(const char *file_name, const char *text, struct error *e)
{
	size_t len = strlen(text), good = text_utf8_len(text, len);
	const char *line = text;
	unsigned n = 1;

	if (good == len)
		return 0;
	for (const char *c = text; c < text + good; c++) {
		if (*c == '\n') {
			line = c + 1;
			n++;
		}
	}
	return error_set(e, EINVAL,
			 "%s:%u:%zu: the byte 0x%02x is not UTF-8: save the "
			 "file in that encoding",
			 file_name, n, (size_t)(text + good - line) + 1,
			 (unsigned char)text[good]);
}

int definition_parse(struct definition *ret, const char *file_name,
		     const char *text, struct error *e)
{
	struct parser p = { 0 };

	if (check_text(file_name, text, e) < 0)
		return error_code(e);
	if (ini_defaults(&machine_section, &p, e) < 0 ||
	    ini_read_text(&format, &p, file_name, text, strlen(text), e) < 0) {
		definition_done(&p.definition);
		return error_code(e);
	}
	if (definition_check(&p.definition, e) < 0) {
		definition_done(&p.definition);
		/* What is missing is missing everywhere. */
		return error_in(e, "%s:1:1", file_name);
	}
	*ret = p.definition;
	return 0;
}

static void write_key(FILE *out, const char *key, const char *value)
{
	if (value)
		fprintf(out, "%s = %s\n", key, value);
}

/* Without the line's end. */
static void write_size(FILE *out, const char *key, uint64_t bytes)
{
	static const char letters[] = "\0KMGT";
	size_t i = 0;

	while (bytes && bytes % 1024 == 0 && i < 4) {
		bytes /= 1024;
		i++;
	}
	fprintf(out, "%s = %" PRIu64 "%.1s", key, bytes, &letters[i]);
}

/* One option with its value per line. */
static void write_arguments(FILE *out, const struct words *w)
{
	struct option o;

	for (size_t at = 0; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		fprintf(out, "arguments =");
		for (size_t i = at; i < at + o.words; i++) {
			AUTO_FREE char *quoted = words_quote(w->at[i]);

			fprintf(out, " %s", quoted ? quoted : "");
		}
		fprintf(out, "\n");
	}
}

/* What stands for the disks where nobody knows the key. */
static bool write_disk_arguments(FILE *out, const struct definition *d)
{
	SCOPED(words_done) struct words w = { 0 };
	struct error ignored;

	if (defined_disks_argv(&w, &d->disks, &ignored) < 0)
		return false;
	write_arguments(out, &w);
	return true;
}

static void write_memory(FILE *out, const struct definition *d, bool share)
{
	const char *more = d->memory_options;

	write_size(out, "memory", d->memory_bytes);
	fprintf(out, "%s%s%s\n", more ? "," : "", more ? more : "",
		share ? ",share=on" : "");
}

enum use { TO_KEEP, FOR_PEERS, TO_START };

/* Each version knows a size. */
static void write_huge_pages(FILE *out, const struct definition *d,
			     enum use use)
{
	if (d->huge_page_bytes) {
		write_size(out, "huge-pages", d->huge_page_bytes);
		fprintf(out, "\n");
	} else if (d->huge_pages != HUGE_PAGES_AUTO && use != FOR_PEERS) {
		write_key(out, "huge-pages", huge_pages[d->huge_pages]);
	}
}

static void write_stop_timeout(FILE *out, uint64_t us)
{
	char text[32];

	text_exact_duration(text, sizeof(text), us);
	write_key(out, "stop-timeout", text);
}

static char *to_text(const struct definition *d, enum use use)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	bool good = true;

	if (!out)
		return NULL;
	fprintf(out, "[machine]\n");
	write_key(out, "name", d->name);
	if (d->uuid)
		fprintf(out, "%s%s\n",
			use == FOR_PEERS ? "arguments = -uuid " : "uuid = ",
			d->uuid);
	write_memory(out, d, d->shared_memory && use != FOR_PEERS);
	if (d->memory_kind != MEMORY_KIND_AUTO && use != FOR_PEERS)
		write_key(out, "memory-kind", memory_kinds[d->memory_kind]);
	fprintf(out, "vcpus = %u%s%s\n", d->vcpus, d->vcpus_options ? "," : "",
		d->vcpus_options ? d->vcpus_options : "");
	write_key(out, "machine", d->machine);
	write_key(out, "accelerator", d->accelerator);
	write_key(out, "cpu", d->cpu);
	write_key(out, "qemu", d->qemu);
	write_huge_pages(out, d, use);
	write_key(out, "memory-id", d->memory_id);
	write_key(out, "directory", d->directory);
	if (use == TO_KEEP) {
		write_key(out, "apart", d->apart);
		write_key(out, "together", d->together);
	}
	if (d->priority && use == TO_KEEP)
		fprintf(out, "priority = %u\n", d->priority - 1);
	if (d->stop_timeout_us && use == TO_KEEP)
		write_stop_timeout(out, d->stop_timeout_us);
	for (size_t i = 0; i < d->shared.count && use == TO_KEEP; i++)
		write_key(out, "shared", d->shared.at[i]);
	if (use != FOR_PEERS) {
		defined_disks_write(out, &d->disks, use == TO_START);
		nics_write(out, &d->nics);
	}
	write_arguments(out, &d->arguments);
	if (use == FOR_PEERS) {
		good = write_disk_arguments(out, d);
		nics_write_arguments(out, &d->nics);
	}
	if (fclose(out) || !good) {
		free(text);
		return NULL;
	}
	return text;
}

char *definition_text(const struct definition *d)
{
	return to_text(d, TO_KEEP);
}

char *definition_text_for_peers(const struct definition *d)
{
	return to_text(d, FOR_PEERS);
}

bool definition_starts_as(const struct definition *d,
			  const struct definition *other)
{
	AUTO_FREE char *one = to_text(d, TO_START);
	AUTO_FREE char *two = to_text(other, TO_START);

	return one && two && !strcmp(one, two);
}
