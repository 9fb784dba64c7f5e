// SPDX-License-Identifier: MIT
// Moves that run, those that wait, and those that have ended.
import {askJson} from "./ask.js";
import {$, each, el, facts, say, table} from "./show.js";
import {bits, bytes, clock, duration, ending, moment, rate, text, timeLeft} from "./words.js";

const MORE = 25;

const title = (j) => (j.role === "destination" ? `${j.machine} ← ${j.peer}` : `${j.machine} → ${j.peer}`);
const isQueued = (j) => j.state === "running" && j.stage === "waiting";
const isOver = (j) => j.state !== "running" && j.state !== "in-doubt";

const pathColumns = [
	{title: "Card", text: (p) => text(p.from_nic ?? p.from)},
	{title: "There", text: (p) => text(p.to_nic ?? p.to)},
	{title: "State", text: (p) => p.state},
	{title: "Connections", text: (p) => `${p.connections} of ${p.connections_asked}`, number: true},
	{title: "Sent", text: (p) => bytes(p.bytes), number: true},
	{title: "Rate", text: (p) => bits(p.rate), number: true},
	{title: "Why", text: (p) => [p.reason, p.why].filter((w) => w).join("; ") || "–"},
];

const pathKey = (p) => [p.from_nic, p.from, p.to_nic, p.to].join(" ");

function progressOf(j) {
	const p = j.progress;
	const pairs = [
		["Phase", j.stage],
		["Copied", `${bytes(p.bytes_sent)} sent, round ${p.round}`],
		["Left", bytes(p.remaining)],
		["Rate", bits(p.rate)],
		["Dirty rate", rate(p.dirty_rate)],
		["Time left", timeLeft(p)],
		["Expected downtime", `${duration(p.downtime_estimate_ms)}, limit ${duration(p.downtime_limit_ms)}`],
		["How it ends", ending(p.ends)],
		["Connections", p.outage ? "none: every path is lost, the guest goes on here" : String(p.channels)],
	];
	if (p.throttle)
		pairs.push(["Guest slowed down by", `${p.throttle} %`]);
	if (p.press?.after)
		pairs.push(["Compression", `${(p.press.before / p.press.after).toFixed(2)} : 1 of ${bytes(p.press.before)}`]);
	return pairs;
}

function make(j) {
	const id = `move-${j.id}`;
	return el("article", {"aria-labelledby": id, class: "move"},
		el("h3", {id}), el("p", {class: "doing"}),
		el("progress", {max: 100, value: 0, "aria-labelledby": id}),
		el("p", {class: "advice"}), el("dl"), el("div", {class: "paths"}));
}

function doing(j) {
	if (j.state === "in-doubt")
		return `In doubt: this host cannot know whether ${j.peer} runs it. It ends by itself when the hosts ` +
			`reach each other; drover job resolve ${j.id} is the last word.`;
	if (j.progress.outage)
		return "No path is left. It goes on where it was when one is back.";
	return j.role === "destination" ? `Comes here: ${j.stage}` : `${j.progress.percent} %, ${j.stage}`;
}

function update(node, j, paths) {
	say(node.querySelector("h3"), `${title(j)} (${j.kind} ${j.id})`);
	say(node.querySelector(".doing"), doing(j));
	say(node.querySelector(".advice"), [j.error, j.advice].filter((w) => w).join("; "));
	node.classList.toggle("doubt", j.state === "in-doubt");
	node.classList.toggle("outage", j.progress.outage);
	const bar = node.querySelector("progress");
	bar.value = j.progress.percent ?? 0;
	bar.setAttribute("aria-valuetext", `${j.progress.percent} %, ${j.stage}`);
	facts(node.querySelector("dl"), progressOf(j));
	table(node.querySelector(".paths"), `Paths of ${j.machine}`, pathColumns, paths ?? [], pathKey);
}

export class Moves {
	constructor(tell, mark) {
		this.tell = tell;
		this.mark = mark;
		this.before = new Map(); // id: the job as it was seen last
		this.paths = new Map();  // id: its paths
		this.jobs = [];
		this.ended = [];
		this.shown = MORE;
		$("more").addEventListener("click", () => {
			this.shown += MORE;
			this.drawEnded();
		});
	}

	running() {
		return this.jobs.filter((j) => !isOver(j) && !isQueued(j));
	}

	take(jobs, time) {
		this.jobs = jobs;
		const first = this.before.size === 0;
		for (const j of jobs) {
			const was = this.before.get(j.id);
			this.before.set(j.id, j);
			if (!first || was)
				this.changed(j, was, time);
		}
		this.draw();
	}

