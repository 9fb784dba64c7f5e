/* SPDX-License-Identifier: MIT */
#include "wire/message.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

static const char *const types[MESSAGE_TYPES] = {
	[MESSAGE_MOVE] = "move",       [MESSAGE_PREPARED] = "prepared",
	[MESSAGE_LOADED] = "loaded",   [MESSAGE_COMMIT] = "commit",
	[MESSAGE_RUNNING] = "running", [MESSAGE_REGISTERED] = "registered",
	[MESSAGE_DONE] = "done",       [MESSAGE_FAILED] = "failed",
	[MESSAGE_COMPARE] = "compare", [MESSAGE_FINDINGS] = "findings",
	[MESSAGE_RELAY] = "relay",     [MESSAGE_READY] = "ready",
	[MESSAGE_BLOCKS] = "blocks",   [MESSAGE_CARRIES] = "carries",
	[MESSAGE_CARRIED] = "carried", [MESSAGE_PLAN] = "plan",
	[MESSAGE_RESOLVE] = "resolve", [MESSAGE_RESOLVED] = "resolved",
	[MESSAGE_ASK] = "ask",         [MESSAGE_ANSWER] = "answer",
	[MESSAGE_HOLDS] = "holds",     [MESSAGE_HOLDER] = "holder",
	[MESSAGE_FULL] = "full",       [MESSAGE_OFFER] = "offer",
	[MESSAGE_TAKEN] = "taken",     [MESSAGE_MEMBERS] = "members",
	[MESSAGE_RENEW] = "renew",     [MESSAGE_RENEWED] = "renewed",
	[MESSAGE_DISKS] = "disks",     [MESSAGE_TAKES] = "takes",
	[MESSAGE_SEAL] = "seal",       [MESSAGE_SEALED] = "sealed",
	[MESSAGE_FACTS] = "facts",     [MESSAGE_HOST] = "host",
	[MESSAGE_RETURN] = "return",   [MESSAGE_RETURNS] = "returns",
	[MESSAGE_BUSY] = "busy",       [MESSAGE_COPY] = "copy",
	[MESSAGE_POOL] = "pool",       [MESSAGE_FOLDER] = "folder",
};

static const char *const decisions[DECISIONS] = {
	[DECISION_COMMIT] = "commit",
	[DECISION_ABORT] = "abort",
	[DECISION_UNDECIDED] = "undecided",
	[DECISION_UNKNOWN] = "unknown",
};

static const char *const states[STATES] = {
	[STATE_RUNNING] = "running", [STATE_WAITING] = "waiting",
	[STATE_DROPPED] = "dropped", [STATE_LOST] = "lost",
	[STATE_GONE] = "gone",
};

static const char *const holders[HOLDERS] = {
	[HOLDER_RUNS] = "runs",
	[HOLDER_ELSEWHERE] = "elsewhere",
	[HOLDER_NONE] = "none",
};

static const char *const returns[RETURNS_STATES] = {
	[RETURNS_MOVES] = "moves",
	[RETURNS_FAILED] = "failed",
	[RETURNS_ELSEWHERE] = "elsewhere",
	[RETURNS_UNKNOWN] = "unknown",
};

#define OF(member) SHAPE_AT(struct message, member)
#define OF_COUNT(member) SHAPE_COUNT(struct message, member)

/* What all of them begin with. */
#define HEAD \
	{ "type",   SHAPE_NAME,     SHAPE_NEEDED, \
	  OF(type), .names = types, .most = MESSAGE_TYPES }, \
	{ \
		"can", SHAPE_WORDS, SHAPE_OMIT, OF(can), .most = 256 \
	}

static const struct shape_field block_fields[] = {
	{ "name", SHAPE_TEXT, SHAPE_NEEDED,
	  SHAPE_AT(struct message_block, name) },
	{ "len", SHAPE_NUMBER, SHAPE_NEEDED,
	  SHAPE_AT(struct message_block, len_bytes), .least = 1,
	  .most = 1ULL << 60 },
	{ "page_size", SHAPE_NUMBER, 0,
	  SHAPE_AT(struct message_block, page_size_bytes) },
	{ "proof", SHAPE_BOOL, SHAPE_OMIT,
	  SHAPE_AT(struct message_block, proof) },
};
const struct shape message_block_shape =
	SHAPE(struct message_block, block_fields);

