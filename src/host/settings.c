/* SPDX-License-Identifier: MIT */
#include "host/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/ini.h"
#include "base/scope.h"
#include "base/text.h"
#include "session/outbox.h"

enum { PEERS_MAX = 256 };

static const char *const on_timeout_names[] = {
	[ON_TIMEOUT_ABORT] = "abort",
	[ON_TIMEOUT_FORCE] = "force",
};

static const char *const compress_names[] = {
	[COMPRESS_IDLE] = "idle",
	[COMPRESS_ALWAYS] = "always",
	[COMPRESS_NEVER] = "never",
};

/* An address of either family in one form: IPv4 as mapped IPv6. */
struct address {
	uint8_t bytes[16];
};

static struct address mapped(const void *v4)
{
	struct address a = { .bytes = { [10] = 0xff, [11] = 0xff } };

	memcpy(a.bytes + 12, v4, 4);
	return a;
}

static int parse_address(struct address *ret, const char *text)
{
	uint8_t v4[4];

	if (inet_pton(AF_INET6, text, ret->bytes) == 1)
		return 0;
	if (inet_pton(AF_INET, text, v4) != 1)
		return -EINVAL;
	*ret = mapped(v4);
	return 0;
}

/* Where the value of @k belongs: in the host's part or in the last peer. */
static void *field(struct settings *s, const struct ini_key *k)
{
	char *base = (char *)s;

	if (!strcmp(k->section, "peer"))
		base = (char *)&s->peers[s->peers_count - 1];
	return base + k->offset;
}

static int set_text(void *target, const struct ini_key *k, const char *value,
		    struct error *e)
{
	char **text = field(target, k), *fresh;

	if (!*value)
		return error_set(e, EINVAL, "'%s' needs a value", k->key);
	fresh = strdup(value);
	if (!fresh)
		return error_set(e, ENOMEM, "no memory for a setting");
	free(*text);
	*text = fresh;
	return 0;
}

static int set_name(void *target, const struct ini_key *k, const char *value,
		    struct error *e)
{
	if (text_check_name("host", value, e) < 0)
		return error_code(e);
	return set_text(target, k, value, e);
}

static int set_path(void *target, const struct ini_key *k, const char *value,
		    struct error *e)
{
	if (text_check_path(k->key, value, e) < 0)
		return error_code(e);
	return set_text(target, k, value, e);
}

static int set_address(void *target, const struct ini_key *k, const char *value,
		       struct error *e)
{
	struct address ignored;

	if (parse_address(&ignored, value) < 0)
		return error_set(e, EINVAL,
				 "'%.80s' is no address: write 10.0.0.2 or "
				 "fd00::2",
				 value);
	return words_add(field(target, k), value, e);
}

static int set_program(void *target, const struct ini_key *k, const char *value,
		       struct error *e)
{
	if (text_check_path(k->key, value, e) < 0)
		return error_code(e);
	return words_add(field(target, k), value, e);
}

static int set_number(void *target, const struct ini_key *k, const char *value,
		      uint64_t most, struct error *e)
{
	unsigned *number = field(target, k);
	uint64_t v;

	if (text_parse_number(&v, value, 1, most, e) < 0)
		return error_code(e);
	*number = (unsigned)v;
	return 0;
}

static int set_port(void *target, const struct ini_key *k, const char *value,
		    struct error *e)
{
	return set_number(target, k, value, UINT16_MAX, e);
}

static int set_connections(void *target, const struct ini_key *k,
			   const char *value, struct error *e)
{
	return set_number(target, k, value, CHANNELS_MAX, e);
}

static int set_networks(void *target, const struct ini_key *k,
			const char *value, struct error *e)
{
	struct networks *n = field(target, k);
	size_t before = n->count;

	if (networks_add(n, value, e) < 0)
		return error_code(e);
	/* An empty list would allow what somebody meant to restrict. */
	if (n->count == before)
		return error_set(e, EINVAL, "'%s' needs a value", k->key);
	return 0;
}

