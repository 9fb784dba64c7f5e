/* SPDX-License-Identifier: MIT */

/*
 * A value cut into properties as QEMU cuts it, and each judged by its rule.
 * A key that stands twice is judged twice: which of the two counts differs
 * from option to option.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/policy_rules.h"

enum { PROPERTIES_MAX = 1024 };

void policy_properties_done(struct policy_properties *p)
{
	words_done(&p->keys);
	words_done(&p->values);
}

/* "hosts.0.name" into "hosts.*.name". */
static void without_numbers(char *key)
{
	char *out = key;

	while (*key) {
		size_t n = strcspn(key, ".");

		if (n > 0 && strspn(key, "0123456789") == n) {
			*out++ = '*';
		} else {
			memmove(out, key, n);
			out += n;
		}
		key += n;
		if (*key)
			*out++ = *key++;
	}
	*out = '\0';
}

static int add(struct policy_properties *p, char *key, const char *value,
	       struct error *e)
{
	if (p->keys.count >= PROPERTIES_MAX)
		return error_set(e, EINVAL, "it has more than %d properties",
				 PROPERTIES_MAX);
	without_numbers(key);
	if (words_add(&p->keys, key, e) < 0)
		return error_code(e);
	return words_add(&p->values, value, e);
}

/* --- "a=b,c" */

/* The text up to a single comma, doubled ones made single, into @out; where
 * that ends. */
static const char *value_at(char *out, const char *at)
{
	while (*at && !(*at == ',' && at[1] != ',')) {
		at += *at == ',';
		*out++ = *at++;
	}
	*out = '\0';
	return at;
}

/* The way of QEMU's get_opt_name_value(): a name ends with the first '=' or
 * ',', doubled or not, and only the first may go without. */
static const char *one_property(char *key, char *value, const char *at,
				const char *implied)
{
	size_t n = strcspn(at, "=,");

	if (at[n] == '=') {
		snprintf(key, n + 1, "%s", at);
		at = value_at(value, at + n + 1);
	} else if (implied) {
		strcpy(key, implied);
		at = value_at(value, at);
	} else {
		snprintf(key, n + 1, "%s", at);
		strcpy(value, "on");
		at += n;
	}
	return at + (*at == ',');
}