#define DISK(member) SHAPE_AT(struct message_disk, member)

static const struct shape_field disk_fields[] = {
	{ "path", SHAPE_STRING, SHAPE_NEEDED, DISK(path), .most = 4096 },
	{ "format", SHAPE_TEXT, SHAPE_NEEDED, DISK(format) },
	{ "size", SHAPE_NUMBER, SHAPE_NEEDED, DISK(size_bytes), .least = 1,
	  .most = 1ULL << 60 },
	{ "allocated", SHAPE_NUMBER, 0, DISK(allocated_bytes),
	  .most = 1ULL << 60 },
};
const struct shape message_disk_shape = SHAPE(struct message_disk, disk_fields);

static const struct shape_field head_fields[] = { HEAD };

static const struct shape_field disks_fields[] = {
	HEAD,
	{ "job", SHAPE_TEXT, SHAPE_NEEDED, OF(disks.job) },
	{ "machine", SHAPE_TEXT, SHAPE_NEEDED, OF(disks.machine) },
	{ "disks", SHAPE_LIST, SHAPE_NEEDED, OF(disks.at),
	  OF_COUNT(disks.count), .most = MESSAGE_DISKS_MAX,
	  .of = &message_disk_shape },
};

static const struct shape_field pool_fields[] = {
	HEAD,
	{ "name", SHAPE_TEXT, SHAPE_NEEDED, OF(pool) },
};

static const struct shape_field folder_fields[] = {
	HEAD,
	{ "path", SHAPE_STRING, SHAPE_NEEDED, OF(folder), .most = 4096 },
};

static const struct shape_field move_fields[] = {
	HEAD,
	{ "job", SHAPE_TEXT, SHAPE_NEEDED, OF(move.job) },
	{ "guest", SHAPE_TEXT, SHAPE_OMIT, OF(move.guest) },
	{ "machine", SHAPE_OBJECT, SHAPE_NEEDED, OF(move.machine),
	  .of = &machine_description_shape },
	{ "paused", SHAPE_BOOL, 0, OF(move.paused) },
	{ "switchover_ack", SHAPE_BOOL, 0, OF(move.switchover_ack) },
	{ "priority", SHAPE_NUMBER, SHAPE_OMIT, OF(move.priority),
	  .most = 100 },
};

static const struct shape_field prepared_fields[] = {
	HEAD,
	{ "blocks", SHAPE_LIST, 0, OF(prepared.blocks.at),
	  OF_COUNT(prepared.blocks.count), .most = MESSAGE_BLOCKS_MAX,
	  .of = &message_block_shape },
	{ "left_out", SHAPE_WORDS, SHAPE_OMIT, OF(prepared.blocks.left_out),
	  .most = MESSAGE_BLOCKS_MAX },
	{ "switchover_ack", SHAPE_BOOL, 0, OF(prepared.switchover_ack) },
	{ "copy", SHAPE_BOOL, SHAPE_OMIT, OF(prepared.copy) },
};

static const struct shape_field copy_fields[] = {
	HEAD,
	{ "block", SHAPE_NUMBER, 0, OF(copy.block),
	  .most = MESSAGE_BLOCKS_MAX },
	{ "first", SHAPE_NUMBER, 0, OF(copy.first), .most = 1ULL << 48 },
	{ "seed", SHAPE_TEXT, SHAPE_OMIT, OF(copy.seed) },
	{ "sums", SHAPE_STRING, SHAPE_OMIT, OF(copy.sums),
	  .most = 16ULL * MESSAGE_SUMS_MAX },
	{ "last", SHAPE_BOOL, SHAPE_OMIT, OF(copy.last) },
};

static const struct shape_field failed_fields[] = {
	HEAD,
	{ "error", SHAPE_TEXT, 0, OF(failed.error) },
	{ "kind", SHAPE_TEXT, SHAPE_OMIT, OF(failed.kind) },
};

