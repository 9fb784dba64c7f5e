/* SPDX-License-Identifier: MIT */
#include "disks/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "lanes/calls.h"
#include "session/session.h"

enum { HOLE = 4096, ZEROS = 1 << 16, FLUSHES_MOST = FRAME_WINDOW };

struct sink_disk {
	char *path;
	int fd;
	uint64_t size;
	dev_t dev;
	ino_t ino;
};

struct disk_sink {
	/* set before the session hears of it */
	struct session *session;
	struct block_sink calls;
	struct sink_disk *disk;
	size_t count;
	pthread_t flusher;
	bool runs;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping, sealing, sealed, flushing;
	unsigned writers; /* readers of lanes that are in apply() */
	uint64_t *flush;  /* numbers of frames that wait for the flusher */
	size_t flushes;
	struct sink_stats stats;
	/* The first sync that failed.  The kernel says so once: a later one may
	 * succeed without what is lost. */
	struct error failure;
};

/* --- writing */

static bool is_zero(const uint8_t *data, size_t len)
{
	return data[0] == 0 && !memcmp(data, data + 1, len - 1);
}

/* Up to the next boundary of a block. */
static size_t to_boundary(uint64_t offset, size_t len)
{
	size_t n = HOLE - (size_t)(offset % HOLE);

	return n < len ? n : len;
}

size_t sink_run(const uint8_t *data, size_t len, uint64_t offset,
		bool *ret_zero)
{
	size_t at = 0;

	while (at < len) {
		size_t n = to_boundary(offset + at, len - at);
		bool zero = n == HOLE && is_zero(data + at, n);

		if (at == 0)
			*ret_zero = zero;
		else if (zero != *ret_zero)
			break;
		at += n;
	}
	return at;
}

