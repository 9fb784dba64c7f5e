/* SPDX-License-Identifier: MIT */

/* drover trust: hosts that know each other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "cmd/command.h"
#include "cmd/output.h"

static const struct output_field joined_fields[] = {
	{ "Host", "name", format_text, false },
	{ "Certificate until", "until", format_wall, false },
	{ "CA", "authority", format_text, false },
	{ "CA's SHA-256", "authority_sha256", format_text, false },
	{ "CA until", "authority_until", format_wall, false },
	{ "CA's key is on", "authority_host", format_text, false },
	{ "Key is here", "has_authority_key", format_yes_no, false },
	{ "Invitations", "invitations", format_text, false },
	{ "List of hosts", "list_version", format_text, false },
	{ NULL, NULL, NULL, false },
};

static void print_view(const json_t *view)
{
	if (json_is_true(json_object_get(view, "joined")))
		output_fields(stdout, joined_fields, view);
	else
		printf("Host %s has no certificate: run 'drover trust init' "
		       "here, or 'drover trust invite' on a host that has a "
		       "CA and 'drover trust join' here.\n",
		       output_string(view, "name"));
}

static int show(struct call *c, int r, const json_t *view)
{
	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, view);
	else
		print_view(view);
	return 0;
}

static int run_show(struct call *c, struct error *e)
{
	AUTO_JSON json_t *view = NULL;
	int r = client_get(c->client, "/v1/trust", &view, e);

	return show(c, r, view);
}

static int run_init(struct call *c, struct error *e)
{
	AUTO_JSON json_t *view = NULL;
	int r = client_post(c->client, "/v1/trust/init", NULL, &view, e);

	return show(c, r, view);
}

static void print_invitation(const json_t *v)
{
	const json_t *first =
		json_array_get(json_object_get(v, "addresses"), 0);
	const char *address = json_string_value(first);
	char until[OUTPUT_CELL];
	int port = (int)output_number(v, "port");

	format_wall(until, json_object_get(v, "until"));
	printf("%s\n\nGood once, until %s.  On the host that joins:\n\n"
	       "    drover trust join %s %s",
	       output_string(v, "token"), until, address ? address : "HOST",
	       output_string(v, "token"));
	if (port != 6600)
		printf(" --port %d", port);
	putchar('\n');
}

enum { INVITE_FOR };

static const struct command_option invite_options[] = {
	[INVITE_FOR] = { "for", "HOST",
			 "the host that it is good for, and no other;\n"
			 "needed where there is a [peer HOST] already" },
	{ NULL, NULL, NULL },
};

static int run_invite(struct call *c, struct error *e)
{
	const char *host = c->options[INVITE_FOR];
	AUTO_JSON json_t *body =
		host ? json_pack("{s:o}", "host", output_text(host)) : NULL;
	AUTO_JSON json_t *v = NULL;
	int r = client_post(c->client, "/v1/trust/invite", body, &v, e);

	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, v);
	else
		print_invitation(v);
	return 0;
}

enum { JOIN_PORT };

static const struct command_option join_options[] = {
	[JOIN_PORT] = { "port", "PORT",
			"its port for peers, 6600 unless given" },
	{ NULL, NULL, NULL },
};

static int run_join(struct call *c, struct error *e)
{
	AUTO_JSON json_t *body =
		json_pack("{s:o,s:o}", "host", output_text(c->words[0]),
			  "token", output_text(c->words[1]));
	AUTO_JSON json_t *view = NULL;
	int r = call_set_number(body, "port", c->options[JOIN_PORT], e);

	if (r < 0)
		return r;
	r = client_post(c->client, "/v1/trust/join", body, &view, e);
	return show(c, r, view);
}

/* --- the hosts of the CA */

static const struct output_field member_fields[] = {
	{ "HOST", "name", format_text, false },
	{ "CERTIFICATE UNTIL", "until", format_wall, false },
	{ "REMOVED", "removed", format_wall, false },
	{ "CA", "has_authority_key", format_yes_no, false },
	{ "PEER", "peer", format_yes_no, false },
	{ "ADDRESSES", "addresses", format_list, false },
	{ NULL, NULL, NULL, false },
};

static int run_list(struct call *c, struct error *e)
{
	return call_list(c, "/v1/trust/members", member_fields,
			 "There is no list of hosts: no CA of Drover's "
			 "own.",
			 e);
}