static const struct shape_field compare_fields[] = {
	HEAD,
	{ "machine", SHAPE_OBJECT, SHAPE_NEEDED, OF(compare),
	  .of = &machine_description_shape },
};

static const struct shape_field findings_fields[] = {
	HEAD,
	{ "findings", SHAPE_LIST, SHAPE_NEEDED, OF(findings.at),
	  OF_COUNT(findings.count), .most = 8192, .of = &finding_shape },
};

static const struct shape_field relay_fields[] = {
	HEAD,
	{ "name", SHAPE_TEXT, SHAPE_NEEDED, OF(relay) },
};

static const struct shape_field blocks_fields[] = {
	HEAD,
	{ "blocks", SHAPE_LIST, 0, OF(blocks.at), OF_COUNT(blocks.count),
	  .most = MESSAGE_BLOCKS_MAX, .of = &message_block_shape },
	{ "left_out", SHAPE_WORDS, SHAPE_OMIT, OF(blocks.left_out),
	  .most = MESSAGE_BLOCKS_MAX },
};

static const struct shape_field carries_fields[] = {
	HEAD,
	{ "name", SHAPE_TEXT, SHAPE_NEEDED, OF(carries) },
};

static const struct shape_field carried_fields[] = {
	HEAD,
	{ "carries", SHAPE_BOOL, SHAPE_NEEDED, OF(carried) },
};

static const struct shape_field resolve_fields[] = {
	HEAD,
	{ "job", SHAPE_TEXT, SHAPE_NEEDED, OF(resolve.job) },
	{ "decision", SHAPE_NAME, SHAPE_NEEDED, OF(resolve.decision),
	  .names = decisions, .most = DECISION_COMMIT + 1 },
};

static const struct shape_field resolved_fields[] = {
	HEAD,
	{ "state", SHAPE_NAME, SHAPE_NEEDED, OF(resolved), .names = states,
	  .most = STATES },
};

static const struct shape_field ask_fields[] = {
	HEAD,
	{ "job", SHAPE_TEXT, SHAPE_NEEDED, OF(ask.job) },
	{ "machine", SHAPE_TEXT, 0, OF(ask.machine) },
	{ "guest", SHAPE_TEXT, 0, OF(ask.guest) },
};

static const struct shape_field answer_fields[] = {
	HEAD,
	{ "decision", SHAPE_NAME, SHAPE_NEEDED, OF(answer), .names = decisions,
	  .most = DECISIONS },
};

static const struct shape_field holds_fields[] = {
	HEAD,
	{ "uuid", SHAPE_TEXT, SHAPE_NEEDED, OF(holds.uuid) },
	{ "machine", SHAPE_TEXT, 0, OF(holds.machine) },
};

static const struct shape_field holder_fields[] = {
	HEAD,
	{ "state", SHAPE_NAME, SHAPE_NEEDED, OF(holder.state), .names = holders,
	  .most = HOLDERS },
	{ "host", SHAPE_TEXT, SHAPE_OMIT, OF(holder.host) },
};

static const struct shape_field taken_fields[] = {
	HEAD,
	{ "takes", SHAPE_BOOL, SHAPE_NEEDED, OF(taken.takes) },
	{ "more", SHAPE_BOOL, 0, OF(taken.more) },
};

static const struct shape_field members_fields[] = {
	HEAD,
	{ "list", SHAPE_STRING, SHAPE_OMIT, OF(members.list), .most = 98304 },
	{ "signature", SHAPE_STRING, SHAPE_OMIT, OF(members.signature),
	  .most = 1024 },
	{ "addresses", SHAPE_WORDS, SHAPE_OMIT, OF(members.addresses),
	  .most = 16 },
	{ "port", SHAPE_NUMBER, 0, OF(members.port), .most = UINT16_MAX },
};

static const struct shape_field renew_fields[] = {
	HEAD,
	{ "request", SHAPE_STRING, SHAPE_NEEDED, OF(renew), .most = 8192 },
};

