/* SPDX-License-Identifier: MIT */
#include "host/check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"
#include "channel/secure.h"
#include "host/settings.h"
#include "nic/address.h"
#include "nic/inventory.h"
#include "nic/scan.h"
#include "trust/context.h"
#include "trust/list.h"
#include "trust/trust.h"

enum { DAY_S = 24 * 3600, SOON_DAYS = 30, PLACE_CAP = PATH_MAX + 32 };

#define PEER_TIMEOUT_US (2 * USEC_PER_SEC)

struct checking {
	struct check *found;
	const struct settings *s;
	const struct settings_source *from;
	const struct inventory *cards;
	struct trust *trust;
	SSL_CTX *context; /* NULL: this host has not what TLS needs */
};

void check_done(struct check *c)
{
	words_done(&c->unknown);
	words_done(&c->wrong);
	words_done(&c->notes);
}

/* "FILE:LINE: " of a key, "" where it has its default. */
static const char *place(char buf[static PLACE_CAP], const struct settings *s,
			 const struct ini_section *section, const void *base,
			 const char *key)
{
	const struct setting_origin *at = NULL;
	const struct ini_key *k;
	struct error ignored;

	if (ini_find_key(&k, section, key, &ignored) == 0)
		at = settings_origin(s, base, k);
	buf[0] = '\0';
	if (at)
		snprintf(buf, PLACE_CAP, "%s:%u: ", s->files.at[at->file],
			 at->line);
	return buf;
}

static const char *host_place(char buf[static PLACE_CAP],
			      const struct checking *c, const char *key)
{
	return place(buf, c->s, &host_section, &c->s->host, key);
}

/* --- cards */

static bool is_wildcard(const struct nic_address *a)
{
	static const uint8_t none[sizeof(a->bytes)];

	return !memcmp(a->bytes, none, sizeof(none));
}

static int check_listen(struct checking *c, struct error *e)
{
	const struct words *listen = &c->s->host.listen;
	struct nic_address a;
	char at[PLACE_CAP];

	for (size_t i = 0; i < listen->count; i++)
		if (nic_address_parse(&a, listen->at[i]) == 0 &&
		    !is_wildcard(&a) &&
		    !inventory_by_address(c->cards, a.family, a.bytes) &&
		    words_addf(&c->found->wrong, e,
			       "%slisten = %s: no card of this host has that "
			       "address",
			       host_place(at, c, "listen"), listen->at[i]) < 0)
			return error_code(e);
	return 0;
}

static bool is_here(const struct inventory *cards, const struct network *n)
{
	if (n->nic[0])
		return inventory_by_name(cards, n->nic);
	for (size_t i = 0; i < cards->count; i++)
		for (size_t j = 0; j < cards->at[i].addresses_count; j++)
			if (nic_address_within(&cards->at[i].addresses[j],
					       &n->prefix))
				return true;
	return false;
}

/* One of several may be for other hosts, which have the same file. */
static int check_networks(struct checking *c, struct error *e)
{
	const struct networks *all = &c->s->networks;
	char text[NIC_ADDRESS_TEXT];
	size_t here = 0;

	for (size_t i = 0; i < all->count; i++) {
		const struct network *n = &all->at[i];

		if (is_here(c->cards, n)) {
			here++;
			continue;
		}
		nic_address_text(text, &n->prefix);
		if (words_addf(&c->found->notes, e,
			       "networks: this host has no card %s%s",
			       n->nic[0] ? "" : "with an address in ",
			       n->nic[0] ? n->nic : text) < 0)
			return error_code(e);
	}
	if (all->count == 0 || here > 0)
		return 0;
	return words_add(&c->found->wrong,
			 "networks: this host has a card on none of them, and "
			 "so no move can leave or arrive",
			 e);
}

/* --- folders and programs */

/* What says that a file can be made in it; NULL: nothing does not. */
static const char *why_not_writable(const char *path)
{
	int fd;

	if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) < 0)
		return strerrordesc_np(errno);
	/* To root everything is allowed, and a file system may be full. */
	fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR)
		return strerrordesc_np(errno);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static int check_folder(struct words *into, const char *where, const char *path,
			struct error *e)
{
	char parent[PATH_MAX];
	const char *why;
	struct stat st;
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	/* One that is not there is made, and nothing above it. */
	if (stat(path, &st) < 0 && errno == ENOENT &&
	    (slash = strrchr(parent, '/')))
		slash[slash == parent] = '\0';
	why = why_not_writable(parent);
	if (!why)
		return 0;
	return words_addf(into, e,
			  "%sdroverd cannot write into the folder %s: %s",
			  where, parent, why);
}