	changed(j, was, time) {
		if (!was && !isOver(j))
			this.tell(`${title(j)} was started`);
		if (j.stage === "switchover" && was?.stage !== "switchover" && !isOver(j))
			this.mark(time, `${j.machine} switches over`, "switchover");
		if (j.progress?.outage && !was?.progress?.outage)
			this.mark(time, `${j.machine}: no path`, "lost");
		if (was && !isOver(was) && isOver(j)) {
			const stood = j.report?.downtime_ms;
			this.mark(j.ended ?? time, `${j.machine} ${j.state}` +
				(stood ? `, ${duration(stood)}` : ""), j.state === "done" ? "switchover" : "lost");
			this.tell(`${title(j)}: ${j.state}${j.error ? `: ${j.error}` : ""}`);
		}
		if (j.state === "in-doubt" && was?.state !== "in-doubt")
			this.tell(`${title(j)} is in doubt`);
	}

	async look() {
		const ids = this.running().map((j) => j.id);
		for (const id of ids.slice(0, 8)) {
			const {paths} = await askJson(`/v1/debug/${id}`);
			this.paths.set(id, paths ?? []);
		}
		for (const id of this.paths.keys())
			if (!ids.includes(id))
				this.paths.delete(id);
	}

	draw() {
		const running = this.running();
		$("no-moves").hidden = running.length > 0;
		each($("running"), running, (j) => j.id, make, (node, j) => update(node, j, this.paths.get(j.id)));
		const queued = this.jobs.filter(isQueued).sort((a, b) => (a.queue?.place ?? 0) - (b.queue?.place ?? 0));
		$("no-queue").hidden = queued.length > 0;
		table($("waiting"), "Moves that wait", [
			{title: "Machine", text: title},
			{title: "Place", text: (j) => (j.queue ? `${j.queue.place} of ${j.queue.of}` : "–"), number: true},
			{title: "Priority", text: (j) => text(j.priority), number: true},
			{title: "Why it waits", text: (j) => text(j.queue?.why)},
			{title: "Expected start", text: (j) => clock(j.queue?.expected_start)},
		], queued, (j) => j.id);
	}

	takeEnded(list) {
		this.ended = list.slice().reverse();
		this.drawEnded();
	}

	drawEnded() {
		$("no-history").hidden = this.ended.length > 0;
		$("more").hidden = this.ended.length <= this.shown;
		table($("ended"), "What has ended", [
			{title: "Machine", text: title},
			{title: "Ended", text: (j) => moment(j.ended)},
			{title: "Took", text: (j) => duration((j.ended - j.started) * 1000), number: true},
			{title: "Result", text: (j) => j.state},
			{title: "Why", text: (j) => text(j.error)},
			{title: "Report", node: (j) => this.button(j)},
		], this.ended.slice(0, this.shown), (j) => `${j.id} ${j.role}`);
	}

	button(j) {
		const node = el("button", {type: "button"}, `Report ${j.id}`);
		node.addEventListener("click", async () => {
			try {
				report($("report"), await askJson(`/v1/finished/${j.id}`));
			} catch (e) {
				$("report").replaceChildren(el("p", {}, e.message));
			}
			$("report").focus();
		});
		return node;
	}
}

function report(parent, j) {
	const r = j.report;
	const list = el("dl");
	const parts = [el("h3", {}, `${title(j)}: ${j.state}`), list];
	const pairs = [["Started", moment(j.started)], ["Ended", moment(j.ended)]];
	if (j.error)
		pairs.push(["Why", j.error]);
	if (j.advice)
		pairs.push(["What to do", j.advice]);
	if (r) {
		pairs.push(["Took", duration(r.total_ms)], ["Guest stood still for", duration(r.downtime_ms)],
			["Mode", r.mode_asked === r.mode_got ? text(r.mode_got) : `${r.mode_got}, asked for ${r.mode_asked}`],
			["Rounds", text(r.rounds)], ["Rate", bits(r.rate)], ["Over the wire", bytes(r.bytes?.wire)],
			["Sent again", bytes(r.bytes?.resent)], ["Compression", r.press?.ratio ? `${r.press.ratio} : 1, ${r.press.codec}` : "none"]);
		const paths = el("div");
		table(paths, "Its paths", pathColumns, r.paths ?? [], pathKey);
		parts.push(paths);
		if (r.reasons?.length)
			parts.push(el("ul", {}, ...r.reasons.map((w) => el("li", {}, w))));
	}
	facts(list, pairs);
	parent.replaceChildren(...parts);
}
