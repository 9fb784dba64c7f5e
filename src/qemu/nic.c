/* SPDX-License-Identifier: MIT */
#include "qemu/nic.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/words.h"

#define DEFAULT_MODEL "virtio-net-pci"

static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

static int take_word(char *ret, size_t cap, const char *what, const char *value,
		     struct error *e)
{
	if (!*value || strlen(value) >= cap || value[strspn(value, letters)])
		return error_set(e, EINVAL,
				 "'%.80s' is no %s: use letters, digits, '-', "
				 "'_' and '.', at most %zu",
				 value, what, cap - 1);
	snprintf(ret, cap, "%s", value);
	return 0;
}

/* How many characters that takes; 0: it is none. */
static int read_mac(unsigned char ret[static MAC_BYTES], const char *mac)
{
	int n = 0;

	/* NOLINTNEXTLINE(cert-err34-c): at most two digits each */
	if (sscanf(mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &ret[0],
		   &ret[1], &ret[2], &ret[3], &ret[4], &ret[5],
		   &n) != MAC_BYTES)
		return 0;
	return n;
}

void mac_bytes(unsigned char ret[static MAC_BYTES], const char *mac)
{
	(void)read_mac(ret, mac);
}

/* In lower case.  The first bit on the wire is that of a group of cards. */
static int take_mac(char ret[NIC_MAC_CAP], const char *value, struct error *e)
{
	unsigned char bytes[MAC_BYTES] = { 0 };

	if (read_mac(bytes, value) != NIC_MAC_CAP - 1 || value[NIC_MAC_CAP - 1])
		return error_set(e, EINVAL,
				 "'%.40s' is no address of a card: write "
				 "52:54:12:34:56:78",
				 value);
	if (bytes[0] & 1)
		return error_set(e, EINVAL,
				 "%s is an address of many cards: its first "
				 "number has to be even",
				 value);
	for (int i = 0; i < NIC_MAC_CAP; i++)
		ret[i] = (char)tolower((unsigned char)value[i]);
	return 0;
}

static int take_property(struct definition_nic *n, char *pair, struct error *e)
{
	char *value = strchr(pair, '=');

	if (value)
		*value++ = '\0';
	if (value && !strcmp(pair, "bridge"))
		return take_word(n->bridge, sizeof(n->bridge), "bridge", value,
				 e);
	if (value && !strcmp(pair, "mac"))
		return take_mac(n->mac, value, e);
	if (value && !strcmp(pair, "model"))
		return take_word(n->model, sizeof(n->model), "model of a card",
				 value, e);
	return error_set(e, EINVAL,
			 "'%.40s': a nic has bridge=, mac= and model=", pair);
}

static int parse(struct definition_nic *ret, const char *line, struct error *e)
{
	struct definition_nic n = { .model = DEFAULT_MODEL };
	AUTO_FREE char *copy = strdup(line);
	char *save = NULL, *rest = copy ? strchr(copy, ' ') : NULL;

	if (!copy)
		return error_set(e, ENOMEM, "no memory for a definition");
	if (!rest || rest == copy)
		return error_set(e, EINVAL, "write nic NAME = bridge=br0");
	*rest++ = '\0';
	if (take_word(n.name, sizeof(n.name), "name of a nic", copy, e) < 0)
		return error_code(e);
	for (char *pair = strtok_r(rest, ",", &save); pair;
	     pair = strtok_r(NULL, ",", &save))
		if (take_property(&n, pair, e) < 0)
			return error_code(e);
	if (!n.bridge[0])
		return error_set(e, EINVAL,
				 "nic %s stands on no bridge: write "
				 "bridge=br0",
				 n.name);
	*ret = n;
	return 0;
}

int nics_add(struct definition_nics *n, const char *line, struct error *e)
{
	struct definition_nic fresh, *more;

	if (parse(&fresh, line, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < n->count; i++)
		if (!strcmp(n->at[i].name, fresh.name))
			return error_set(e, EINVAL, "nic %s is there twice",
					 fresh.name);
	if (n->count == NICS_MAX)
		return error_set(e, EINVAL, "more than %d nics", NICS_MAX);
	more = reallocarray(n->at, n->count + 1, sizeof(*more));
	if (!more)
		return error_set(e, ENOMEM, "no memory for a definition");
	n->at = more;
	more[n->count++] = fresh;
	return 0;
}

void nics_done(struct definition_nics *n)
{
	free(n->at);
	*n = (struct definition_nics){ NULL, 0 };
}

/* Of those that no maker has been given, and as QEMU's: 52:54. */
void nics_settle(struct definition_nics *n, const char *identity)
{
	for (size_t i = 0; i < n->count; i++) {
		struct definition_nic *nic = &n->at[i];
		char both[128];
		uint64_t h;

		if (nic->mac[0])
			continue;
		snprintf(both, sizeof(both), "%s %s", identity, nic->name);
		h = XXH64(both, strlen(both), 0);
		snprintf(nic->mac, NIC_MAC_CAP, "52:54:%02x:%02x:%02x:%02x",
			 (unsigned)(h >> 24 & 0xff), (unsigned)(h >> 16 & 0xff),
			 (unsigned)(h >> 8 & 0xff), (unsigned)(h & 0xff));
	}
}

void nics_write(FILE *out, const struct definition_nics *n)
{
	for (size_t i = 0; i < n->count; i++) {
		const struct definition_nic *nic = &n->at[i];

		fprintf(out, "nic %s = bridge=%s%s%s,model=%s\n", nic->name,
			nic->bridge, nic->mac[0] ? ",mac=" : "", nic->mac,
			nic->model);
	}
}

void nics_write_arguments(FILE *out, const struct definition_nics *n)
{
	for (size_t i = 0; i < n->count; i++) {
		const struct definition_nic *nic = &n->at[i];

		fprintf(out,
			"arguments = -netdev bridge,id=drover-%s,br=%s\n"
			"arguments = -device "
			"%s,netdev=drover-%s,id=nic-%s,mac=%s\n",
			nic->name, nic->bridge, nic->model, nic->name,
			nic->name, nic->mac);
	}
}

int nics_argv(struct words *w, const struct definition_nics *n, const int *fds,
	      struct error *e)
{
	for (size_t i = 0; i < n->count; i++) {
		const struct definition_nic *nic = &n->at[i];

		if (words_add(w, "-netdev", e) < 0 ||
		    words_addf(w, e, "tap,id=drover-%s,fd=%d", nic->name,
			       fds ? fds[i] : -1) < 0 ||
		    words_add(w, "-device", e) < 0 ||
		    words_addf(w, e, "%s,netdev=drover-%s,id=nic-%s,mac=%s",
			       nic->model, nic->name, nic->name, nic->mac) < 0)
			return error_code(e);
	}
	return 0;
}