static int check_folders(struct checking *c, struct error *e)
{
	const struct host_settings *h = &c->s->host;
	char at[PLACE_CAP], more[PATH_MAX];

	settings_folder(more, sizeof(more), c->from->path);
	if (check_folder(&c->found->wrong, host_place(at, c, "state-directory"),
			 h->state_directory, e) < 0 ||
	    check_folder(&c->found->wrong, host_place(at, c, "run-directory"),
			 h->run_directory, e) < 0 ||
	    check_folder(&c->found->notes, host_place(at, c, "trust-directory"),
			 h->trust_directory, e) < 0)
		return error_code(e);
	return check_folder(&c->found->notes, "for 'drover host set': ", more,
			    e);
}

/* A QEMU that somebody has named is missed; the default one may be what no
 * machine here uses. */
static int check_programs(struct checking *c, struct error *e)
{
	const struct host_settings *h = &c->s->host;
	char at[PLACE_CAP];

	host_place(at, c, "qemu");
	if (access(h->qemu, X_OK) < 0 &&
	    words_addf(at[0] ? &c->found->wrong : &c->found->notes, e,
		       "%sqemu = %s: %s", at, h->qemu,
		       strerrordesc_np(errno)) < 0)
		return error_code(e);
	host_place(at, c, "allow-qemu");
	for (size_t i = 0; i < h->programs.count; i++)
		if (access(h->programs.at[i], X_OK) < 0 &&
		    words_addf(&c->found->wrong, e, "%sallow-qemu = %s: %s", at,
			       h->programs.at[i], strerrordesc_np(errno)) < 0)
			return error_code(e);
	return 0;
}

/* A host that is upgraded keeps what it had. */
static int check_qemu_user(struct checking *c, struct error *e)
{
	const char *user = c->s->host.qemu_user;
	char at[PLACE_CAP];

	host_place(at, c, "qemu-user");
	if (!user || !strcmp(user, "root"))
		return words_addf(&c->found->notes, e,
				  "%sQEMUs run as root: a guest that breaks "
				  "out of one is root here; make a user, say "
				  "drover-qemu, and set qemu-user in [host]",
				  at);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads */
	if (!user[strspn(user, "0123456789")] || getpwnam(user))
		return 0;
	return words_addf(&c->found->wrong, e,
			  "%sqemu-user = %s: there is no such user", at, user);
}

static int check_group(struct checking *c, const char *key, const char *name,
		       struct error *e)
{
	char at[PLACE_CAP];

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads */
	if (!name || !name[0] || getgrnam(name))
		return 0;
	return words_addf(&c->found->notes, e,
			  "%s%s = %s: there is no such group, so that nobody "
			  "is in it",
			  host_place(at, c, key), key, name);
}

static int check_groups(struct checking *c, struct error *e)
{
	if (check_group(c, "group", c->s->host.group, e) < 0)
		return error_code(e);
	return check_group(c, "read-group", c->s->host.read_group, e);
}

/* --- certificates */

static void day_of(char buf[static 16], int64_t s)
{
	const time_t t = (time_t)s;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(buf, 16, "%F", &tm);
}

static int check_dates(struct checking *c, const char *name,
		       const struct certificate_facts *f, struct error *e)
{
	const int64_t now = clock_wall_s();
	const char *folder = c->s->host.trust_directory;
	char from[16], until[16];

	day_of(from, f->from_s);
	day_of(until, f->until_s);
	if (now < f->from_s)
		return words_addf(&c->found->wrong, e,
				  "%s/%s is valid from %s on only: is the "
				  "clock right?",
				  folder, name, from);
	if (now > f->until_s)
		return words_addf(&c->found->wrong, e,
				  "%s/%s has ended on %s: hosts refuse it",
				  folder, name, until);
	if (f->until_s - now > (int64_t)SOON_DAYS * DAY_S)
		return 0;
	return words_addf(&c->found->notes, e, "%s/%s ends soon, on %s", folder,
			  name, until);
}

static int check_key(struct checking *c, struct error *e)
{
	char path[PATH_MAX];
	struct error why;
	struct stat st;

	if (trust_context(c->trust, &c->context, &why) < 0)
		return words_add(&c->found->wrong, why.text, e);
	snprintf(path, sizeof(path), "%s/host.key", c->s->host.trust_directory);
	if (stat(path, &st) < 0 || !(st.st_mode & 077))
		return 0;
	return words_addf(&c->found->wrong, e,
			  "%s is this host's secret, and others may read it: "
			  "chmod 0600 %s",
			  path, path);
}

/* Whether any peer is to be known by its certificate. */
static bool uses_tls(const struct settings *s)
{
	for (size_t i = 0; i < s->peers.count; i++)
		if (((const struct peer *)s->peers.at[i])->tls)
			return true;
	return false;
}