static int write_all(const struct sink_disk *d, const uint8_t *data, size_t len,
		     uint64_t offset, struct error *e)
{
	while (len > 0) {
		ssize_t n = pwrite(d->fd, data, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_sys(e, "write to %s", d->path);
		data += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* A file system that knows no holes has zeros in it all the same. */
static int write_zeros(const struct sink_disk *d, uint64_t len, uint64_t offset,
		       struct error *e)
{
	static const uint8_t zeros[ZEROS];

	if (fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)offset, (off_t)len) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return error_sys(e, "make a hole in %s", d->path);
	while (len > 0) {
		size_t n = len < ZEROS ? (size_t)len : ZEROS;

		if (write_all(d, zeros, n, offset, e) < 0)
			return error_code(e);
		offset += n;
		len -= n;
	}
	return 0;
}

static int write_data(const struct sink_disk *d, const uint8_t *data,
		      size_t len, uint64_t offset, uint64_t *ret_holes,
		      struct error *e)
{
	while (len > 0) {
		bool zero = false;
		size_t n = sink_run(data, len, offset, &zero);

		if (zero ? write_zeros(d, n, offset, e) < 0
			 : write_all(d, data, n, offset, e) < 0)
			return error_code(e);
		*ret_holes += zero ? n : 0;
		data += n;
		offset += n;
		len -= n;
	}
	return 0;
}

/* --- what the session's readers do */

/* Who is in here holds up the seal. */
static int enter(struct disk_sink *sink, struct error *e)
{
	WITH_LOCK(&sink->lock);

	if (sink->sealing || sink->stopping)
		return error_set(e, EBADMSG,
				 "blocks for disks that are sealed");
	sink->writers++;
	return 0;
}

static void leave(struct disk_sink *sink, uint64_t data, uint64_t holes)
{
	WITH_LOCK(&sink->lock);

	sink->stats.data_bytes += data;
	sink->stats.hole_bytes += holes;
	sink->writers--;
	pthread_cond_broadcast(&sink->changed);
}

/* The readers go on meanwhile.  1: the flusher acknowledges it. */
static int queue_flush(struct disk_sink *sink, uint64_t seq, struct error *e)
{
	WITH_LOCK(&sink->lock);

	if (sink->sealing || sink->stopping || sink->flushes == FLUSHES_MOST)
		return error_set(e, EBADMSG,
				 "a flush of disks that are sealed, or too "
				 "many of them");
	sink->flush[sink->flushes++] = seq;
	sink->stats.flushes++;
	pthread_cond_broadcast(&sink->changed);
	return 1;
}

static int apply(void *context, uint64_t seq, const struct block_head *b,
		 const uint8_t *data, struct error *e)
{
	struct disk_sink *sink = context;
	const struct sink_disk *d;
	uint64_t holes = 0;
	int r;

	if (b->disk >= sink->count)
		return error_set(e, EBADMSG, "blocks of disk number %u",
				 b->disk);
	if (b->kind == BLOCK_FLUSH)
		return queue_flush(sink, seq, e);
	d = &sink->disk[b->disk];
	if (b->offset > d->size || b->len > d->size - b->offset)
		return error_set(e, EBADMSG,
				 "%" PRIu32 " bytes at %" PRIu64
				 " of %s, which has %" PRIu64,
				 b->len, b->offset, d->path, d->size);
	if (enter(sink, e) < 0)
		return error_code(e);
	if (b->kind == BLOCK_ZERO) {
		r = write_zeros(d, b->len, b->offset, e);
		holes = b->len;
	} else {
		r = write_data(d, data, b->len, b->offset, &holes, e);
	}
	leave(sink, b->len - holes, holes);
	return r < 0 ? r : 0;
}

/* --- the flusher */

static int sync_all(const struct disk_sink *sink, struct error *e)
{
	for (size_t i = 0; i < sink->count; i++)
		if (fdatasync(sink->disk[i].fd) < 0)
			return error_sys(e, "sync %s", sink->disk[i].path);
	return 0;
}

/* Nobody flushes any more; whoever seals hears why. */
static void flusher_failed(struct disk_sink *sink, const struct error *why)
{
	{
		WITH_LOCK(&sink->lock);

		sink->failure = *why;
		sink->flushing = false;
		pthread_cond_broadcast(&sink->changed);
	}
	session_fail(sink->session, why->text);
}

/* What waits, in @ret; 0: the sink stops. */
static size_t take_flushes(struct disk_sink *sink, uint64_t *ret)
{
	size_t n;

	WITH_LOCK(&sink->lock);

	sink->flushing = false;
	pthread_cond_broadcast(&sink->changed);
	while (!sink->stopping && sink->flushes == 0)
		pthread_cond_wait(&sink->changed, &sink->lock);
	if (sink->stopping)
		return 0;
	n = sink->flushes;
	memcpy(ret, sink->flush, n * sizeof(ret[0]));
	sink->flushes = 0;
	sink->flushing = true;
	return n;
}

static void *flusher_main(void *arg)
{
	struct disk_sink *sink = arg;
	AUTO_FREE uint64_t *seq = calloc(FLUSHES_MOST, sizeof(*seq));
	struct error e;
	size_t n;

	while (seq && (n = take_flushes(sink, seq)) > 0) {
		if (sync_all(sink, &e) < 0) {
			flusher_failed(sink, &e);
			return NULL;
		}
		for (size_t i = 0; i < n; i++)
			inbox_pages_applied(session_inbox(sink->session),
					    seq[i]);
		outbox_ack_due(session_outbox(sink->session));
	}
	if (!seq) {
		(void)error_set(&e, ENOMEM, "no memory for a disk");
		flusher_failed(sink, &e);
	}
	return NULL;
}

/* --- the files */

static const char mark_name[] = "user.drover.copy";

/* A file system without attributes has no marks: what is left there is refused.
 */
static void set_mark(int fd, const char *mark)
{
	if (mark && fsetxattr(fd, mark_name, mark, strlen(mark), 0) < 0)
		log_debug("mark a copy: %s", strerror(errno));
}

/* Of a half copy only, so nobody's disk. */
static bool has_mark(const char *path, const char *mark)
{
	char its[SINK_MARK_CAP];
	ssize_t n = mark ? lgetxattr(path, mark_name, its, sizeof(its)) : -1;

	return n >= 0 && n == (ssize_t)strlen(mark) &&
	       !memcmp(its, mark, (size_t)n);
}

static int create(const struct disk_file *f)
{
	return open(f->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
}

/* In the file system of devices, which is memory. */
static bool is_among_devices(const struct stat *st)
{
	struct stat dev;

	return stat("/dev", &dev) == 0 && dev.st_dev == st->st_dev;
}

static int make_file(struct sink_disk *d, const struct disk_file *f,
		     struct error *e)
{
	struct stat st;

	d->path = strdup(f->path);
	d->size = f->size;
	if (!d->path)
		return error_set(e, ENOMEM, "no memory for a disk");
	d->fd = create(f);
	if (d->fd < 0 && errno == EEXIST && f->replace) {
		if (has_mark(f->path, f->mark) && unlink(f->path) == 0) {
			log_info("%s is a half copy of before, and made anew",
				 f->path);
			d->fd = create(f);
		} else {
			errno = EEXIST;
		}
	}
	if (d->fd < 0)
		return error_sys(e, "make %s", f->path);
	if (fstat(d->fd, &st) < 0)
		return error_sys(e, "%s", f->path);
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	/* In the place of a volume that is not there. */
	if (is_among_devices(&st))
		return error_set(e, EOPNOTSUPP,
				 "%s would be a file in memory, which the next "
				 "start of this host loses: a copy goes to a "
				 "file on a disk, and to no volume",
				 f->path);
	set_mark(d->fd, f->mark);
	if (f->size > INT64_MAX || ftruncate(d->fd, (off_t)f->size) < 0)
		return error_sys(e, "make %s %" PRIu64 " bytes long", f->path,
				 f->size);
	return 0;
}

static int make_files(struct disk_sink *sink, const struct disk_file *files,
		      size_t count, struct error *e)
{
	for (; sink->count < count; sink->count++) {
		struct sink_disk *d = &sink->disk[sink->count];

		d->fd = -1;
		if (make_file(d, &files[sink->count], e) < 0) {
			sink->count++; /* what was made of it goes */
			return error_code(e);
		}
	}
	return 0;
}

/* In the place of one that was made may stand another's by now. */
static void remove_file(const struct sink_disk *d)
{
	struct stat st;

	if (d->ino && lstat(d->path, &st) == 0 && st.st_dev == d->dev &&
	    st.st_ino == d->ino)
		unlink(d->path);
}

static int start(struct disk_sink *sink, struct error *e)
{
	int r = thread_create(&sink->flusher, "disk flusher", flusher_main,
			      sink);

	if (r)
		return error_set(e, r, "no thread for a disk");
	sink->runs = true;
	session_set_block_sink(sink->session, &sink->calls);
	return 0;
}

int sink_new(struct disk_sink **ret, struct session *s,
	     const struct disk_file *files, size_t count, struct error *e)
{
	struct disk_sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return error_set(e, ENOMEM, "no memory for disks");
	sink->session = s;
	sink->calls = (struct block_sink){ .apply = apply, .context = sink };
	pthread_mutex_init(&sink->lock, NULL);
	clock_cond_init(&sink->changed);
	sink->disk = calloc(SINK_DISKS_MAX, sizeof(sink->disk[0]));
	sink->flush = calloc(FLUSHES_MOST, sizeof(sink->flush[0]));
	if (!sink->disk || !sink->flush)
		error_set(e, ENOMEM, "no memory for disks");
	else if (count > SINK_DISKS_MAX)
		error_set(e, E2BIG, "%zu disks are more than %d", count,
			  SINK_DISKS_MAX);
	else if (make_files(sink, files, count, e) == 0 &&
		 start(sink, e) == 0) {
		*ret = sink;
		return 0;
	}
	sink_free(sink, false);
	return error_code(e);
}

/* Locked.  Who uses the files is waited for in any case: they are closed next.
 * Flushes that wait are, while there is somebody who takes them. */
static bool is_busy(const struct disk_sink *sink)
{
	return sink->writers > 0 || sink->flushing ||
	       (sink->flushes > 0 && !sink->stopping && !sink->failure.code);
}

static void await_idle(struct disk_sink *sink, struct error *ret_failure)
{
	WITH_LOCK(&sink->lock);

	sink->sealing = true;
	while (is_busy(sink))
		pthread_cond_wait(&sink->changed, &sink->lock);
	*ret_failure = sink->failure;
}

/* They are somebody's disks from here on, also after a loss of power. */
static int remove_marks(const struct disk_sink *sink, struct error *e)
{
	for (size_t i = 0; i < sink->count; i++) {
		const struct sink_disk *d = &sink->disk[i];

		if (fremovexattr(d->fd, mark_name) == 0) {
			if (fsync(d->fd) < 0)
				return error_sys(e, "sync %s", d->path);
		} else if (errno != ENODATA && errno != EOPNOTSUPP) {
			return error_sys(e, "unmark %s", d->path);
		}
	}
	return 0;
}

int sink_seal(struct disk_sink *sink, struct error *e)
{
	struct error failure;

	await_idle(sink, &failure);
	if (!failure.code && sync_all(sink, &failure) == 0)
		(void)remove_marks(sink, &failure);

	WITH_LOCK(&sink->lock);

	sink->failure = failure;
	if (failure.code) {
		*e = failure;
		return error_code(e);
	}
	for (size_t i = 0; i < sink->count; i++)
		close(take_fd(&sink->disk[i].fd));
	sink->sealed = true;
	return 0;
}

bool sink_is_sealed(struct disk_sink *sink)
{
	WITH_LOCK(&sink->lock);

	return sink->sealed;
}

void sink_stats(struct disk_sink *sink, struct sink_stats *ret)
{
	WITH_LOCK(&sink->lock);

	*ret = sink->stats;
}

void sink_stop(struct disk_sink *sink)
{
	if (!sink)
		return;
	session_set_block_sink(sink->session, NULL);
	{
		WITH_LOCK(&sink->lock);

		sink->stopping = true;
		pthread_cond_broadcast(&sink->changed);
		while (sink->writers > 0)
			pthread_cond_wait(&sink->changed, &sink->lock);
	}
	if (sink->runs)
		pthread_join(sink->flusher, NULL);
	sink->runs = false;
}

void sink_free(struct disk_sink *sink, bool keep)
{
	if (!sink)
		return;
	for (size_t i = 0; sink->disk && i < sink->count; i++) {
		if (sink->disk[i].fd >= 0)
			close(sink->disk[i].fd);
		if (!keep)
			remove_file(&sink->disk[i]);
		free(sink->disk[i].path);
	}
	free(sink->disk);
	free(sink->flush);
	pthread_cond_destroy(&sink->changed);
	pthread_mutex_destroy(&sink->lock);
	free(sink);
}
