/* SPDX-License-Identifier: MIT */

/*
 * A job: one move, relay or update, as one host sees it.  Its own thread drives
 * it; others look at it (move/job_view.h) and may ask it to end.
 *
 * Reference counted: the registry holds one reference, the thread another.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "move/decide.h"
#include "move/report.h"
#include "move/role.h"

enum job_state {
	JOB_RUNNING,
	JOB_IN_DOUBT, /* the other side may or may not have it: see advice */
	JOB_DONE,
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_STATES,
};

/* Who shall run the guest, from this host's point of view. */
enum job_verdict { JOB_UNDECIDED, JOB_RUN_HERE, JOB_GIVE_UP };

enum job_kind { JOB_MOVE, JOB_RELAY, JOB_UPDATE, JOB_KINDS };

enum {
	JOB_ID_SIZE = 17,
	JOB_NAME_SIZE = 64,
	JOB_ERROR_SIZE = 300,
	JOB_ADVICE_SIZE = 400,
};

extern const char *const job_kind_names[JOB_KINDS];   /* "move" */
extern const char *const job_state_names[JOB_STATES]; /* "in-doubt" */

/* What the user allows a move, and may change while it goes on. */
struct job_terms {
	unsigned converge;   /* of enum converge_step */
	uint64_t limit_us;   /* of downtime */
	uint64_t timeout_us; /* from the begin of pre-copy; 0: none */
	unsigned weight;     /* against the host's other moves */
	uint64_t rate;       /* bytes a second at most; 0: any */
};

/* How it stands beside the host's other moves. */
struct job_share {
	unsigned weight;  /* 0: nobody has said */
	uint64_t rate;    /* bytes a second at most; 0: any */
	uint64_t near_us; /* since when its switchover is near; 0: it is not */
};

/* Where one stands that waits for its turn: host/queue.h. */
struct job_queue {
	unsigned place, of; /* 1: the next */
	char why[80];
	uint64_t expected_us; /* to start, since 1970; 0: not known */
};

struct job {
	/* It is in another stage or state, or an outage begins or ends: called
	 * without its lock, by its own thread; set before that starts.  May be
	 * NULL. */
	void (*changed)(void *context, struct job *j);
	void *changed_context;
	/* set when made */
	char id[JOB_ID_SIZE];
	enum job_kind kind;
	enum role role;
	char machine[JOB_NAME_SIZE], peer[JOB_NAME_SIZE];
	char after[JOB_ID_SIZE]; /* the move that it is again; or empty */
	/* Readable once somebody asked for something; for its own thread, up
	 * to job_finish(), which closes it under the lock. */
	int wake_fd;

	atomic_uint refs;
	atomic_bool cancel_asked;
	atomic_int verdict; /* enum job_verdict, of the operator */
	/* Destination: the source has said "commit" in another session. */
	atomic_bool told_commit;
	atomic_int fills; /* process whose memory the move fills; 0: none yet */

	pthread_mutex_t lock;     /* guards what follows */
	pthread_cond_t ended;     /* also: the operator's word was refused */
	enum decide_state course; /* of a move: where it stands */
	unsigned refusals, refusals_seen; /* of the operator's word */
	char refusal[120];
	enum job_state state;
	int priority; /* of a move; -1: it has none */
	struct job_queue queue;
	uint64_t started_us; /* clock_wall_us(); while it waits, since when */
	const char *stage;
	struct job_terms terms;
	uint64_t near_us; /* its switchover is, since; 0: it is not */
	uint64_t ended_us;
	bool waits; /* for its turn: it runs, and does nothing yet */
	bool open_terms, new_terms; /* may be changed; have been */
	bool has_report;
	char again[JOB_ID_SIZE]; /* the job that this move is now; or empty */
	char error[JOB_ERROR_SIZE], advice[JOB_ADVICE_SIZE];
	enum error_kind failure; /* of what failed */
	struct job_progress progress;
	struct job_flow counted; /* by the sampler: host/sampler.h */
	struct job_report report;
	struct session *session; /* while it can be looked into */
	struct job *next;        /* the registry's */
};

