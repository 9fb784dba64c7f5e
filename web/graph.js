// SPDX-License-Identifier: MIT
// A graph of rates over time in SVG: sent above the line, received below it, a gap where nothing is
// known.  Colours and strokes are classes of page.css.
import {bits, clock} from "./words.js";

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 600, HEIGHT = 180, LEFT = 88, BOTTOM = 16, TOP = 12, LETTER = 6.5;
const PLOT = {x: LEFT, y: TOP, w: WIDTH - LEFT - 4, h: HEIGHT - TOP - BOTTOM};

export function svg(tag, attributes = {}, ...children) {
	const node = document.createElementNS(NS, tag);
	for (const [name, value] of Object.entries(attributes))
		node.setAttribute(name, value);
	node.append(...children);
	return node;
}

// The next of 1, 2, 5, 10, ... bits a second, in bytes.
function round(value) {
	const at = value * 8;
	const power = 10 ** Math.floor(Math.log10(at));
	return [1, 2, 5, 10].find((n) => n * power >= at * 0.999) * power / 8;
}

// What the axis holds above and below: the link's speed where that leaves the rest visible.
export function scale(layers, speed) {
	let up = 1000 / 8, down = 1000 / 8;
	for (const l of layers)
		for (let i = 0; i < l.up.length; i++) {
			up = Math.max(up, l.up[i] ?? 0, l.line?.[i] ?? 0);
			down = Math.max(down, l.down[i] ?? 0);
		}
	const seen = Math.max(up, down);
	if (speed && seen > speed / 5)
		up = Math.max(up, speed * 1.08);
	else
		up = round(up * 1.1);
	// Nearly nothing below still has its line.
	return {up, down: Math.max(round(down * 1.1), up / 8), speed: speed && speed <= up ? speed : null};
}

const fixed = (n) => n.toFixed(1);

function place(limits, count) {
	const zero = PLOT.y + PLOT.h * limits.up / (limits.up + limits.down);
	return {
		zero,
		x: (i) => PLOT.x + PLOT.w * (i + 0.5) / count,
		y: (v) => zero - PLOT.h * v / (limits.up + limits.down),
	};
}

// Runs of slots that are known.
function* runs(values) {
	let from = null;
	for (let i = 0; i <= values.length; i++) {
		const is = i < values.length && values[i] !== null;
		if (is && from === null)
			from = i;
		if (!is && from !== null) {
			yield [from, i - 1];
			from = null;
		}
	}
}

function area(at, from, to) {
	let d = "";
	for (const [a, b] of runs(to)) {
		d += `M${fixed(at.x(a))} ${fixed(at.y(from[a]))}`;
		for (let i = a; i <= b; i++)
			d += `L${fixed(at.x(i))} ${fixed(at.y(to[i]))}`;
		for (let i = b; i >= a; i--)
			d += `L${fixed(at.x(i))} ${fixed(at.y(from[i]))}`;
		d += "Z";
	}
	return d;
}

function line(at, values) {
	let d = "";
	for (const [a, b] of runs(values))
		for (let i = a; i <= b; i++)
			d += `${i === a ? "M" : "L"}${fixed(at.x(i))} ${fixed(at.y(values[i]))}`;
	return d;
}

function axis(at, limits, times) {
	const parts = [];
	const label = (y, words) => parts.push(svg("text", {x: LEFT - 5, y: y + 4, class: "label end"}, words));
	const rule = (y, kind) => parts.push(svg("line", {x1: PLOT.x, x2: PLOT.x + PLOT.w, y1: y, y2: y, class: kind}));
	rule(at.zero, "zero");
	label(at.zero, "0");
	const step = round(limits.up / 2);
	for (let v = step; v <= limits.up; v += step) {
		rule(at.y(v), "rule");
		if (!limits.speed || Math.abs(at.y(v) - at.y(limits.speed)) > 12)
			label(at.y(v), bits(v));
	}
	if (limits.down > limits.up / 4)
		label(at.y(-limits.down) - 6, bits(limits.down));
	if (limits.speed) {
		rule(at.y(limits.speed), "speed");
		label(at.y(limits.speed), bits(limits.speed));
	}
	for (const f of [0, 0.25, 0.5, 0.75]) {
		const i = Math.floor(f * (times.length - 1));
		parts.push(svg("text", {x: at.x(i), y: HEIGHT - 3, class: "label"}, clock(times[i])));
	}
	return parts;
}

// Each beside its line, and below those that would stand in its way.
function marks(all, times, wide) {
	const parts = [], ends = [];
	for (const m of all.toSorted((a, b) => a.time - b.time)) {
		const i = (m.time - times[0]) / wide;
		if (i < 0 || i > times.length)
			continue;
		const x = PLOT.x + PLOT.w * i / times.length;
		const width = m.text.length * LETTER;
		const right = x + width > WIDTH;
		const from = right ? x - width : x;
		let row = ends.findIndex((end) => end < from);
		if (row < 0)
			row = ends.length;
		ends[row] = from + width;
		parts.push(svg("g", {class: `mark ${m.kind}`},
			svg("line", {x1: x, x2: x, y1: PLOT.y - 4, y2: PLOT.y + PLOT.h}),
			svg("text", {x: x + (right ? -4 : 4), y: PLOT.y + 5 + row * 12,
				class: right ? "label end" : "label"}, m.text)));
	}
	return parts;
}

// layers: {name, style, up, down, line} of as many slots as there are times, stacked in their order
export class Graph {
	constructor(onPoint) {
		this.node = svg("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "graph"});
		this.count = 1;
		this.node.addEventListener("pointermove", (event) => {
			const box = this.node.getBoundingClientRect();
			const x = (event.clientX - box.left) / box.width * WIDTH;
			const i = Math.floor((x - PLOT.x) / PLOT.w * this.count);
			onPoint(Math.min(this.count - 1, Math.max(0, i)));
		});
		this.node.addEventListener("pointerleave", () => onPoint(null));
	}

	draw({times, wide, layers, speed, shown, point, label}) {
		const count = this.count = times.length;
		let above = times.map(() => 0), below = times.map(() => 0);
		const stacked = layers.map((l) => {
			const up = l.up.map((v, i) => (v === null ? null : above[i] + v));
			const down = l.down.map((v, i) => (v === null ? null : below[i] + v));
			const one = {...l, up, down, above, below};
			above = up.map((v, i) => v ?? above[i]);
			below = down.map((v, i) => v ?? below[i]);
			return one;
		});
		const limits = scale(stacked, speed);
		const at = place(limits, count);
		const parts = axis(at, limits, times);
		const neg = (values) => values.map((v) => (v === null ? null : -v));
		for (const l of stacked) {
			parts.push(svg("path", {d: area(at, l.above, l.up), class: `area ${l.style}`}));
			parts.push(svg("path", {d: area(at, neg(l.below), neg(l.down)), class: `area received ${l.style}`}));
			if (l.line)
				parts.push(svg("path", {d: line(at, l.line), class: "sum"}));
		}
		parts.push(...marks(shown, times, wide));
		if (point !== null)
			parts.push(svg("line", {x1: at.x(point), x2: at.x(point), y1: PLOT.y, y2: PLOT.y + PLOT.h, class: "cursor"}));
		this.node.setAttribute("aria-label", label);
		this.node.replaceChildren(...parts);
	}
}
