/* SPDX-License-Identifier: MIT */

/* What stands among the arguments and would be a nic of the definition. */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "qemu/definition.h"
#include "qemu/nic.h"
#include "qemu/options.h"

enum { LINE_CAP = 256 };

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static bool makes_tap(const json_t *o)
{
	const char *type = text_of(o, "type");

	return type && (!strcmp(type, "bridge") || !strcmp(type, "tap")) &&
	       !json_object_get(o, "fd") && !json_object_get(o, "fds");
}

/* What QEMU takes where -nic names none. */
static const char *default_model(const struct definition *d)
{
	if (!strncmp(d->machine, "q35", 3) || !strncmp(d->machine, "pc-q35", 6))
		return "e1000e";
	return !strncmp(d->machine, "pc", 2) ? "e1000" : NULL;
}

/* The options of the card that stands on the -netdev @id. */
static json_t *device_of(const struct definition *d, const char *id)
{
	const struct words *w = &d->arguments;
	struct option o;

	for (size_t at = 0; id && at < w->count; at += o.words) {
		json_t *p;
		const char *netdev;

		o = option_at(w->at, w->count, at);
		if (strcmp(o.name, "device") != 0 || !o.value)
			continue;
		p = option_properties(o.value, "driver");
		netdev = text_of(p, "netdev");
		if (netdev && !strcmp(netdev, id))
			return p;
		json_decref(p);
	}
	return NULL;
}

/* One that is free, for the n-th. */
static size_t free_number(const struct definition *d)
{
	char name[NIC_NAME_CAP];
	size_t n = 0;

	for (size_t i = 0; i < d->nics.count; i++) {
		snprintf(name, sizeof(name), "net%zu", n);
		if (strcmp(d->nics.at[i].name, name) != 0)
			continue;
		n++;
		i = (size_t)-1;
	}
	return n;
}

/* "NAME bridge=BRIDGE,..." as far as the options say. */
static void line_of(char line[LINE_CAP], const struct definition *d,
		    const json_t *o)
{
	json_t *device = device_of(d, text_of(o, "id"));
	const char *type = text_of(o, "type"), *bridge = text_of(o, "br");
	const char *mac = text_of(device ? device : o, "mac");
	const char *model =
		device ? text_of(device, "driver") : text_of(o, "model");

	if (!bridge)
		bridge = !strcmp(type, "bridge") ? "br0" : "BRIDGE";
	if (!model)
		model = default_model(d);
	if (model && !strcmp(model, "virtio"))
		model = "virtio-net-pci";
	snprintf(line, LINE_CAP, "net%zu bridge=%.60s%s%.20s%s%.60s",
		 free_number(d), bridge, mac ? ",mac=" : "", mac ? mac : "",
		 model ? ",model=" : "", model ? model : "");
	json_decref(device);
}

/* Nothing in it that a nic has no word for. */
static bool is_simple(const struct definition *d, const json_t *o)
{
	const char *key, *type = text_of(o, "type");
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)o, key, value)
		if (!text_listed("type br mac model id", key))
			return false;
	return (text_of(o, "model") || default_model(d)) &&
	       (text_of(o, "br") || !strcmp(type, "bridge"));
}

static json_t *tap_at(const struct option *o, const char *option)
{
	json_t *p;

	if (!o->value || strcmp(o->name, option) != 0)
		return NULL;
	p = option_properties(o->value, "type");
	if (p && makes_tap(p))
		return p;
	json_decref(p);
	return NULL;
}

int nics_from_arguments(struct definition *d, struct error *e)
{
	struct words *w = &d->arguments;
	struct option o;

	for (size_t at = 0; at < w->count;) {
		char line[LINE_CAP];
		json_t *p;
		bool simple;

		o = option_at(w->at, w->count, at);
		p = tap_at(&o, "nic");
		simple = p && is_simple(d, p);
		if (simple)
			line_of(line, d, p);
		json_decref(p);
		if (!simple) {
			at += o.words;
			continue;
		}
		if (nics_add(&d->nics, line, e) < 0)
			return error_in(e, "arguments: -nic");
		words_remove(w, at, o.words);
	}
	return 0;
}

int nics_check_arguments(const struct definition *d, struct error *e)
{
	static const char *const options[] = { "nic", "netdev", "net" };
	const struct words *w = &d->arguments;
	struct option o;

	for (size_t at = 0; at < w->count; at += o.words) {
		o = option_at(w->at, w->count, at);
		for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
			json_t *p = tap_at(&o, options[i]);
			char line[LINE_CAP], *value;

			if (!p)
				continue;
			line_of(line, d, p);
			json_decref(p);
			value = line + strcspn(line, " ");
			if (*value)
				*value++ = '\0';
			return error_set(
				e, EINVAL,
				"arguments: -%s %.60s: QEMU is confined here "
				"(qemu-user) and can make no tap: write "
				"'nic %s = %s' in place of it%s",
				o.name, o.value, line, value,
				i == 0 ? "" : " and of its -device");
		}
	}
	return 0;
}