/* Its place among the names; -1: it is none of them. */
static int find_word(const char *const *names, size_t n, const char *value)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(value, names[i]))
			return (int)i;
	return -1;
}

static int set_compress(void *target, const struct ini_key *k,
			const char *value, struct error *e)
{
	int i = find_word(compress_names, ARRAY_SIZE(compress_names), value);

	if (i < 0)
		return error_set(e, EINVAL,
				 "'%.80s' is none of idle, always and never",
				 value);
	*(enum compress *)field(target, k) = (enum compress)i;
	return 0;
}

/* "auto", "lz4", "zstd:3" */
static int set_codec(void *target, const struct ini_key *k, const char *value,
		     struct error *e)
{
	struct codec_setting *c = field(target, k);
	char name[16];
	size_t len = strcspn(value, ":");
	const struct codec *codec;
	uint64_t level;
	int id;

	*c = (struct codec_setting){ 0 };
	if (!strcmp(value, "auto"))
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)(len < 15 ? len : 15), value);
	id = codec_find(name);
	if (id <= CODEC_NONE)
		return error_set(e, EINVAL,
				 "'%.80s' is no codec: use auto, lz4, zstd or "
				 "zstd:LEVEL",
				 value);
	codec = codec_get((unsigned)id);
	level = (uint64_t)codec->lowest;
	if (value[len] &&
	    text_parse_number(&level, value + len + 1, (uint64_t)codec->lowest,
			      (uint64_t)codec->highest, e) < 0)
		return error_in(e, "level of %s", name);
	c->fixed = true;
	c->choice = (struct codec_choice){ (enum codec_id)id, (int)level };
	return 0;
}

/* "5%", "256M", "0" */
static int set_cache(void *target, const struct ini_key *k, const char *value,
		     struct error *e)
{
	struct history_size *size = field(target, k);
	size_t len = strcspn(value, "%");
	uint64_t percent, bytes;
	char number[8];

	snprintf(number, sizeof(number), "%.*s", (int)(len < 7 ? len : 7),
		 value);
	if (!strcmp(value + len, "%") &&
	    text_parse_number(&percent, number, 0, 100, e) == 0)
		*size = (struct history_size){ .relative = true,
					       .percent = (unsigned)percent };
	else if (!value[len] && text_parse_bytes(&bytes, value, e) == 0)
		*size = (struct history_size){ .bytes = bytes };
	else
		return error_set(e, EINVAL,
				 "'%.80s' is no size and no share of a guest's "
				 "memory: write 256M, 5%% or 0",
				 value);
	return 0;
}

static int set_option(void *target, const struct ini_key *k, const char *value,
		      struct error *e)
{
	return move_option_find(field(target, k), value, e);
}

static int set_duration(void *target, const struct ini_key *k,
			const char *value, struct error *e)
{
	return text_parse_duration(field(target, k), value, e);
}

/* A limit of zero could never be kept: QEMU would take it for "at once". */
static int set_limit(void *target, const struct ini_key *k, const char *value,
		     struct error *e)
{
	uint64_t us;

	if (text_parse_duration(&us, value, e) < 0)
		return error_code(e);
	if (us < 1000)
		return error_set(e, EINVAL, "'%s' must be at least 1ms",
				 k->key);
	return set_duration(target, k, value, e);
}

static int set_switch(void *target, const struct ini_key *k, const char *value,
		      struct error *e)
{
	bool *flag = field(target, k);
	int on;

	if (text_parse_switch(&on, value, e) < 0)
		return error_code(e);
	*flag = on;
	return 0;
}

static int set_on_timeout(void *target, const struct ini_key *k,
			  const char *value, struct error *e)
{
	int i = find_word(on_timeout_names, ARRAY_SIZE(on_timeout_names),
			  value);

	if (i < 0)
		return error_set(e, EINVAL,
				 "'%.80s' is neither abort nor force", value);
	*(enum on_timeout *)field(target, k) = (enum on_timeout)i;
	return 0;
}