static const struct shape_field renewed_fields[] = {
	HEAD,
	{ "certificate", SHAPE_STRING, SHAPE_NEEDED, OF(renewed),
	  .most = 8192 },
};

static const struct shape_field host_fields[] = {
	HEAD,
	{ "facts", SHAPE_OBJECT, SHAPE_NEEDED, OF(host),
	  .of = &host_facts_shape },
};

static const struct shape_field return_fields[] = {
	HEAD,
	{ "uuid", SHAPE_TEXT, SHAPE_NEEDED, OF(back.uuid) },
	{ "machine", SHAPE_TEXT, 0, OF(back.machine) },
	{ "job", SHAPE_TEXT, SHAPE_OMIT, OF(back.job) },
};

static const struct shape_field returns_fields[] = {
	HEAD,
	{ "state", SHAPE_NAME, SHAPE_NEEDED, OF(returns.state),
	  .names = returns, .most = RETURNS_STATES },
	{ "job", SHAPE_TEXT, SHAPE_OMIT, OF(returns.job) },
	{ "host", SHAPE_TEXT, SHAPE_OMIT, OF(returns.host) },
	{ "error", SHAPE_TEXT, SHAPE_OMIT, OF(returns.error) },
};

static const struct shape_field busy_fields[] = {
	HEAD,
	{ "address", SHAPE_TEXT, SHAPE_NEEDED, OF(busy.address) },
	{ "others", SHAPE_NUMBER, SHAPE_NEEDED, OF(busy.others) },
	{ "yield", SHAPE_BOOL, 0, OF(busy.yield) },
	{ "limit", SHAPE_NUMBER, 0, OF(busy.limit) },
	{ "limit_percent", SHAPE_NUMBER, 0, OF(busy.limit_percent),
	  .most = 100 },
	{ "guarantee", SHAPE_NUMBER, 0, OF(busy.guarantee) },
	{ "guarantee_percent", SHAPE_NUMBER, 0, OF(busy.guarantee_percent),
	  .most = 100 },
};

/* What comes within a session, and what opens one. */
#define ANSWER(fields) \
	{ \
		.shape = SHAPE(struct message, fields) \
	}
#define REQUEST(fields, needs) \
	{ \
		.shape = SHAPE(struct message, fields), .right = (needs) \
	}

static const struct {
	struct shape shape;
	enum message_right right;
} kinds[MESSAGE_TYPES] = {
	[MESSAGE_UNKNOWN] = ANSWER(head_fields),
	[MESSAGE_MOVE] = REQUEST(move_fields, RIGHT_MOVE_IN),
	[MESSAGE_PREPARED] = ANSWER(prepared_fields),
	[MESSAGE_LOADED] = ANSWER(head_fields),
	[MESSAGE_COMMIT] = ANSWER(head_fields),
	[MESSAGE_RUNNING] = ANSWER(head_fields),
	[MESSAGE_REGISTERED] = ANSWER(head_fields),
	[MESSAGE_DONE] = ANSWER(head_fields),
	[MESSAGE_FAILED] = ANSWER(failed_fields),
	[MESSAGE_COMPARE] = REQUEST(compare_fields, RIGHT_COMPARE),
	[MESSAGE_FINDINGS] = ANSWER(findings_fields),
	[MESSAGE_RELAY] = REQUEST(relay_fields, RIGHT_RELAY),
	[MESSAGE_READY] = ANSWER(blocks_fields),
	[MESSAGE_BLOCKS] = ANSWER(blocks_fields),
	[MESSAGE_CARRIES] = REQUEST(carries_fields, RIGHT_RELAY),
	[MESSAGE_CARRIED] = ANSWER(carried_fields),
	[MESSAGE_PLAN] = REQUEST(head_fields, RIGHT_PLAN),
	[MESSAGE_RESOLVE] = REQUEST(resolve_fields, RIGHT_OF_DOUBT),
	[MESSAGE_RESOLVED] = ANSWER(resolved_fields),
	[MESSAGE_ASK] = REQUEST(ask_fields, RIGHT_OF_DOUBT),
	[MESSAGE_ANSWER] = ANSWER(answer_fields),
	[MESSAGE_HOLDS] = REQUEST(holds_fields, RIGHT_STATE),
	[MESSAGE_HOLDER] = ANSWER(holder_fields),
	[MESSAGE_FULL] = ANSWER(head_fields),
	[MESSAGE_OFFER] = REQUEST(head_fields, RIGHT_OF_PEERS),
	[MESSAGE_TAKEN] = ANSWER(taken_fields),
	[MESSAGE_MEMBERS] = REQUEST(members_fields, RIGHT_OF_MEMBERS),
	[MESSAGE_RENEW] = REQUEST(renew_fields, RIGHT_OF_MEMBERS),
	[MESSAGE_RENEWED] = ANSWER(renewed_fields),
	[MESSAGE_DISKS] = REQUEST(disks_fields, RIGHT_MOVE_IN),
	[MESSAGE_TAKES] = ANSWER(head_fields),
	[MESSAGE_SEAL] = ANSWER(head_fields),
	[MESSAGE_SEALED] = ANSWER(head_fields),
	[MESSAGE_FACTS] = REQUEST(head_fields, RIGHT_PLAN),
	[MESSAGE_HOST] = ANSWER(host_fields),
	[MESSAGE_RETURN] = REQUEST(return_fields, RIGHT_RETURN),
	[MESSAGE_RETURNS] = ANSWER(returns_fields),
	[MESSAGE_BUSY] = ANSWER(busy_fields),
	[MESSAGE_COPY] = ANSWER(copy_fields),
	[MESSAGE_POOL] = REQUEST(pool_fields, RIGHT_MOVE_IN),
	[MESSAGE_FOLDER] = ANSWER(folder_fields),
};

