/* SPDX-License-Identifier: MIT */

/*
 * What gives the terminal back is made when it is taken: a string and a struct
 * termios, so that a handler of any signal can do it with write() and
 * tcsetattr(), which it may call.  Signals that end a program do so after it,
 * as if nobody had handled them; SIGTSTP stops it after it, and SIGCONT takes
 * the terminal again.  SIGCONT and SIGWINCH come only while a key is waited
 * for: neither is missed, and no picture is cut.
 */
#include "cmd/screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <curses.h>
#include <term.h>
/* Short names that it takes, and that are ours. */
#undef columns
#undef lines

#include "base/error.h"
#include "base/text.h"
#include "cmd/page.h"

enum { STRING = 64, BEGIN = 256, KEYS = 32, ESCAPE_MS = 50 };

static struct {
	bool taken;
	struct termios before, raw;
	char begin[BEGIN], end[BEGIN]; /* takes it; gives it back */
	char looks[PAGE_LOOKS][STRING], plain[STRING];
	char to_end_of_line[STRING], clear[STRING];
	bool stale; /* something else may stand there */
	sigset_t while_waiting;
	char keys[KEYS]; /* typed, and not yet taken */
	size_t keys_len;
} screen;

static volatile sig_atomic_t changed;

/* --- strings of terminfo */

/* What tputs() writes into; it takes no argument of ours. */
static struct {
	char *at;
	size_t len, cap;
} sink;

static int put_char(int c)
{
	if (sink.len + 1 < sink.cap)
		sink.at[sink.len++] = (char)c;
	return c;
}

/* Behind what is in @buf already.  @text NULL: the terminal cannot do that. */
static void append(char *buf, size_t cap, const char *text)
{
	if (!text)
		return;
	sink.at = buf;
	sink.len = strlen(buf);
	sink.cap = cap;
	tputs(text, 1, put_char);
	buf[sink.len] = '\0';
	sink.at = NULL;
}

static const char *ability(const char *name)
{
	const char *text = tigetstr(name);

	/* -1: no such name. */
	return (intptr_t)text == -1 ? NULL : text;
}

static const char *variable(const char *name)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads */
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

static void find_looks(void)
{
	const char *red = ability("setaf");
	const bool colours =
		red && tigetnum("colors") >= 8 && !variable("NO_COLOR");

	append(screen.plain, STRING, ability("sgr0"));
	append(screen.looks[PAGE_TITLE], STRING, ability("bold"));
	append(screen.looks[PAGE_HEAD], STRING, ability("rev"));
	append(screen.looks[PAGE_ALARM], STRING, ability("bold"));
	if (colours)
		append(screen.looks[PAGE_ALARM], STRING,
		       tiparm(red, COLOR_RED));
	append(screen.looks[PAGE_FAINT], STRING, ability("dim"));
	append(screen.to_end_of_line, STRING, ability("el"));
	append(screen.clear, STRING, ability("clear"));
}

static void find_strings(void)
{
	static const char *const begin[] = { "smcup", "civis", "clear" };
	static const char *const end[] = { "sgr0", "clear", "cnorm", "rmcup" };

	for (size_t i = 0; i < ARRAY_SIZE(begin); i++)
		append(screen.begin, BEGIN, ability(begin[i]));
	for (size_t i = 0; i < ARRAY_SIZE(end); i++)
		append(screen.end, BEGIN, ability(end[i]));
	find_looks();
}

bool screen_is_there(void)
{
	int why;

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
	       variable("TERM") && setupterm(NULL, STDOUT_FILENO, &why) == OK &&
	       ability("cup");
}

bool screen_is_utf8(void)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads */
	return setlocale(LC_CTYPE, "") &&
	       /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
	       !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static int size_by(const char *name, int otherwise)
{
	const char *value = variable(name);
	struct error ignored;
	uint64_t n;

	if (value && text_parse_number(&n, value, 1, 10000, &ignored) == 0)
		return (int)n;
	return otherwise;
}

void screen_size(int *ret_columns, int *ret_rows)
{
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 ||
	    size.ws_row == 0)
		size = (struct winsize){ .ws_col = 80, .ws_row = 24 };
	*ret_columns = size_by("COLUMNS", size.ws_col);
	*ret_rows = size_by("LINES", size.ws_row);
}

/* --- taken and given back; also by handlers */

static void write_all(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			return; /* the terminal is gone */
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

static void take(void)
{
	tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.raw);
	write_all(screen.begin, strlen(screen.begin));
}

static void give_back(void)
{
	write_all(screen.end, strlen(screen.end));
	tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.before);
}

static void set_handler(int sig, void (*handler)(int), int flags)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags };

	sigaction(sig, &act, NULL);
}

static void on_end(int sig)
{
	int error = errno;

	if (screen.taken)
		give_back();
	/* By SA_RESETHAND and SA_NODEFER this is the end, or for SIGTSTP a
	 * stop.
	 */
	raise(sig);
	errno = error;
}

/* After a stop, also by SIGSTOP: somebody else had the terminal. */
static void on_change(int sig)
{
	int error = errno;

	changed = 1;
	if (sig == SIGCONT) {
		set_handler(SIGTSTP, on_end, (int)SA_RESETHAND | SA_NODEFER);
		if (screen.taken)
			take();
	}
	errno = error;
}