static json_t *show_text(const void *at)
{
	return json_string(*(char *const *)at);
}

static json_t *show_list(const void *at)
{
	const struct words *w = at;
	json_t *list = json_array();

	for (size_t i = 0; i < w->count; i++)
		json_array_append_new(list, json_string(w->at[i]));
	return list;
}

static json_t *show_number(const void *at)
{
	return json_integer(*(const unsigned *)at);
}

static json_t *show_duration(const void *at)
{
	return json_integer((json_int_t) * (const uint64_t *)at);
}

static json_t *show_switch(const void *at)
{
	return json_boolean(*(const bool *)at);
}

static json_t *show_on_timeout(const void *at)
{
	return json_string(on_timeout_names[*(const enum on_timeout *)at]);
}

static json_t *show_networks(const void *at)
{
	return networks_json(at);
}

static json_t *show_compress(const void *at)
{
	return json_string(compress_names[*(const enum compress *)at]);
}

static json_t *show_codec(const void *at)
{
	const struct codec_setting *c = at;

	if (!c->fixed)
		return json_string("auto");
	return json_sprintf("%s:%d", codec_get(c->choice.id)->name,
			    c->choice.level);
}

static json_t *show_cache(const void *at)
{
	const struct history_size *size = at;

	if (size->relative)
		return json_sprintf("%u%%", size->percent);
	return json_sprintf("%" PRIu64, size->bytes);
}

static json_t *show_option(const void *at)
{
	const struct move_option *const *option = at;

	return json_string((*option)->name);
}

/* How what a setter has stored is shown. */
static const struct {
	int (*set)(void *target, const struct ini_key *k, const char *value,
		   struct error *e);
	json_t *(*show)(const void *at);
} types[] = {
	{ set_text, show_text },         { set_name, show_text },
	{ set_path, show_text },         { set_address, show_list },
	{ set_port, show_number },       { set_connections, show_number },
	{ set_duration, show_duration }, { set_limit, show_duration },
	{ set_switch, show_switch },     { set_on_timeout, show_on_timeout },
	{ set_networks, show_networks }, { set_option, show_option },
	{ set_compress, show_compress }, { set_codec, show_codec },
	{ set_cache, show_cache },       { set_program, show_list },
};

#define HOST(m) .offset = offsetof(struct settings, m)
#define MOVE(m) .offset = offsetof(struct settings, move.m)
#define PEER(m) .offset = offsetof(struct peer, m)

