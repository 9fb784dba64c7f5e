/* SPDX-License-Identifier: MIT */
#include "host/host_settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/setting.h"
#include "base/text.h"
#include "nic/rdma_policy.h"

static int parse_name(void *at, const struct ini_key *k, const char *value,
		      struct error *e)
{
	if (text_check_name("host", value, e) < 0)
		return error_code(e);
	return setting_parse_text(at, k, value, e);
}

static const struct ini_kind name_kind = { parse_name, setting_show_text,
					   setting_clear_text };

/* Folders, parted by commas or blanks. */
static int parse_directories(void *at, const struct ini_key *k,
			     const char *value, struct error *e)
{
	static const char parting[] = ", \t";

	for (value += strspn(value, parting); *value;
	     value += strspn(value, parting)) {
		size_t n = strcspn(value, parting);
		char one[PATH_MAX];

		if (n >= sizeof(one))
			return error_set(e, EINVAL, "'%.40s...' is too long",
					 value);
		memcpy(one, value, n);
		one[n] = '\0';
		value += n;
		if (text_check_path(k->key, one, e) < 0)
			return error_code(e);
		if (strstr(one, "/.."))
			return error_set(e, EINVAL,
					 "write '%.200s' without '..'", one);
		if (words_add(at, one, e) < 0)
			return error_code(e);
	}
	return 0;
}

static const struct ini_kind directories_kind = { parse_directories,
						  setting_show_words,
						  setting_clear_words };

int metrics_address(struct sockaddr_in *ret, const char *text, struct error *e)
{
	char host[INET_ADDRSTRLEN] = "";
	const char *colon = strrchr(text, ':');
	uint64_t port;

	*ret = (struct sockaddr_in){ .sin_family = AF_INET };
	if (colon && (size_t)(colon - text) < sizeof(host))
		memcpy(host, text, (size_t)(colon - text));
	if (inet_pton(AF_INET, host, &ret->sin_addr) != 1 ||
	    ntohl(ret->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
		return error_set(e, EINVAL,
				 "'%.60s' is not 127.0.0.1:PORT: /metrics is "
				 "on this host alone; put a proxy with TLS "
				 "before it for others",
				 text);
	if (text_parse_number(&port, colon + 1, 1, UINT16_MAX, e) < 0)
		return error_in(e, "the port");
	ret->sin_port = htons((uint16_t)port);
	return 0;
}

static int parse_metrics(void *at, const struct ini_key *k, const char *value,
			 struct error *e)
{
	struct sockaddr_in ignored;

	if (metrics_address(&ignored, value, e) < 0)
		return error_code(e);
	return setting_parse_text(at, k, value, e);
}

static const struct ini_kind metrics_kind = { parse_metrics, setting_show_text,
					      setting_clear_text };

static const char *const policies[] = { "strict", "open", NULL };

#define AT(m) .offset = offsetof(struct host_settings, m)

static const struct ini_key keys[] = {
	{ "name", &name_kind, AT(name), .restart = true, .example = "hosta",
	  .help = "name of this host; its host name unless set" },
	{ "listen", &setting_addresses, "0.0.0.0", AT(listen),
	  .repeatable = true, .restart = true, .example = "10.0.0.1",
	  .help = "address for peers" },
	{ "port", &setting_number, "6600", AT(port), .least = 1,
	  .most = UINT16_MAX, .restart = true, .example = "6601",
	  .help = "TCP port for peers" },
	{ "networks", &networks_kind, AT(networks), .repeatable = true,
	  .example = "10.0.0.0/24, eth1",
	  .help = "networks and cards for moves, equally preferred; further "
		  "lines are less so" },
	{ "state-directory", &setting_path, "/var/lib/drover",
	  AT(state_directory), .restart = true, .example = "/srv/drover",
	  .help = "machines, journal, history" },
	{ "trust-directory", &setting_path, "/etc/drover/trust",
	  AT(trust_directory), .restart = true, .example = "/srv/trust",
	  .help = "certificates: of this host and of its CA" },
	{ "run-directory", &setting_path, "/run/drover", AT(run_directory),
	  .restart = true, .example = "/run/other",
	  .help = "sockets and logs of machines" },
	{ "socket", &setting_path, AT(socket), .restart = true,
	  .example = "/run/other.sock",
	  .help = "control socket; drover.sock in run-directory unless set" },
	{ "group", &setting_text, "drover", AT(group), .restart = true,
	  .example = "adm",
	  .help = "group that may use the control socket besides root" },
	{ "read-group", &setting_text, "drover-read", AT(read_group),
	  .restart = true, .example = "adm",
	  .help = "group that may look, by a socket of its own, and change "
		  "nothing" },
	{ "qemu", &setting_path, "/usr/bin/qemu-system-x86_64", AT(qemu),
	  .example = "/opt/qemu/bin/qemu-system-x86_64",
	  .help = "QEMU for machines that name none" },
	{ "qemu-user", &setting_text, AT(qemu_user), .example = "nobody",
	  .help = "user whose groups the QEMUs have, each confined and with a "
		  "number of its own; root, also unless set: not confined" },
	{ "allow-qemu", &setting_paths, AT(programs), .repeatable = true,
	  .example = "/opt/qemu/bin/qemu-system-x86_64",
	  .help = "another QEMU that machines of peers may name" },
	{ "policy", &setting_word, "strict", AT(policy), .words = policies,
	  .example = "open",
	  .help = "what machines of peers may name: strict, what touches "
		  "nothing of this host but images; open, anything" },
	{ "rdma", &setting_word, "prefer", AT(rdma), .words = rdma_uses,
	  .example = "off",
	  .help = "pages by RDMA: prefer, where both hosts can; require; off" },
	{ "image-directories", &directories_kind,
	  "/srv, /var/lib/drover/images, /var/lib/libvirt/images",
	  AT(image_directories), .repeatable = true, .example = "/srv/images",
	  .help = "where files lie that machines of peers may name" },
	{ "hooks-directory", &setting_path, "/etc/drover/hooks.d",
	  AT(hooks_directory), .example = "/srv/hooks",
	  .help = "programs that are asked before a move and told after it" },
	{ "hook-user", &setting_text, "drover-hook", AT(hook_user),
	  .example = "nobody", .help = "user that they run as, never root" },
	{ "metrics", &metrics_kind, AT(metrics), .restart = true,
	  .example = "127.0.0.1:9091",
	  .help = "where Prometheus finds /metrics; nowhere unless set" },
};

const struct ini_section host_section = { "host", keys, ARRAY_SIZE(keys) };

int host_settings_complete(struct host_settings *s, struct error *e)
{
	char host[HOST_NAME_MAX + 1] = "";

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