static int check_trust(struct checking *c, struct error *e)
{
	struct trust_facts f;
	struct error why;

	if (trust_load_list(c->trust, &why) < 0 ||
	    trust_look(c->trust, clock_wall_s(), &f, &why) < 0)
		return words_add(&c->found->wrong, why.text, e);
	/* check_key() says what to do about it. */
	if (!f.joined)
		return uses_tls(c->s) ? check_key(c, e) : 0;
	if (check_dates(c, "authority.pem", &f.authority, e) < 0 ||
	    check_dates(c, "host.pem", &f.host, e) < 0 || check_key(c, e) < 0)
		return error_code(e);
	if (!strcmp(f.host.name, c->s->host.name))
		return 0;
	return words_addf(&c->found->wrong, e,
			  "%s/host.pem is of host %s, and this host is called "
			  "%s: peers refuse it",
			  c->s->host.trust_directory, f.host.name,
			  c->s->host.name);
}

/* --- peers */

static int greet(struct checking *c, const struct peer *p, const char *address,
		 char ret_name[static CHANNEL_NAME_MAX], struct error *e)
{
	const struct channel_way way = { .host = address,
					 .port = (uint16_t)p->port };
	const uint64_t deadline = clock_us() + PEER_TIMEOUT_US;
	const struct secure_options o = { .context = c->context };
	struct channel *channel;
	int r = channel_kinds[0]->dial(&channel, &way, deadline, -1, e);

	if (r < 0)
		return error_as(e, EHOSTUNREACH);
	r = channel_secure(&channel, &o, deadline, e);
	if (r == 0)
		memcpy(ret_name, channel->identity, CHANNEL_NAME_MAX);
	channel_free(channel);
	return r;
}

static int check_address(struct checking *c, const struct peer *p,
			 const char *address, struct error *e)
{
	char name[CHANNEL_NAME_MAX], at[PLACE_CAP];
	struct error why;
	int r = greet(c, p, address, name, &why);

	place(at, c->s, &peer_section, p, "address");
	if (r == -EHOSTUNREACH)
		return words_addf(&c->found->notes, e,
				  "%speer %s: its certificate was not looked "
				  "at: %s",
				  at, p->name, why.text);
	if (r < 0)
		return words_addf(&c->found->wrong, e, "%speer %s: %s", at,
				  p->name, why.text);
	if (!strcmp(name, p->name))
		return 0;
	return words_addf(&c->found->wrong, e,
			  "%speer %s: at %s is host %s, as its certificate "
			  "says",
			  at, p->name, address, name);
}

static int check_peer(struct checking *c, const struct peer *p, struct error *e)
{
	char at[PLACE_CAP];
	struct error why;

	place(at, c->s, &peer_section, p, "address");
	/* Whatever its section says: no certificate has such a number. */
	if (trust_check(c->trust, p->name, UINT64_MAX, &why) < 0)
		return words_addf(&c->found->wrong, e,
				  "%speer %s: %s, or remove its section", at,
				  p->name, why.text);
	if (!p->tls)
		return words_addf(&c->found->notes, e,
				  "%speer %s: tls = off: all that travels can "
				  "be read and changed, and anybody at its "
				  "address is taken for it",
				  place(at, c->s, &peer_section, p, "tls"),
				  p->name);
	for (size_t i = 0; c->context && i < p->addresses.count; i++)
		if (check_address(c, p, p->addresses.at[i], e) < 0)
			return error_code(e);
	return 0;
}

static int check_peers(struct checking *c, struct error *e)
{
	for (size_t i = 0; i < c->s->peers.count; i++)
		if (check_peer(c, c->s->peers.at[i], e) < 0)
			return error_code(e);
	return 0;
}

/* --- all of it */

static int check_keys(struct checking *c, struct error *e)
{
	const struct settings *s = c->s;

	if (words_add_all(&c->found->unknown, &s->unknown, e) < 0)
		return error_code(e);
	return words_add_all(&c->found->notes, &s->renamed, e);
}

int settings_check(struct check *ret, const struct settings *s,
		   const struct settings_source *from, struct error *e)
{
	static int (*const all[])(struct checking *, struct error *) = {
		check_keys,    check_listen,   check_networks,
		check_folders, check_groups,   check_trust,
		check_peers,   check_programs, check_qemu_user,
	};
	AUTO_INVENTORY struct inventory *cards = NULL;
	struct checking c = { .found = ret, .s = s, .from = from };
	int r;

	if (nic_scan(&cards, e) < 0)
		return error_in(e, "look at the cards");
	c.cards = cards;
	r = trust_open(&c.trust, s->host.trust_directory, s->host.name, e);
	for (size_t i = 0; i < ARRAY_SIZE(all) && r == 0; i++)
		r = all[i](&c, e);
	context_free(c.context);
	trust_free(c.trust);
	return r;
}
