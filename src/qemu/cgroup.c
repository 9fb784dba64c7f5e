/* SPDX-License-Identifier: MIT */
#include "qemu/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"

#define FOLDER "drover"

enum { END_US = 1000000, TURN_MS = 5 };

/* Only where systemd does not run: it would take away what is not its own. */
static const char *hierarchy(void)
{
	static const char *const places[] = { "/sys/fs/cgroup",
					      "/sys/fs/cgroup/unified" };
	struct statfs fs;

	if (access("/run/systemd/system", F_OK) == 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (statfs(places[i], &fs) == 0 &&
		    fs.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	return NULL;
}

/* Machines of one name may run under several daemons. */
static bool path_of(char path[PATH_MAX], const char *run_dir)
{
	const char *root = hierarchy(), *name = strrchr(run_dir, '/');

	if (root)
		snprintf(path, PATH_MAX, "%s/" FOLDER "/%s-%08x", root,
			 name ? name + 1 : run_dir,
			 (unsigned)XXH64(run_dir, strlen(run_dir), 0));
	return root;
}

static int write_word(const char *folder, const char *file, const char *word)
{
	char path[PATH_MAX + 32];
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, word, strlen(word)) < 0 ? -errno : 0;
}

/* Each by itself: which there are depends on the kernel and on the host. */
static void count_in(const char *folder)
{
	static const char *const counted[] = { "+memory", "+cpu", "+pids" };

	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		(void)write_word(folder, "cgroup.subtree_control", counted[i]);
}

/* "/sys/fs/cgroup/drover/x": from the root on. */
static int make_way(char *path)
{
	char *end = strrchr(path, '/'), *above;

	*end = '\0';
	above = strrchr(path, '/');
	*above = '\0';
	count_in(path);
	*above = '/';
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	count_in(path);
	*end = '/';
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int cgroup_make(const char *run_dir)
{
	char path[PATH_MAX], procs[PATH_MAX + 32];
	int r;

	if (!path_of(path, run_dir))
		return -1;
	r = make_way(path);
	if (r < 0) {
		log_debug("%s: %s", path, strerrordesc_np(-r));
		return -1;
	}
	/* All of a QEMU or nothing of it. */
	(void)write_word(path, "memory.oom.group", "1");
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	return open(procs, O_WRONLY | O_CLOEXEC);
}

/* For kernels before 5.14. */
static void kill_each(const char *folder)
{
	char path[PATH_MAX + 32], line[32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		pid_t pid = (pid_t)strtol(line, NULL, 10);

		if (pid > 0)
			kill(pid, SIGKILL);
	}
	if (f)
		fclose(f);
}

static bool is_empty(const char *folder)
{
	char path[PATH_MAX + 32], text[64];
	AUTO_CLOSE int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/cgroup.events", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	return !strstr(text, "populated 1");
}

void cgroup_end(const char *run_dir)
{
	uint64_t deadline_us = clock_us() + END_US;
	char path[PATH_MAX];

	if (!path_of(path, run_dir))
		return;
	while (!is_empty(path) && clock_us() < deadline_us) {
		if (write_word(path, "cgroup.kill", "1") == -ENOENT)
			kill_each(path);
		poll(NULL, 0, TURN_MS);
	}
}

void cgroup_remove(const char *run_dir)
{
	char path[PATH_MAX];

	if (path_of(path, run_dir))
		rmdir(path);
}