static const struct ini_key keys[] = {
	{ "host", "name", set_name, HOST(name),
	  .help = "name of this host; its host name unless set" },
	{ "host", "listen", set_address, "0.0.0.0", HOST(listen),
	  .help = "address for peers", .repeatable = true },
	{ "host", "port", set_port, "6600", HOST(port),
	  .help = "TCP port for peers" },
	{ "host", "networks", set_networks, HOST(networks),
	  .help = "networks and cards for moves, equally preferred; further "
		  "lines are less so",
	  .repeatable = true },
	{ "host", "state-directory", set_path, "/var/lib/drover",
	  HOST(state_directory), .help = "machines, journal, history" },
	{ "host", "run-directory", set_path, "/run/drover", HOST(run_directory),
	  .help = "sockets and logs of machines" },
	{ "host", "socket", set_path, HOST(socket),
	  .help = "control socket; drover.sock in run-directory unless set" },
	{ "host", "group", set_text, "drover", HOST(group),
	  .help = "group that may use the control socket besides root" },
	{ "host", "qemu", set_path, "/usr/bin/qemu-system-x86_64", HOST(qemu),
	  .help = "QEMU for machines that name none" },
	{ "host", "allow-qemu", set_program, HOST(programs),
	  .help = "another QEMU that machines of peers may name",
	  .repeatable = true },
	{ "move", "downtime-limit", set_limit, "300ms", MOVE(downtime_limit_us),
	  .help = "longest pause of the guest" },
	{ "move", "timeout", set_duration, "0", MOVE(timeout_us),
	  .help = "longest move; 0 for no limit" },
	{ "move", "on-timeout", set_on_timeout, "abort", MOVE(on_timeout),
	  .help = "abort the move, or force it to its end" },
	{ "move", "compress", set_compress, "idle", MOVE(compress),
	  .help = "idle: with idle cycles only; always: wait for it; never" },
	{ "move", "codec", set_codec, "auto", MOVE(codec),
	  .help = "auto, lz4, zstd or zstd:LEVEL" },
	{ "move", "repeat-cache", set_cache, "5%", MOVE(repeat_cache),
	  .help = "memory for versions of pages: a share of the guest's, or a "
		  "size" },
	{ "move", "option", set_option, "compression", MOVE(option),
	  .help = "tcp, compression, multichannel or auto" },
	{ "move", "connections-per-rss-card", set_connections, "4",
	  MOVE(connections_per_rss_card),
	  .help = "TCP connections over a card with several receive queues" },
	{ "move", "connections-per-card", set_connections, "1",
	  MOVE(connections_per_card),
	  .help = "TCP connections over any other card" },
	{ "move", "connections", set_connections, "32", MOVE(connections),
	  .help = "TCP connections of a move, at most" },
	{ "move", "outage-limit", set_limit, "5min", MOVE(outage_limit_us),
	  .help = "longest time without a path while the guest runs" },
	{ "move", "switchover-outage-limit", set_limit, "5s",
	  MOVE(switchover_outage_limit_us),
	  .help = "longest time without a path while the guest is paused" },
	{ "peer", "address", set_address, PEER(addresses),
	  .help = "address of the peer", .repeatable = true },
	{ "peer", "port", set_port, "6600", PEER(port),
	  .help = "TCP port of the peer" },
	{ "peer", "tls", set_switch, "on", PEER(tls),
	  .help = "off: plain text, for trusted networks only" },
};

static int check_last_peer(const struct settings *s, struct error *e)
{
	if (s->peers_count > 0 &&
	    s->peers[s->peers_count - 1].addresses.count == 0)
		return error_set(e, EINVAL, "[peer %s] has no address",
				 s->peers[s->peers_count - 1].name);
	return 0;
}

static int begin_peer(void *target, const char *name, struct error *e)
{
	struct settings *s = target;
	struct peer *more;

	if (text_check_name("host", name, e) < 0 || check_last_peer(s, e) < 0)
		return error_code(e);
	if (settings_peer(s, name))
		return error_set(e, EINVAL, "[peer %s] is there twice", name);
	if (s->peers_count == PEERS_MAX)
		return error_set(e, EINVAL, "more than %d peers", PEERS_MAX);
	more = reallocarray(s->peers, s->peers_count + 1, sizeof(*more));
	if (!more)
		return error_set(e, ENOMEM, "no memory for a peer");
	s->peers = more;
	more += s->peers_count;
	*more = (struct peer){ .name = strdup(name) };
	if (!more->name)
		return error_set(e, ENOMEM, "no memory for a peer");
	s->peers_count++;
	return 0;
}

static int note_unknown(void *target, const char *sentence, struct error *e)
{
	return words_add(&((struct settings *)target)->unknown, sentence, e);
}

static const struct ini_format format = { keys, ARRAY_SIZE(keys), "peer",
					  begin_peer, note_unknown };

/* What the table cannot say: defaults that depend on the host or on other
 * settings. */
static int settle(struct settings *s, struct error *e)
{
	char host[HOST_NAME_MAX + 1] = "";

	if (check_last_peer(s, e) < 0)
		return error_code(e);
	if (!s->name) {
		gethostname(host, sizeof(host) - 1);
		host[strcspn(host, ".")] = '\0';
		if (text_check_name("host", host, e) < 0)
			return error_in(e, "set 'name' in [host]");
		s->name = strdup(host);
	}
	if (!s->socket &&
	    asprintf(&s->socket, "%s/drover.sock", s->run_directory) < 0)
		s->socket = NULL;
	if (!s->name || !s->socket)
		return error_set(e, ENOMEM, "no memory for the settings");
	return 0;
}