static int run_remove(struct call *c, struct error *e)
{
	AUTO_JSON json_t *v = NULL;
	char path[128];
	struct client_request rq = { .verb = "DELETE", .path = path };
	int r = call_path(path, sizeof(path), "/v1/trust/members/", c->words[0],
			  "", e);

	if (r < 0 || (r = client_call(c->client, &rq, &v, e)) < 0)
		return r;
	if (c->json) {
		output_json(stdout, v);
		return 0;
	}
	printf("Host %s was removed, and is refused from now on.\n",
	       c->words[0]);
	if (json_is_true(json_object_get(v, "peer")))
		printf("There is still a [peer %s] in a file that Drover has "
		       "not written: remove it.\n",
		       c->words[0]);
	return 0;
}

static int run_renew(struct call *c, struct error *e)
{
	AUTO_JSON json_t *view = NULL;
	int r = client_post(c->client, "/v1/trust/renew", NULL, &view, e);

	return show(c, r, view);
}

/* --- the CA's key */

/* On disk when it returns, for its owner alone. */
static int write_key(const char *path, const json_t *key, struct error *e)
{
	FILE *f = NULL;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd >= 0)
		f = fdopen(fd, "w");
	if (!f) {
		error_sys(e, "write %s", path);
		scope_close(&fd);
		return error_code(e);
	}
	output_json(f, key);
	r = fflush(f) == 0 && fsync(fd) == 0 ? 0
					     : error_sys(e, "write %s", path);
	fclose(f);
	return r;
}

enum { EXPORT_KEEP };

static const struct command_option export_options[] = {
	[EXPORT_KEEP] = { "keep", NULL,
			  "a copy for a safe: this host stays the CA's" },
	{ NULL, NULL, NULL },
};

static int run_export(struct call *c, struct error *e)
{
	AUTO_JSON json_t *key = NULL, *view = NULL, *said = NULL;
	const char *path = c->words[0];
	int r = client_post(c->client, "/v1/trust/export", NULL, &key, e);

	if (r < 0 || (r = write_key(path, key, e)) < 0)
		return r;
	if (!c->options[EXPORT_KEEP])
		r = client_post(c->client, "/v1/trust/release", NULL, &view, e);
	if (r < 0)
		return r;
	said = json_pack("{s:o,s:b}", "file", output_text(path), "released",
			 view != NULL);
	if (c->json)
		output_json(stdout, said);
	else if (view)
		printf("%s is the CA's key now, and this host has it no more: "
		       "run 'drover trust import' on the host that is to have "
		       "it.\n",
		       path);
	else
		printf("%s is a copy of the CA's key: whoever has it can make "
		       "any host's certificate.\n",
		       path);
	return 0;
}

static int run_import(struct call *c, struct error *e)
{
	AUTO_JSON json_t *key = NULL, *view = NULL;
	json_error_t why;
	int r;

	key = json_load_file(c->words[0], 0, &why);
	if (!key)
		return error_set(e, EIO, "%s: %s", c->words[0], why.text);
	r = client_post(c->client, "/v1/trust/import", key, &view, e);
	return show(c, r, view);
}

const struct command trust_commands[] = {
	{ "trust", "init", "", "Makes a CA, and this host its first member",
	  "The CA's key stays on this host, which lets others in.", NULL,
	  run_init },
	{ "trust", "invite", "", "Prints a token for a host that is to join",
	  "It is good once, and for 15 minutes.  Whoever has it can join: "
	  "carry\n"
	  "it where nobody else reads it.",
	  invite_options, run_invite },
	{ "trust", "join", "HOST TOKEN", "Joins the hosts of HOST's CA",
	  "HOST is the address or the name of the host that printed TOKEN.\n"
	  "This host gets a certificate, and both are peers from then on.",
	  join_options, run_join },
	{ "trust", "list", "", "Lists the hosts of the CA", NULL, NULL,
	  run_list },
	{ "trust", "show", "", "Shows this host's certificate and CA", NULL,
	  NULL, run_show },
	{ "trust", "renew", "", "Gets a new certificate for this host",
	  "It does so by itself a month before the old one ends.", NULL,
	  run_renew },
	{ "trust", "remove", "HOST", "Lets a host in no more",
	  "Its certificates prove nothing from now on, and its sessions end, "
	  "on\nall hosts of the CA.  Only on the host that has the CA's key.",
	  NULL, run_remove },
	{ "trust", "export", "FILE", "Moves the CA's key into a file",
	  "The host that imports it lets others in from then on.",
	  export_options, run_export },
	{ "trust", "import", "FILE",
	  "Makes this host the one with the CA's key",
	  "FILE is what 'drover trust export' has written.  Remove it "
	  "afterwards.",
	  NULL, run_import },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