static int cut_text(struct policy_properties *p, const char *text,
		    const char *implied, struct error *e)
{
	size_t cap = strlen(text) + 64;
	AUTO_FREE char *key = malloc(cap), *value = malloc(cap);

	if (!key || !value)
		return error_set(e, ENOMEM, "no memory for properties");
	while (*text) {
		text = one_property(key, value, text, implied);
		implied = NULL;
		if (add(p, key, value, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* --- JSON, without recursion: what is still to be looked at stands in a list
 * that grows at its end */

struct nodes {
	json_t *root, *at[PROPERTIES_MAX];
	struct words keys;
	size_t count;
};

static void nodes_free(struct nodes *n)
{
	if (n) {
		json_decref(n->root);
		words_done(&n->keys);
	}
	free(n);
}

static void nodes_drop(struct nodes *const *n)
{
	nodes_free(*n);
}

static int nodes_add(struct nodes *n, json_t *node, const char *above,
		     const char *name, struct error *e)
{
	if (n->count == PROPERTIES_MAX)
		return error_set(e, EINVAL, "it has more than %d properties",
				 PROPERTIES_MAX);
	n->at[n->count++] = node;
	return words_addf(&n->keys, e, "%s%s%s", above, above[0] ? "." : "",
			  name);
}

static int add_scalar(struct policy_properties *p, const char *key,
		      const json_t *node, struct error *e)
{
	AUTO_FREE char *copy = strdup(key), *text = NULL;

	text = json_is_boolean(node) ? strdup(json_is_true(node) ? "on" : "off")
	       : json_is_string(node) ? strdup(json_string_value(node))
				      : json_dumps(node, JSON_ENCODE_ANY);
	if (!copy || !text)
		return error_set(e, ENOMEM, "no memory for properties");
	return add(p, copy, text, e);
}

static int look_at(struct nodes *n, size_t i, struct policy_properties *p,
		   struct error *e)
{
	json_t *node = n->at[i], *member;
	const char *key = n->keys.at[i], *name;
	size_t index;

	if (!json_is_object(node) && !json_is_array(node))
		return add_scalar(p, key, node, e);
	json_object_foreach (node, name, member)
		if (nodes_add(n, member, key, name, e) < 0)
			return error_code(e);
	json_array_foreach (node, index, member)
		if (nodes_add(n, member, key, "*", e) < 0)
			return error_code(e);
	return 0;
}

static int cut_json(struct policy_properties *p, const char *text,
		    struct error *e)
{
	SCOPED(nodes_drop) struct nodes *n = calloc(1, sizeof(*n));
	json_error_t wrong;

	if (!n)
		return error_set(e, ENOMEM, "no memory for properties");
	n->root = json_loads(text, JSON_REJECT_DUPLICATES, &wrong);
	if (!json_is_object(n->root))
		return error_set(e, EINVAL, "it is no JSON object: %s",
				 wrong.text);
	if (nodes_add(n, n->root, "", "", e) < 0)
		return error_code(e);
	for (size_t i = 0; i < n->count; i++)
		if (look_at(n, i, p, e) < 0)
			return error_code(e);
	return 0;
}

int policy_properties(struct policy_properties *ret, const char *text,
		      const char *implied, struct error *e)
{
	*ret = (struct policy_properties){ 0 };
	if (text[0] == '{')
		return cut_json(ret, text, e);
	return cut_text(ret, text, implied, e);
}

/* --- judging */

static bool begins_with(const char *name, const char *begin, size_t n)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";

	return !strncmp(name, begin, n) && !name[strspn(name, letters)];
}

/* "virtio-*" among the names stands for all that begin so. */
static bool is_kind(const struct policy_kind *k, const char *name)
{
	const char *at = k->names;

	while (at && *at) {
		size_t n = strcspn(at, " ");

		if (at[n - 1] == '*' ? begins_with(name, at, n - 1)
				     : !strncmp(name, at, n) && !name[n])
			return true;
		at += n + strspn(at + n, " ");
	}
	return !k->names;
}

const struct policy_kind *policy_find_kind(const struct policy_syntax *s,
					   const char *name)
{
	for (size_t i = 0; i < s->kinds_count; i++)
		if (is_kind(&s->kinds[i], name))
			return &s->kinds[i];
	return NULL;
}

static const struct policy_key *find_key(const struct policy_kind *k,
					 const char *key)
{
	static const struct policy_key any = { "", RULE_ANY, NULL };
	static const struct policy_key text = { "", RULE_TEXT, NULL };

	for (const struct policy_key *at = k->keys; at && at->key; at++)
		if (!strcmp(at->key, key))
			return at;
	if (text_listed(k->any, key))
		return &any;
	return text_listed(k->text, key) ? &text : NULL;
}

/* "nowait" is "wait" switched off, the way of long ago. */
static const struct policy_key *find_flag(const struct policy_kind *k,
					  const char *key, const char **value)
{
	const struct policy_key *found = find_key(k, key);

	if (found || strncmp(key, "no", 2) != 0 || strcmp(*value, "on") != 0)
		return found;
	*value = "off";
	return find_key(k, key + 2);
}

static bool is_off(const char *value)
{
	return text_listed("off no false n", value);
}

static bool is_on(const char *value)
{
	return text_listed("on yes true y", value);
}

static bool is_id(const char *value)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._#";

	return value[0] != '.' && !value[strspn(value, letters)];
}

void policy_check_one_image(struct policy_run *r, const char *words,
			    const char *value)
{
	if (strpbrk(value, ":, "))
		policy_blame(r, words,
			     "QEMU would take it for a list of files: write "
			     "one, without ':', ',' and blanks");
	else
		policy_path(r, words, value, PLACE_IMAGE);
}

static void judge_disk(struct policy_run *r, const char *words,
		       const char *path)
{
	bool below = !strncmp(words, "backing.", 8);
	unsigned places = PLACE_IMAGE | (r->read_only ? PLACE_DATA : 0);

	if (policy_path(r, words, path, places) && (below || !r->raw))
		policy_image(r, words, path, below || r->guessed);
}

bool policy_is_drovers(struct policy_run *r, const char *words,
		       const char *value)
{
	if (strncmp(value, "drover-", 7) != 0)
		return false;
	policy_blame(r, words,
		     "names that begin with drover- are Drover's own: use "
		     "another");
	return true;
}

static void judge(struct policy_run *r, const struct policy_key *k,
		  const char *words, const char *value)
{
	switch (k->rule) {
	case RULE_ANY:
		if (policy_is_drovers(r, words, value))
			break;
		if (strchr(value, '/'))
			policy_blame(r, words,
				     "it names no file: write it without '/'");
		break;
	case RULE_TEXT:
		break;
	case RULE_ID:
		if (policy_is_drovers(r, words, value))
			break;
		if (!is_id(value))
			policy_blame(r, words,
				     "'%.60s' is no id of another part of the "
				     "machine: use letters, digits, '-', '.' "
				     "and '_'",
				     value);
		break;
	case RULE_IMAGE:
		policy_path(r, words, value, PLACE_IMAGE);
		break;
	case RULE_ONE_IMAGE:
		policy_check_one_image(r, words, value);
		break;
	case RULE_DISK:
		judge_disk(r, words, value);
		break;
	case RULE_READ:
		if (value[0])
			policy_path(r, words, value, PLACE_IMAGE | PLACE_DATA);
		break;
	case RULE_OWN:
		policy_path(r, words, value, PLACE_OWN);
		break;
	case RULE_OFF:
		if (!is_off(value))
			policy_blame(r, words, "%s", k->more);
		break;
	case RULE_ON:
		if (!is_on(value))
			policy_blame(r, words, "%s", k->more);
		break;
	case RULE_ONE_OF:
		if (!text_listed(k->more, value))
			policy_blame(r, words, "only these are allowed: %s",
				     k->more);
		break;
	case RULE_REFUSED:
		policy_blame(r, words, "%s", k->more);
		break;
	}
}

/* "file.filename" and "backing.file.filename" are judged as "filename". */
static const char *leaf_of(const char *key)
{
	const char *at = key;

	for (;;) {
		if (!strncmp(at, "file.", 5))
			at += 5;
		else if (!strncmp(at, "backing.", 8))
			at += 8;
		else
			return at;
	}
}

static void check_one(struct policy_run *r, const struct policy_syntax *s,
		      const struct policy_kind *kind, const char *key,
		      const char *value)
{
	static const struct policy_key reference = { "", RULE_ID, NULL };
	const char *leaf = s->nested ? leaf_of(key) : key;
	const struct policy_key *k = find_flag(kind, leaf, &value);
	char words[160];

	snprintf(words, sizeof(words), "%.60s=%.90s", key, value);
	if (leaf != key && text_listed("file backing", leaf))
		k = &reference;
	if (k)
		judge(r, k, words, value);
	else
		policy_blame(r, words,
			     "the property '%.60s' is not among those that are "
			     "allowed: leave it out",
			     key);
}

void policy_check_property(struct policy_run *r, const struct policy_syntax *s,
			   const char *key, const char *value)
{
	check_one(r, s, s->kinds, key, value);
}

/* The one value of @key: NULL with none, or, blamed, with several. */
static const char *only(struct policy_run *r, const struct policy_properties *p,
			const char *key, bool *ret_several)
{
	const char *found = NULL;

	for (size_t i = 0; i < p->keys.count; i++) {
		if (strcmp(p->keys.at[i], key) != 0)
			continue;
		if (found) {
			policy_blame(r, key, "it stands there twice");
			*ret_several = true;
			return NULL;
		}
		found = p->values.at[i];
	}
	return found;
}

static const struct policy_kind *kind_of(struct policy_run *r,
					 const struct policy_syntax *s,
					 const struct policy_properties *p)
{
	const struct policy_kind *k;
	bool several = false;
	const char *name;

	if (!s->kind)
		return s->kinds;
	name = only(r, p, s->kind, &several);
	if (several)
		return NULL;
	if (!name)
		name = s->fallback;
	if (!name) {
		policy_blame(r, "", "it does not say which %s", s->what);
		return NULL;
	}
	k = policy_find_kind(s, name);
	if (!k)
		policy_blame(r, name,
			     "this %s is not among those that are allowed: "
			     "use another one",
			     s->what);
	else if (k->refused)
		policy_blame(r, name, "%s", k->refused);
	return k && !k->refused ? k : NULL;
}

/* Says every word of that name so? */
static bool says_read_only(const struct policy_properties *p)
{
	bool says = false;

	for (size_t i = 0; i < p->keys.count; i++) {
		if (!text_listed("readonly read-only", p->keys.at[i]))
			continue;
		if (!is_on(p->values.at[i]))
			return false;
		says = true;
	}
	return says;
}

static void blame_missing(struct policy_run *r, const struct policy_kind *kind,
			  const char *name)
{
	const struct policy_key *k = find_key(kind, kind->needed);

	if (k && k->more)
		policy_blame(r, name, "%s", k->more);
	else
		policy_blame(r, name, "the property '%s' is missing",
			     kind->needed);
}

/* What is said of the format, in whichever way?  A raw image over a qcow2 one
 * is none. */
static void note_format(struct policy_run *r, const struct policy_properties *p)
{
	bool raw = false, other = false;

	r->guessed = true;
	for (size_t i = 0; i < p->keys.count; i++) {
		const char *key = p->keys.at[i], *value = p->values.at[i];

		if (!text_listed("driver format", leaf_of(key)))
			continue;
		/* What a filter stands on is looked at as without it. */
		r->guessed &= leaf_of(key) != key ||
			      text_listed("throttle copy-on-read", value);
		raw |= leaf_of(key) == key && !strcmp(value, "raw");
		other |= !text_listed("raw file host_device", value);
	}
	r->raw = raw && !other;
}

static void check_cut(struct policy_run *r, const struct policy_syntax *s,
		      const struct policy_properties *p)
{
	const struct policy_kind *kind = kind_of(r, s, p);
	const char *name = "";
	bool found = false;

	if (!kind)
		return;
	r->read_only = says_read_only(p);
	note_format(r, p);
	for (size_t i = 0; i < p->keys.count && !r->failed; i++) {
		const char *key = p->keys.at[i];

		found |= kind->needed && !strcmp(kind->needed, key);
		if (s->kind && !strcmp(key, s->kind))
			name = p->values.at[i];
		else
			check_one(r, s, kind, key, p->values.at[i]);
	}
	if (kind->needed && !found)
		blame_missing(r, kind, name);
}

void policy_check_properties(struct policy_run *r,
			     const struct policy_syntax *s, const char *value)
{
	SCOPED(policy_properties_done) struct policy_properties p = { 0 };
	struct error e = { 0 };

	if (value[0] == '{' && !s->json)
		policy_blame(r, value,
			     "QEMU takes no JSON here: write it as key=value,"
			     "key=value");
	else if (policy_properties(&p, value, s->implied, &e) == 0) {
		check_cut(r, s, &p);
	} else if (e.code == EINVAL) {
		policy_blame(r, value, "%s", e.text);
	} else {
		r->failed = true;
		*r->error = e;
	}
}