int settings_parse(struct settings *ret, const char *file_name,
		   const char *text, size_t len, struct error *e)
{
	struct settings s = { 0 };

	if (ini_read_text(&format, &s, file_name, text, len, e) < 0) {
		settings_done(&s);
		return error_code(e);
	}
	if (settle(&s, e) < 0) {
		settings_done(&s);
		return error_in(e, "%s:1:1", file_name);
	}
	*ret = s;
	return 0;
}

int settings_read(struct settings *ret, const char *path, struct error *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;

	if (ini_load(&text, &len, path, INI_TEXT_MAX, e) < 0)
		return error_code(e);
	return settings_parse(ret, path, text, len, e);
}

void settings_done(struct settings *s)
{
	for (size_t i = 0; i < s->peers_count; i++) {
		free(s->peers[i].name);
		words_done(&s->peers[i].addresses);
	}
	free(s->peers);
	words_done(&s->listen);
	words_done(&s->programs);
	words_done(&s->unknown);
	free(s->name);
	free(s->state_directory);
	free(s->run_directory);
	free(s->socket);
	free(s->group);
	free(s->qemu);
	*s = (struct settings){ 0 };
}

static json_t *show(const struct ini_key *k, const void *base)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].set == k->set)
			return types[i].show((const char *)base + k->offset);
	return json_null();
}

static void show_section(json_t *into, const char *section, const void *base)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i].section, section))
			json_object_set_new(into, keys[i].key,
					    show(&keys[i], base));
}

json_t *settings_json(const struct settings *s)
{
	json_t *host = json_object(), *move = json_object();
	json_t *peers = json_array();

	show_section(host, "host", s);
	show_section(move, "move", s);
	for (size_t i = 0; i < s->peers_count; i++) {
		json_t *peer = json_pack("{s:s}", "name", s->peers[i].name);

		show_section(peer, "peer", &s->peers[i]);
		json_array_append_new(peers, peer);
	}
	return json_pack("{s:o, s:o, s:o}", "host", host, "move", move, "peers",
			 peers);
}

struct move_paths settings_paths(const struct settings *s)
{
	return (struct move_paths){
		.option = s->move.option,
		.networks = s->networks,
		.policy = { .all = s->move.option->all,
			    .per_card = s->move.connections_per_card,
			    .per_rss_card = s->move.connections_per_rss_card,
			    .most = s->move.connections },
		.never_press = s->move.compress == COMPRESS_NEVER,
		.press = { .always = s->move.compress == COMPRESS_ALWAYS,
			   .fixed = s->move.codec.fixed,
			   .choice = s->move.codec.choice },
		.repeat_cache = s->move.repeat_cache,
	};
}

const struct peer *settings_peer(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->peers_count; i++)
		if (!strcmp(s->peers[i].name, name))
			return &s->peers[i];
	return NULL;
}

static bool has_address(const struct peer *p, const struct address *a)
{
	struct address own;

	for (size_t i = 0; i < p->addresses.count; i++)
		if (parse_address(&own, p->addresses.at[i]) == 0 &&
		    !memcmp(&own, a, sizeof(own)))
			return true;
	return false;
}

const struct peer *settings_peer_from(const struct settings *s,
				      const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct address a;

	if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		a = mapped(&v4.sin_addr);
	} else if (address->sa_family == AF_INET6) {
		memcpy(&v6, address, sizeof(v6));
		memcpy(a.bytes, &v6.sin6_addr, sizeof(a.bytes));
	} else {
		return NULL;
	}
	for (size_t i = 0; i < s->peers_count; i++)
		if (has_address(&s->peers[i], &a))
			return &s->peers[i];
	return NULL;
}
