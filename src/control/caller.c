/* SPDX-License-Identifier: MIT */
#include "control/caller.h"

#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define NOBODY_LOGGED_IN UINT32_MAX

static void name_user(char buf[static CALLER_NAME], uid_t uid)
{
	struct passwd entry, *found = NULL;
	char text[4096];

	if (getpwuid_r(uid, &entry, text, sizeof(text), &found) == 0 && found)
		text_printable(buf, CALLER_NAME, found->pw_name,
			       strlen(found->pw_name));
	else
		snprintf(buf, CALLER_NAME, "%u", (unsigned)uid);
}

/* With sudo everybody is root: this is who he was before. */
static void name_login(char buf[static CALLER_NAME], const struct caller *c)
{
	uint64_t uid;
	char line[32];
	struct error ignored;

	if (text_read_line(line, sizeof(line), "/proc/%d/loginuid",
			   (int)c->pid) &&
	    text_parse_number(&uid, line, 0, UINT32_MAX, &ignored) == 0 &&
	    uid != NOBODY_LOGGED_IN && uid != c->uid)
		name_user(buf, (uid_t)uid);
}

void caller_names(struct caller_names *ret, const struct caller *c)
{
	char line[64];

	memset(ret, 0, sizeof(*ret));
	name_user(ret->user, c->uid);
	if (c->pid <= 0)
		return;
	name_login(ret->login, c);
	if (text_read_line(line, sizeof(line), "/proc/%d/comm", (int)c->pid))
		text_printable(ret->process, CALLER_NAME, line, strlen(line));
}
