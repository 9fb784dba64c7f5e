/* SPDX-License-Identifier: MIT */

/*
 * Over which networks sessions travel: what a request asks for, at which of
 * our addresses peers may come in, and the plan for a peer.
 *
 * A plan is a session that carries nothing: only by connecting over each pair
 * of cards can it be told which of them work.  The peer keeps it open until
 * we, who asked, end it.
 *
 * Any thread may call; no lock is held.
 */
#pragma once

struct channel;
struct error;
struct host;
struct move_paths;
struct move_peer;
struct networks;
struct message;
struct paths_report;
struct paths_request;
struct session;
struct settings;
struct terms;

/* What a request asks for, else what the settings say. */
int paths_asked(struct move_paths *ret, const struct settings *s,
		const struct paths_request *of, struct error *e);
/* May a session come in over this connection, at our address?  -EACCES with
 * the reason. */
int paths_admit(const struct host *h, const struct networks *networks,
		const struct channel *c, struct error *e);
/* Over which paths a move to @peer would travel, for some seconds;
 * shape_done() gives it back.  @rdma: why pages would not go by it, as in
 * struct plan_view; NULL: nobody asks. */
int paths_plan(const struct terms *t, const struct move_peer *peer,
	       const struct move_paths *paths, struct paths_report *ret,
	       char *rdma, struct error *e);
/* Answers a peer's "plan" request; takes @s over. */
void paths_serve_plan(struct host *h, struct session *s,
		      const struct message *request);