static void handle_signals(void)
{
	/* All that end a program, and that one can catch. */
	static const int ends[] = {
		SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP,   SIGABRT,
		SIGBUS,  SIGFPE,  SIGUSR1, SIGSEGV, SIGUSR2,   SIGPIPE,
		SIGALRM, SIGTERM, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF,
		SIGIO,   SIGPWR,  SIGSYS,  SIGTSTP,
	};
	sigset_t later;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		set_handler(ends[i], on_end, (int)SA_RESETHAND | SA_NODEFER);
	sigemptyset(&later);
	sigaddset(&later, SIGCONT);
	sigaddset(&later, SIGWINCH);
	sigprocmask(SIG_BLOCK, &later, &screen.while_waiting);
	sigdelset(&screen.while_waiting, SIGCONT);
	sigdelset(&screen.while_waiting, SIGWINCH);
	set_handler(SIGCONT, on_change, 0);
	set_handler(SIGWINCH, on_change, 0);
}

int screen_open(struct error *e)
{
	if (tcgetattr(STDIN_FILENO, &screen.before) < 0)
		return error_sys(e, "read how the terminal is set");
	screen.raw = screen.before;
	screen.raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	screen.raw.c_iflag &= ~(tcflag_t)IXON;
	screen.raw.c_cc[VMIN] = 1;
	screen.raw.c_cc[VTIME] = 0;
	find_strings();
	screen.taken = true;
	handle_signals();
	take();
	return 0;
}

void screen_close(void)
{
	if (screen.taken)
		give_back();
	screen.taken = false;
}

/* --- pictures and keys */

void screen_show(const struct page *p)
{
	const char *place = ability("cup");
	char at[STRING];
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return;
	if (screen.stale)
		fputs(screen.clear, f);
	screen.stale = false;
	for (size_t i = 0; i < p->count; i++) {
		const struct page_line *l = &p->lines[i];

		at[0] = '\0';
		append(at, sizeof(at), tiparm(place, (int)i, 0));
		fprintf(f, "%s%s%s%s%s", at, screen.looks[l->look], l->text,
			screen.plain,
			l->columns < p->width ? screen.to_end_of_line : "");
	}
	if (fclose(f) == 0)
		write_all(text, len);
	free(text);
}

static const struct {
	const char *typed; /* behind an escape and '[' or 'O' */
	int key;
} sequences[] = {
	{ "A", TYPED_UP },         { "B", TYPED_DOWN }, { "5~", TYPED_PAGE_UP },
	{ "6~", TYPED_PAGE_DOWN }, { "H", TYPED_HOME }, { "1~", TYPED_HOME },
	{ "7~", TYPED_HOME },      { "F", TYPED_END },  { "4~", TYPED_END },
	{ "8~", TYPED_END },
};

static void drop_keys(size_t n)
{
	screen.keys_len -= n;
	memmove(screen.keys, screen.keys + n, screen.keys_len);
}

/* 0: time is up; negative: a signal came, or nobody types any more. */
static int read_keys(int timeout_ms)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	const struct timespec t = { timeout_ms / 1000,
				    timeout_ms % 1000 * 1000000L };
	int r = ppoll(&p, 1, &t, &screen.while_waiting);
	ssize_t n;

	if (r <= 0)
		return r < 0 ? -errno : 0;
	n = read(STDIN_FILENO, screen.keys + screen.keys_len,
		 KEYS - screen.keys_len);
	if (n <= 0)
		return n < 0 && errno == EINTR ? -EINTR : -EIO;
	screen.keys_len += (size_t)n;
	return 1;
}

/* Of a sequence that nobody knows, all of it is dropped. */
static int take_sequence(void)
{
	size_t len = 2;

	while (len < screen.keys_len && (unsigned char)screen.keys[len] < '@')
		len++;
	len += len < screen.keys_len;
	for (size_t i = 0; i < ARRAY_SIZE(sequences); i++)
		if (strlen(sequences[i].typed) == len - 2 &&
		    !memcmp(sequences[i].typed, screen.keys + 2, len - 2)) {
			drop_keys(len);
			return sequences[i].key;
		}
	drop_keys(len);
	return TYPED_NONE;
}

static int take_key(void)
{
	char first = screen.keys[0];

	if (first == '\033' && screen.keys_len == 1)
		read_keys(ESCAPE_MS);
	if (first == '\033' && screen.keys_len > 1 &&
	    (screen.keys[1] == '[' || screen.keys[1] == 'O'))
		return take_sequence();
	drop_keys(1);
	return first == '\033' ? TYPED_ESCAPE : (unsigned char)first;
}

int screen_key(int timeout_ms)
{
	int r = screen.keys_len > 0 ? 1 : read_keys(timeout_ms);

	if (changed) {
		changed = 0;
		screen.stale = true;
		return TYPED_SIZE;
	}
	if (r > 0)
		return take_key();
	return r == 0 || r == -EINTR ? TYPED_NONE : TYPED_GONE;
}
