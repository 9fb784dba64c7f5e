/* SPDX-License-Identifier: MIT */
#include "tune/shaping.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum {
	HANDLE = 0x6600 << 16, /* where the settings name none */
	PRIORITIES = 15,       /* more is a class */
	MINOR = 0xffff,
	WHOLE = 0xfffe, /* beside a class of the settings' */
	PACKET = 1514,
	RATE_TEXT = 32,
	MBIT = 1000000,
};

static uint64_t amount(const struct network_amount *a, uint64_t whole)
{
	return a->percent ? whole / 100 * a->percent : a->rate;
}

static bool is_asked(const struct network_amount *a)
{
	return a->percent || a->rate;
}

static bool names_class(const struct network_share *s)
{
	return s->priority > PRIORITIES;
}

static bool __attribute__((format(printf, 2, 3)))
refuse(char why[static SHAPING_WHY], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, SHAPING_WHY, fmt, args);
	va_end(args);
	return false;
}

static int add(struct shaping_tree *t, uint32_t minor, uint64_t rate,
	       uint64_t most)
{
	t->at[t->count] =
		(struct shaping_class){ t->handle | minor, rate, most };
	return (int)t->count++;
}

/* The smaller of both has a packet in each turn. */
static bool want_ets(struct shaping_tree *t, char why[static SHAPING_WHY],
		     const struct shaping_card *c)
{
	const struct network_amount *g = &c->share->guarantee;
	uint64_t part = g->percent, rest;

	if (!part && !c->rate)
		return refuse(why,
			      "%s does not tell its speed: write the guarantee "
			      "in per cent",
			      c->name);
	if (!part)
		part = (g->rate * 100 + c->rate - 1) / c->rate;
	if (part >= 100)
		return refuse(why,
			      "the guarantee is all that %s carries: nothing "
			      "is left to be shared",
			      c->name);
	rest = 100 - part;
	snprintf(t->kind, sizeof(t->kind), "ets");
	t->others = add(t, 1, PACKET * rest / (part < rest ? part : rest), 0);
	t->moves = add(t, 2, PACKET * part / (part < rest ? part : rest), 0);
	return true;
}

/* Of a card whose speed is not needed, only what moves send is held back. */
static bool want_htb(struct shaping_tree *t, char why[static SHAPING_WHY],
		     const struct shaping_card *c)
{
	const struct network_share *s = c->share;
	const bool keeps = is_asked(&s->guarantee), own = names_class(s);
	const uint32_t minor = own ? (uint32_t)s->priority & MINOR : 2;
	uint64_t most = amount(&s->limit, c->rate);
	uint64_t least = amount(&s->guarantee, c->rate);

	if (!c->rate && (keeps || s->limit.percent))
		return refuse(why,
			      "%s does not tell its speed: write the limit as "
			      "a rate, and no guarantee",
			      c->name);
	if (keeps && least >= c->rate)
		return refuse(why,
			      "the guarantee is all that %s carries: nothing "
			      "is left to be shared",
			      c->name);
	if (!is_asked(&s->limit) || (c->rate && most > c->rate))
		most = c->rate;
	snprintf(t->kind, sizeof(t->kind), "htb");
	if (!keeps) {
		t->moves = add(t, minor, most, most);
		return true;
	}
	if (least > most)
		least = most;
	t->whole = add(t, own ? WHOLE : 1, c->rate, c->rate);
	t->moves = add(t, minor, least, most);
	t->others = add(t, own ? MINOR : 3, c->rate - least, c->rate);
	return true;
}

bool shaping_want(struct shaping_tree *ret, char why[static SHAPING_WHY],
		  const struct shaping_card *c)
{
	const struct network_share *s = c->share;

	*ret = (struct shaping_tree){
		.handle = HANDLE, .whole = -1, .moves = -1, .others = -1
	};
	why[0] = '\0';
	if (!is_asked(&s->limit) && !is_asked(&s->guarantee))
		return false;
	if (s->priority < 0 && s->dscp < 0)
		return refuse(why,
			      "nothing marks what moves send over %s: set dscp "
			      "or priority beside limit and guarantee",
			      c->name);
	if (names_class(s))
		ret->handle = (uint32_t)s->priority & ~(uint32_t)MINOR;
	return is_asked(&s->limit) || names_class(s) ? want_htb(ret, why, c)
						     : want_ets(ret, why, c);
}

/* --- as commands */

