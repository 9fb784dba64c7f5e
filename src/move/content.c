/* SPDX-License-Identifier: MIT */
#include "move/content.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "wire/sum.h"

enum { PIECE = 1 << 20, KNOWN_MAX = 32 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct known {
	struct stat st;
	char sum[CONTENT_SUM_SIZE];
} known[KNOWN_MAX];   /* under the lock */
static unsigned next; /* is written next */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool recall(char ret[CONTENT_SUM_SIZE], const struct stat *st)
{
	WITH_LOCK(&lock);

	for (size_t i = 0; i < KNOWN_MAX; i++) {
		if (!known[i].sum[0] || !is_same_file(&known[i].st, st))
			continue;
		memcpy(ret, known[i].sum, CONTENT_SUM_SIZE);
		return true;
	}
	return false;
}

static void remember(const char sum[CONTENT_SUM_SIZE], const struct stat *st)
{
	WITH_LOCK(&lock);

	known[next].st = *st;
	memcpy(known[next].sum, sum, CONTENT_SUM_SIZE);
	next = (next + 1) % KNOWN_MAX;
}

/* The first @left bytes. */
static int read_all(XXH3_state_t *state, int fd, uint64_t left,
		    const char *path, struct error *e)
{
	AUTO_FREE uint8_t *piece = malloc(PIECE);
	ssize_t n;

	if (!piece)
		return error_set(e, ENOMEM, "%s: no memory", path);
	while (left > 0 &&
	       (n = read(fd, piece, left < PIECE ? left : PIECE)) != 0) {
		if (n < 0 && errno != EINTR)
			return error_sys(e, "read %s", path);
		if (n > 0) {
			XXH3_128bits_update(state, piece, (size_t)n);
			left -= (uint64_t)n;
		}
	}
	return 0;
}

int content_sum(char ret[CONTENT_SUM_SIZE], const char *path, uint64_t most,
		struct error *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	XXH128_hash_t sum;
	XXH3_state_t state;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(e, "read %s", path);
	/* Files of the kernel have content and no size. */
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return error_set(e, EINVAL, "%s is not a file with content",
				 path);
	if ((uint64_t)st.st_size > most)
		return error_set(e, EFBIG, "%s is too large to be read", path);
	if (recall(ret, &st))
		return 0;
	XXH3_INITSTATE(&state);
	XXH3_128bits_reset(&state);
	if (read_all(&state, fd, (uint64_t)st.st_size, path, e) < 0)
		return error_code(e);
	sum = XXH3_128bits_digest(&state);
	snprintf(ret, CONTENT_SUM_SIZE, "%016" PRIx64 "%016" PRIx64,
		 (uint64_t)sum.high64, (uint64_t)sum.low64);
	remember(ret, &st);
	return 0;
}
