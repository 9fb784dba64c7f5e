// SPDX-License-Identifier: MIT
// The page: asks once a second, and says when what it shows is old.
import {Refusal, askJson, askText, enter} from "./ask.js";
import {Cards} from "./cards.js";
import {Moves} from "./moves.js";
import {Past} from "./past.js";
import {$, el, facts, say, table} from "./show.js";
import {bytes, clock, metrics, text} from "./words.js";

const EVERY_MS = 1000;
const OLD_MS = 4000;  // a sample is a second old at most, and a look takes another
const SLOW = 5;       // every fifth look asks for what changes rarely

const past = new Past();
const cards = new Cards(past);
const moves = new Moves(tell, (...mark) => past.mark(...mark));
let paused = false, asks = false, looks = 0, fresh = performance.now(), gap = true, failure = "";

function tell(words) {
	say($("news"), words);
}

function showHost(host) {
	say($("host"), host.name);
	document.title = `Drover: ${host.name}`;
	facts($("host-facts"), [
		["Name", host.name], ["Version", host.version], ["Processors", text(host.cpus)],
		["Memory", `${bytes(host.memory.available)} of ${bytes(host.memory.total)} left`],
		["Networks", host.networks.join(" | ") || "all"],
		["Listens on", `${host.listen.join(", ") || "all addresses"}, port ${host.port}`],
		["Power", host.power?.join("; ") || "nothing costs a move"],
	]);
	table($("peers"), "Peers", [
		{title: "Peer", text: (p) => p.name},
		{title: "Addresses", text: (p) => p.addresses.join(", ")},
		{title: "Port", text: (p) => String(p.port), number: true},
		{title: "Protected", text: (p) => (p.tls ? "TLS" : "plain text")},
	], host.peers, (p) => p.name);
}

function showMachines(list) {
	$("no-machines").hidden = list.length > 0;
	table($("machine-list"), "Machines of this host", [
		{title: "Machine", text: (m) => m.name},
		{title: "State", text: (m) => (m.lost ? `${m.state}: ${m.lost}` : m.state)},
		{title: "Memory", text: (m) => bytes(m.memory), number: true},
		{title: "Processors", text: (m) => text(m.vcpus), number: true},
		{title: "Job", text: (m) => text(m.job)},
	], list, (m) => m.name);
}

function showDrain(drain) {
	$("drain").hidden = drain.state === "none";
	say($("drain-state"), `${drain.state}, since ${clock(drain.since)}` +
		(drain.spare && !drain.spare.enough ? `; no room if ${drain.spare.host} fails: ${drain.spare.why}` : ""));
	table($("drain-machines"), "Machines of the drain", [
		{title: "Machine", text: (m) => m.name},
		{title: "What becomes of it", text: (m) => m.fate},
		{title: "To", text: (m) => text(m.to)},
		{title: "Failed tries", text: (m) => String(m.tries), number: true},
		{title: "Why", text: (m) => text(m.why)},
	], drain.machines, (m) => m.uuid);
}

async function showMatrix() {
	const side = (s) => (s ? `${s.relation}: ${s.why}` : "–");
	try {
		const list = await askJson("/v1/nic-matrix");
		table($("matrix-table"), "Which feature of a card needs, excludes or weakens which", [
			{title: "Feature", text: (m) => m.feature},
			{title: "And", text: (m) => m.other},
			{title: "On Windows", text: (m) => side(m.windows)},
			{title: "On Linux", text: (m) => side(m.linux)},
			{title: "Cards of this host", text: (m) => m.cards.map((c) => `${c.card}: ${c.holds}`).join(", ") || "–"},
		], list, (m) => `${m.feature} ${m.other}`);
	} catch (e) {
		$("matrix-table").replaceChildren(el("p", {}, e.message));
	}
}

async function rarely() {
	const [host, drain, ended] = await Promise.all(["/v1/host", "/v1/drain", "/v1/finished"].map(askJson));
	showHost(host);
	showDrain(drain);
	moves.takeEnded(ended);
	if (cards.range.word)
		await past.fillLong(cards.range);
}

async function look() {
	const [all, jobs, machines] = await Promise.all([askText("/metrics"), askJson("/v1/jobs"), askJson("/v1/machines")]);
	if (past.take(metrics(all)))
		fresh = performance.now();
	if (gap) {
		gap = false;
		await past.fill();
	}
	moves.take(jobs, past.time);
	await moves.look();
	moves.draw();
	showMachines(machines);
	if (looks++ % SLOW === 0)
		await rarely();
	cards.draw();
	failure = "";
}

function judge() {
	const old = performance.now() - fresh > OLD_MS;
	const since = past.time ? `since ${clock(past.time)}` : "since this page was opened";
	document.body.classList.toggle("old", old && !paused);
	if (paused)
		say($("state"), `Paused: this is of ${clock(past.time)}.`);
	else if (!old)
		say($("state"), past.time ? `As of ${clock(past.time)}` : "Nothing has been heard yet.");
	else
		say($("state"), `Old: nothing new ${since}.`);
	say($("alert"), old && !paused
		? `Nothing has been heard ${since}; what stands below is of then. ${failure}` : paused ? "" : failure);
	if (old)
		gap = true; // what was missed is asked for
}

function failed(e) {
	failure = e.message;
	if (!(e instanceof Refusal))
		console.error(e);
}

async function tick() {
	if (!asks && !paused && !document.hidden) {
		asks = true;
		try {
			await look();
		} catch (e) {
			failed(e);
		}
		asks = false;
	}
	judge();
}

$("pause").addEventListener("click", () => {
	paused = !paused;
	$("pause").setAttribute("aria-pressed", String(paused));
	judge();
});
document.addEventListener("visibilitychange", () => {
	fresh = performance.now();
	gap = true;
});
$("show-matrix").addEventListener("click", showMatrix);
cards.onRange = () => {
	looks = 0;
	cards.draw();
};
try {
	await enter();
} catch (e) {
	failed(e);
}
setInterval(tick, EVERY_MS);
tick();
export {past};