static void id_text(char buf[static RATE_TEXT], uint32_t id)
{
	if (id & MINOR)
		snprintf(buf, RATE_TEXT, "%x:%x", id >> 16, id & MINOR);
	else
		snprintf(buf, RATE_TEXT, "%x:", id >> 16);
}

static void rate_text(char buf[static RATE_TEXT], uint64_t rate)
{
	if (rate * 8 % MBIT == 0)
		snprintf(buf, RATE_TEXT, "%" PRIu64 "mbit", rate * 8 / MBIT);
	else
		snprintf(buf, RATE_TEXT, "%" PRIu64 "bit", rate * 8);
}

static int add_class(struct words *ret, const struct shaping_tree *t, int i,
		     const char *card, struct error *e)
{
	const bool below = t->whole >= 0 && i != t->whole;
	char id[RATE_TEXT], parent[RATE_TEXT], rate[RATE_TEXT], most[RATE_TEXT];

	id_text(id, t->at[i].id);
	id_text(parent, below ? t->at[t->whole].id : t->handle);
	rate_text(rate, t->at[i].rate);
	rate_text(most, t->at[i].most);
	return words_addf(ret, e,
			  "tc class replace dev %s parent %s classid %s htb "
			  "rate %s ceil %s",
			  card, parent, id, rate, most);
}

static int add_root(struct words *ret, const struct shaping_tree *t,
		    const char *card, struct error *e)
{
	if (!strcmp(t->kind, "ets"))
		return words_addf(ret, e,
				  "tc qdisc replace dev %s root handle %x: "
				  "ets bands 2 quanta %" PRIu64 " %" PRIu64
				  " priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
				  card, t->handle >> 16, t->at[t->others].rate,
				  t->at[t->moves].rate);
	return words_addf(ret, e,
			  "tc qdisc replace dev %s root handle %x: htb "
			  "default %x",
			  card, t->handle >> 16,
			  t->others >= 0 ? t->at[t->others].id & MINOR : 0);
}

/* How the kernel tells what moves send: by the class that the socket names, the
 * mark on the packet, or the socket's priority. */
static int add_filters(struct words *ret, const struct shaping_tree *t,
		       const struct shaping_card *c, struct error *e)
{
	static const struct {
		const char *protocol, *match;
	} versions[] = { { "ip", "ip dsfield" }, { "ipv6", "ip6 priority" } };
	const struct network_share *s = c->share;
	char to[RATE_TEXT];
	int r = 0;

	id_text(to, t->at[t->moves].id);
	if (names_class(s))
		return 0;
	if (s->dscp < 0)
		return words_addf(ret, e,
				  "tc filter replace dev %s parent %x: "
				  "protocol all prio 1 handle 1 basic match "
				  "'meta(priority eq %d)' flowid %s",
				  c->name, t->handle >> 16, s->priority, to);
	for (int i = 0; i < 2 && r == 0; i++)
		r = words_addf(ret, e,
			       "tc filter replace dev %s parent %x: protocol "
			       "%s prio %d handle 80%d::800 u32 match %s "
			       "0x%02x "
			       "0xfc flowid %s",
			       c->name, t->handle >> 16, versions[i].protocol,
			       i + 1, i, versions[i].match,
			       (unsigned)s->dscp << 2, to);
	return r;
}

int shaping_commands(struct words *ret, const struct shaping_tree *t,
		     const struct shaping_card *c, struct error *e)
{
	int r = add_root(ret, t, c->name, e);

	for (unsigned i = 0; i < t->count && r == 0; i++)
		if (!strcmp(t->kind, "htb"))
			r = add_class(ret, t, (int)i, c->name, e);
	return r == 0 ? add_filters(ret, t, c, e) : r;
}

/* --- what is there */

static bool has(const struct shaping_tree *seen, const struct shaping_class *k)
{
	for (unsigned i = 0; i < seen->count; i++)
		if (seen->at[i].id == k->id && seen->at[i].rate == k->rate &&
		    seen->at[i].most == k->most)
			return true;
	return false;
}

/* What the kernel chose by itself has no handle. */
enum shaping_state shaping_compare(const struct shaping_tree *want,
				   const struct shaping_tree *seen)
{
	if (seen->handle == 0)
		return SHAPING_UNSET;
	if (strcmp(want->kind, seen->kind) != 0 ||
	    want->handle != seen->handle || want->count != seen->count)
		return SHAPING_OTHER;
	for (unsigned i = 0; i < want->count; i++)
		if (!has(seen, &want->at[i]))
			return SHAPING_OTHER;
	return SHAPING_SET;
}
