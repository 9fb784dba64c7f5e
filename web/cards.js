// SPDX-License-Identifier: MIT
// The graphs: one of all cards on one axis, one of each card, with a table behind each.
import {Graph} from "./graph.js";
import {RANGES} from "./past.js";
import {$, each, el, say, table} from "./show.js";
import {bits, clock} from "./words.js";

const STYLES = 6;
const TABLE_ROWS = 12;

export class Cards {
	constructor(past) {
		this.past = past;
		this.range = RANGES[1];
		this.point = null; // a slot, or null for now
		this.graphs = new Map();
		this.onRange = () => {};
		for (const range of RANGES) {
			const input = el("input", {type: "radio", name: "range", value: range.name,
				checked: range === this.range});
			input.addEventListener("change", () => {
				this.range = range;
				this.look(null);
				this.onRange();
			});
			$("ranges").append(el("label", {}, input, ` ${range.name}`));
		}
		$("look").addEventListener("input", () => {
			const at = Number($("look").value);
			this.look(at >= Number($("look").max) ? null : at);
		});
	}

	look(point) {
		this.point = point;
		this.draw();
	}

	graph(name) {
		if (!this.graphs.has(name))
			this.graphs.set(name, new Graph((point) => this.look(point)));
		return this.graphs.get(name);
	}

	draw() {
		const cards = [...this.past.cards.values()].sort((a, b) => a.device.localeCompare(b.device))
			.map((card, i) => ({card, style: `c${i % STYLES}`, ...this.past.slots(card, this.range)}));
		if (cards.length === 0)
			return;
		const {times} = cards[0];
		const look = $("look");
		look.max = String(times.length - 1);
		if (this.point === null)
			look.value = look.max;
		const at = this.point ?? times.length - 1;
		look.setAttribute("aria-valuetext", this.point === null ? "now" : clock(times[at]));
		const all = {device: "all", name: "All cards", cards, at,
			sent: times.map((_, i) => total(cards, "sent", i)),
			received: times.map((_, i) => total(cards, "received", i))};
		const list = cards.map((c) => ({device: c.card.device, name: c.card.device, cards: [c], at,
			card: c.card, sent: c.sent, received: c.received}));
		each($("graphs"), cards.length > 1 ? [all, ...list] : list, (g) => g.device,
			(g) => this.make(g), (node, g) => this.update(node, g));
	}

	make(g) {
		const details = el("details", {}, el("summary", {}, "As a table"), el("div", {class: "behind"}));
		details.addEventListener("toggle", () => this.draw());
		return el("figure", {class: "card"},
			el("figcaption", {}, el("h3", {}, g.name), el("span", {class: "link"}), el("span", {class: "rates"})),
			this.graph(g.device).node,
			g.card ? null : el("ul", {class: "key"}), details);
	}

	update(node, g) {
		const {times, wide} = g.cards[0];
		const sent = g.sent[g.at], received = g.received[g.at];
		const when = this.point === null ? "now" : clock(times[g.at]);
		const words = `${when}: sent ${bits(sent)}, received ${bits(received)}`;
		say(node.querySelector(".rates"), words);
		say(node.querySelector(".link"), g.card ? link(g.card) : "");
		node.classList.toggle("down", g.card?.up === false);
		this.graph(g.device).draw({
			times, wide, point: this.point, shown: this.past.marks, speed: g.card?.speed ?? null,
			label: `${g.name}. ${g.card ? `${link(g.card)}. ` : ""}${words}; at most sent ` +
				`${bits(most(g.sent))}, received ${bits(most(g.received))} in ${this.range.name}.`,
			layers: g.cards.map((c) => ({style: c.style, up: c.sent, down: c.received,
				line: g.card ? c.sent.map((v, i) => (v === null ? null : v + c.received[i])) : null})),
		});
		if (!g.card)
			each(node.querySelector(".key"), g.cards, (c) => c.card.device,
				(c) => el("li", {}, el("span", {class: `swatch ${c.style}`}), el("span")),
				(item, c) => say(item.lastChild, `${c.card.device}: ${bits(c.sent[g.at])} sent, ` +
					`${bits(c.received[g.at])} received`));
		if (node.querySelector("details").open)
			this.behind(node.querySelector(".behind"), g, times);
	}

	// What the graph shows, in a few rows.
	behind(parent, g, times) {
		const per = Math.ceil(times.length / TABLE_ROWS);
		const rows = [];
		for (let i = 0; i < times.length; i += per) {
			const last = Math.min(i + per, times.length);
			rows.push({n: i, time: times[i], sent: mean(g.sent.slice(i, last)),
				received: mean(g.received.slice(i, last)), most: most(g.sent.slice(i, last))});
		}
		table(parent, `${g.name}: ${this.range.name}`, [
			{title: "From", text: (r) => clock(r.time)},
			{title: "Sent, mean", text: (r) => bits(r.sent), number: true},
			{title: "Sent, most", text: (r) => bits(r.most), number: true},
			{title: "Received, mean", text: (r) => bits(r.received), number: true},
		], rows, (r) => r.n);
	}
}

const known = (values) => values.filter((v) => v !== null);
const most = (values) => (known(values).length ? Math.max(...known(values)) : null);
const mean = (values) => (known(values).length ? known(values).reduce((a, b) => a + b) / known(values).length : null);

function total(cards, way, i) {
	const values = known(cards.map((c) => c[way][i]));
	return values.length ? values.reduce((a, b) => a + b) : null;
}

function link(card) {
	return card.up === false ? "no link" : card.speed ? `link ${bits(card.speed)}` : "link, speed not told";
}