struct job_subject {
	const char *id; /* NULL makes a new one */
	enum job_kind kind;
	enum role role;
	const char *machine, *peer;
};

/* One reference for the caller. */
int job_new(struct job **ret, const struct job_subject *of, struct error *e);
struct job *job_hold(struct job *j);
void job_drop(struct job *j);

/* One line in the log. */
void job_log_begin(const struct job *j);
/* It waits for its turn from now on; where it stands; it has its turn. */
void job_set_waiting(struct job *j);
void job_set_queue(struct job *j, const struct job_queue *at);
void job_set_started(struct job *j);
bool job_waits(struct job *j);
void job_set_priority(struct job *j, unsigned priority);
/* A restart has undone it, and the move is queued again as that job. */
void job_set_again(struct job *j, const char *id);
void job_again(struct job *j, char ret[static JOB_ID_SIZE]); /* or empty */
void job_set_stage(struct job *j, const char *stage);
void job_set_progress(struct job *j, const struct job_progress *p);
/* Takes @report over. */
void job_set_report(struct job *j, const struct job_report *report);
/* The advice is made from @fmt. */
void job_set_doubt(struct job *j, const char *error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What the user should know or do while it runs; empty: nothing. */
void job_set_advice(struct job *j, const char *advice);
/* Its thread says what they are, hears that they have been changed, and that
 * they may not be any more. */
void job_open_terms(struct job *j, const struct job_terms *terms);
bool job_new_terms(struct job *j, struct job_terms *ret);
void job_close_terms(struct job *j);
/* Somebody else does; false: they may not be changed, or are not @was any more.
 */
bool job_terms(struct job *j, struct job_terms *ret);
bool job_change_terms(struct job *j, const struct job_terms *was,
		      const struct job_terms *terms);
/* Whoever shares the cards out hears that its switchover is near, or not. */
void job_set_near(struct job *j, bool near);
/* Calls @look with its session, under the job's lock; nothing happens where it
 * has none. */
void job_look(struct job *j,
	      void (*look)(void *context, struct session *s,
			   const struct job_share *share),
	      void *context);
/* The last word; @error may be NULL. */
void job_finish(struct job *j, enum job_state state, const char *error,
		const char *advice);
/* The last word of one that failed. */
void job_fail(struct job *j, const struct error *e);

void job_request_cancel(struct job *j);
void job_request_verdict(struct job *j, enum job_verdict verdict);
/* The operator's word is not for this doubt any more: the other side was
 * heard. */
void job_refuse_verdict(struct job *j, const char *why);
/* Takes the operator's word: it is looked into once. */
enum job_verdict job_take_verdict(struct job *j);
/* Waits until the word that was given has an effect; false when it has none by
 * @deadline_us.  @ret_refusal: why it is not obeyed, else empty. */
bool job_wait_verdict(struct job *j, uint64_t deadline_us, char *ret_refusal,
		      size_t cap);
void job_tell_commit(struct job *j);

/* The next row of the table for a move, whose state it takes on; NULL where
 * @event means nothing. */
const struct decide_row *job_decide(struct job *j, enum decide_event event,
				    unsigned facts);
/* What the other side hears when it asks. */
enum decide_action job_answer(struct job *j);
enum decide_state job_course(struct job *j);
/* A move begins, from @state. */
void job_begin(struct job *j, enum decide_state state);
/* Sleeps until somebody asks for something, or until @deadline_us. */
void job_sleep(struct job *j, uint64_t deadline_us);
/* -ECANCELED once somebody asked the job to end. */
int job_check_cancel(struct job *j, struct error *e);

enum job_state job_state(struct job *j);
/* Waits; false when it has not ended by @deadline_us. */
bool job_wait_ended(struct job *j, uint64_t deadline_us);
/* Others may look into it until that is taken back with NULL. */
void job_set_session(struct job *j, struct session *s);