static const char *const rights[RIGHTS] = {
	[RIGHT_MOVE_IN] = "move-in", [RIGHT_RETURN] = "return",
	[RIGHT_COMPARE] = "compare", [RIGHT_PLAN] = "plan",
	[RIGHT_STATE] = "state",     [RIGHT_RELAY] = "relay",
	[RIGHT_DRAIN] = "drain",     [RIGHT_LIBVIRT] = "libvirt",
};

const char *message_name(enum message_type t)
{
	return types[t] ? types[t] : "unknown";
}

enum message_right message_right(enum message_type t)
{
	return kinds[t].right;
}

const char *message_right_name(enum message_right r)
{
	return rights[r];
}

const struct shape *message_shape(enum message_type t)
{
	return &kinds[t].shape;
}

char *message_text(const struct message *m)
{
	return shape_text(&kinds[m->type].shape, m);
}

/* What has to be known before the rest can be read. */
struct head {
	char name[64];
	struct words can;
};

static const struct shape_field first_fields[] = {
	{ "type", SHAPE_TEXT, 0, SHAPE_AT(struct head, name) },
	{ "can", SHAPE_WORDS, 0, SHAPE_AT(struct head, can), .most = 256 },
};
static const struct shape first_shape = SHAPE(struct head, first_fields);

static enum message_type find(const char *name)
{
	for (int i = 0; i < MESSAGE_TYPES; i++)
		if (types[i] && !strcmp(types[i], name))
			return (enum message_type)i;
	return MESSAGE_UNKNOWN;
}

int message_parse(struct message *ret, const void *text, size_t len,
		  struct error *e)
{
	struct head head = { 0 };

	*ret = (struct message){ 0 };
	if (shape_parse(&first_shape, &head, text, len, SHAPE_MESSAGE, e) < 0)
		return error_code(e);
	ret->type = find(head.name);
	ret->can = head.can;
	memcpy(ret->name, head.name, sizeof(ret->name));
	if (ret->type == MESSAGE_UNKNOWN)
		return 0;
	if (shape_parse(&kinds[ret->type].shape, ret, text, len, SHAPE_MESSAGE,
			e) < 0)
		return error_in(e, "message '%s'", head.name);
	return 0;
}

void message_done(struct message *m)
{
	shape_done(&kinds[m->type].shape, m);
	*m = (struct message){ 0 };
}
