/* SPDX-License-Identifier: MIT */
#include "qemu/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/words.h"
#include "qemu/qmp.h"

enum { PROBE_SECONDS = 20 };

/* A file's content may change under its name; these tell. */
struct cached {
	struct qemu_facts facts;
	struct timespec changed;
	off_t size;
	ino_t inode;
	struct cached *next; /* older answers stay valid for who has them */
};

/* One that hangs keeps nobody from asking another. */
struct program {
	char *path;
	pthread_mutex_t lock; /* one question at a time */
	struct cached *cache; /* guarded by it */
	struct program *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct program *programs; /* under the lock; never removed */

static int spawn(pid_t *ret, char *const *argv, int fd, struct error *e)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	r = posix_spawn_file_actions_adddup2(&actions, fd, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, fd, 1);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null",
						     O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	if (r == 0)
		r = posix_spawn(ret, argv[0], &actions, &attributes, argv,
				environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return r ? error_set(e, r, "%s", strerrordesc_np(r)) : 0;
}

/* The monitor is the program's standard input and output. */
static int start(pid_t *ret, const char *path, int fd, struct error *e)
{
	struct words argv = { 0 };
	int r = words_add(&argv, path, e);

	if (r == 0)
		r = words_split(&argv,
				"-machine none -nodefaults -display none "
				"-qmp stdio",
				e);
	if (r == 0)
		r = spawn(ret, argv.at, fd, e);
	words_done(&argv);
	return r;
}

/* Every object of @list that has a @key goes into @into under it: its @value,
 * or true where @value is NULL. */
static void index_list(json_t *into, const json_t *list, const char *key,
		       const char *value)
{
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		const char *name = json_string_value(json_object_get(o, key));
		json_t *v = value ? json_object_get(o, value) : NULL;

		if (name && (!value || v))
			json_object_set_new(into, name,
					    v ? json_incref(v) : json_true());
	}
}

static int ask_list(struct qmp *q, const char *command, json_t *into,
		    const char *key, const char *value, struct error *e)
{
	json_t *list;

	if (qmp_run(q, command, NULL, &list, e) < 0)
		return error_code(e);
	index_list(into, list, key, value);
	json_decref(list);
	return 0;
}

/* The list of devices makes QEMU load all its modules, and a module that is
 * not of its build (a package half upgraded) kills it.  So this is the last
 * question, and no answer means that the devices are not known. */
static void ask_devices(struct qmp *q, struct qemu_facts *f)
{
	struct error ignored;
	json_t *list;

	if (qmp_run(q, "qom-list-types",
		    json_pack("{s:s, s:b}", "implements", "device", "abstract",
			      0),
		    &list, &ignored) == 0) {
		f->devices = json_object();
		index_list(f->devices, list, "name", NULL);
		json_decref(list);
	}
}

static int ask_all(struct qmp *q, struct qemu_facts *f, struct error *e)
{
	json_t *list;

	qmp_version(q, &f->major, &f->minor, &f->micro);
	if (qmp_run(q, "query-machines", NULL, &list, e) < 0)
		return error_code(e);
	index_list(f->machines, list, "name", "name");
	index_list(f->machines, list, "alias", "name");
	json_decref(list);
	if (ask_list(q, "query-migrate-capabilities", f->capabilities,
		     "capability", "state", e) < 0)
		return error_code(e);
	/* Not every architecture can tell its processors. */
	(void)ask_list(q, "query-cpu-definitions", f->cpus, "name", NULL, e);
	ask_devices(q, f);
	return 0;
}

static int run(struct qemu_facts *f, struct error *e)
{
	uint64_t deadline_us = clock_us() + PROBE_SECONDS * USEC_PER_SEC;
	AUTO_CLOSE int theirs = -1;
	struct qmp *q = NULL;
	int pair[2] = { -1, -1 }, r;
	pid_t pid = -1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(e, "socketpair");
	theirs = pair[1];
	if (start(&pid, f->path, theirs, e) < 0) {
		close(pair[0]);
		return error_code(e);
	}
	close(take_fd(&theirs));
	r = qmp_open_fd(&q, pair[0], deadline_us, e);
	if (r == 0)
		r = ask_all(q, f, e);
	qmp_close(q);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r == -EPIPE || r == -EBADMSG)
		return error_set(e, ECHILD,
				 "it does not run as a QEMU with a monitor");
	if (r == -EBUSY)
		return error_set(e, ETIMEDOUT, "its monitor does not answer");
	return r;
}

