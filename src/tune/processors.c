/* SPDX-License-Identifier: MIT */
#include "tune/processors.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "base/error.h"
#include "base/ini.h"
#include "base/scope.h"
#include "base/text.h"

enum { LINE = 4096, STAT_MOST = 16 << 20 };

/* "cpu3 user nice system idle iowait irq softirq steal ..." */
static void count_line(struct processors *p, const char *line)
{
	enum { IRQ = 5, SOFTIRQ = 6, STEAL = 7 };
	char *at;
	unsigned long number = strtoul(line, &at, 10);
	struct processor *to = &p->at[number < PROCESSORS_MOST ? number : 0];

	if (at == line || number >= PROCESSORS_MOST || to->online)
		return;
	to->online = true;
	p->count++;
	for (int i = 0; i <= STEAL; i++) {
		uint64_t ticks = strtoull(at, &at, 10);

		to->ticks += ticks;
		if (i == IRQ || i == SOFTIRQ)
			to->on_cards += ticks;
	}
}

void processors_count(struct processors *p, const char *stat)
{
	while (!strncmp(stat, "cpu", 3)) {
		count_line(p, stat + 3);
		stat += strcspn(stat, "\n");
		stat += *stat == '\n';
	}
}

static void read_nodes(struct processors *p)
{
	char line[LINE];
	cpu_set_t set;

	for (int i = 0; i < PROCESSORS_MOST; i++)
		p->at[i].node = -1;
	for (int node = 0; node < PROCESSORS_NODES; node++) {
		/* Their numbers may have gaps. */
		if (!text_read_line(line, LINE,
				    "/sys/devices/system/node/node%d/cpulist",
				    node))
			continue;
		cpus_read_list(&set, line);
		for (int i = 0; i < PROCESSORS_MOST; i++)
			if (CPU_ISSET(i, &set)) {
				p->at[i].node = node;
				p->nodes[node] |= p->at[i].online;
			}
	}
}

int processors_read(struct processors **ret, struct error *e)
{
	AUTO_FREE struct processors *p = calloc(1, sizeof(*p));
	AUTO_FREE char *stat = NULL;
	size_t len;
	int r;

	if (!p)
		return error_set(e, ENOMEM, "no memory for the processors");
	r = ini_load(&stat, &len, "/proc/stat", STAT_MOST, e);
	if (r < 0)
		return error_in(e, "read the load of the processors");
	processors_count(p, stat);
	read_nodes(p);
	for (int i = 0; i < PROCESSORS_MOST; i++)
		p->at[i].share = NAN;
	*ret = take_ptr(&p);
	return 0;
}

void processors_compare(struct processors *now, const struct processors *before)
{
	for (int i = 0; i < PROCESSORS_MOST; i++) {
		struct processor *n = &now->at[i];
		const struct processor *b = &before->at[i];

		n->share = NAN;
		/* One that came, or whose counters began again, is not known.
		 */
		if (n->online && b->online && n->ticks > b->ticks &&
		    n->on_cards >= b->on_cards &&
		    n->on_cards - b->on_cards <= n->ticks - b->ticks)
			n->share = (double)(n->on_cards - b->on_cards) /
				   (double)(n->ticks - b->ticks);
	}
}