static void cached_free(struct cached *c)
{
	json_decref(c->facts.machines);
	json_decref(c->facts.devices);
	json_decref(c->facts.cpus);
	json_decref(c->facts.capabilities);
	free(c->facts.path);
	free(c);
}

static struct cached *cached_new(const char *path, const struct stat *st)
{
	struct cached *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->facts.path = strdup(path);
	c->facts.machines = json_object();
	c->facts.cpus = json_object();
	c->facts.capabilities = json_object();
	c->changed = st->st_mtim;
	c->size = st->st_size;
	c->inode = st->st_ino;
	if (c->facts.path && c->facts.machines && c->facts.cpus &&
	    c->facts.capabilities)
		return c;
	cached_free(c);
	return NULL;
}

static const struct cached *find(const struct program *p, const struct stat *st)
{
	for (const struct cached *c = p->cache; c; c = c->next)
		if (c->inode == st->st_ino && c->size == st->st_size &&
		    c->changed.tv_sec == st->st_mtim.tv_sec &&
		    c->changed.tv_nsec == st->st_mtim.tv_nsec)
			return c;
	return NULL;
}

static struct program *program_of(const char *path)
{
	struct program *p;

	WITH_LOCK(&lock);

	for (p = programs; p; p = p->next)
		if (!strcmp(p->path, path))
			return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->path = strdup(path);
	if (!p->path) {
		free(p);
		return NULL;
	}
	pthread_mutex_init(&p->lock, NULL);
	p->next = programs;
	programs = p;
	return p;
}

int probe_qemu(const struct qemu_facts **ret, const char *path, struct error *e)
{
	struct program *p = program_of(path);
	const struct cached *known;
	struct cached *fresh;
	struct stat st;

	if (!p)
		return error_set(e, ENOMEM, "%s: no memory", path);

	WITH_LOCK(&p->lock);

	if (stat(path, &st) < 0)
		return error_sys(e, "%s", path);
	known = find(p, &st);
	if (known) {
		*ret = &known->facts;
		return 0;
	}
	fresh = cached_new(path, &st);
	if (!fresh)
		return error_set(e, ENOMEM, "%s: no memory", path);
	if (run(&fresh->facts, e) < 0) {
		cached_free(fresh);
		return error_in(e, "%s", path);
	}
	fresh->next = p->cache;
	p->cache = fresh;
	*ret = &fresh->facts;
	return 0;
}

void probe_known(const char *path, int *ret_major, int *ret_minor,
		 int *ret_micro)
{
	struct program *p = program_of(path);
	const struct cached *known = NULL;
	struct stat st;

	if (!p || pthread_mutex_trylock(&p->lock) != 0)
		return;
	if (stat(path, &st) == 0)
		known = find(p, &st);
	if (known) {
		*ret_major = known->facts.major;
		*ret_minor = known->facts.minor;
		*ret_micro = known->facts.micro;
	}
	pthread_mutex_unlock(&p->lock);
}

const char *facts_machine(const struct qemu_facts *f, const char *machine)
{
	return json_string_value(json_object_get(f->machines, machine));
}

int facts_add_machines(const struct qemu_facts *f, struct words *to,
		       struct error *e)
{
	const char *name;
	json_t *value;

	json_object_foreach (f->machines, name, value)
		if (words_add(to, name, e) < 0)
			return error_code(e);
	return 0;
}

bool facts_has_device(const struct qemu_facts *f, const char *device)
{
	return !f->devices || json_object_get(f->devices, device) != NULL;
}

bool facts_has_cpu(const struct qemu_facts *f, const char *cpu)
{
	return json_object_get(f->cpus, cpu) != NULL;
}

bool facts_has_capability(const struct qemu_facts *f, const char *capability)
{
	return json_object_get(f->capabilities, capability) != NULL;
}

bool facts_at_least(const struct qemu_facts *f, int major, int minor)
{
	return f->major > major || (f->major == major && f->minor >= minor);
}
