// SPDX-License-Identifier: MIT
// What each card carried, by the second for 15 minutes, from the counters of /metrics and, for what
// was before the page, from /v1/history.  A second of which nothing is known has no entry.
import {askJson} from "./ask.js";

export const LIVE_S = 900;
export const RANGES = [
	{name: "1 min", seconds: 60, step: 1},
	{name: "5 min", seconds: 300, step: 1},
	{name: "15 min", seconds: 900, step: 1},
	{name: "6 h", seconds: 21600, step: 10, word: "10s"},
	{name: "7 d", seconds: 604800, step: 60, word: "1m"},
];

export class Past {
	constructor() {
		this.cards = new Map(); // device: {up, speed, live: Map(second: [sent, received]), long}
		this.time = 0;          // of the last sample, in seconds since 1970
		this.marks = [];        // {time, text, kind}
	}

	card(device) {
		if (!this.cards.has(device))
			this.cards.set(device, {device, up: null, speed: null, live: new Map(), long: null});
		return this.cards.get(device);
	}

	mark(time, text, kind) {
		if (this.marks.some((m) => m.text === text && Math.abs(m.time - time) < 2))
			return false;
		this.marks.push({time, text, kind});
		this.marks = this.marks.filter((m) => m.time > time - 604800).slice(-200);
		return true;
	}

	// true: it is a newer sample than the last
	take(families) {
		const of = (name) => families.get(name) ?? [];
		const time = of("drover_sample_timestamp_seconds")[0]?.value;
		if (!(time > this.time))
			return false;
		const gone = new Set(this.cards.keys());
		for (const {labels, value} of of("drover_card_transmit_bytes_total")) {
			const received = of("drover_card_receive_bytes_total")
				.find((r) => r.labels.device === labels.device)?.value;
			this.count(this.card(labels.device), time, value, received);
			gone.delete(labels.device);
		}
		for (const {labels, value} of of("drover_card_up"))
			this.carrier(this.card(labels.device), time, value === 1);
		for (const card of this.cards.values())
			card.speed = null;
		for (const {labels, value} of of("drover_card_speed_bytes"))
			this.card(labels.device).speed = value;
		for (const device of gone)
			this.carrier(this.card(device), time, false);
		this.time = time;
		return true;
	}

	count(card, time, sent, received) {
		const last = card.last;
		card.last = {time, sent, received};
		if (!last || sent < last.sent || received < last.received)
			return;
		const span = time - last.time;
		const rates = [(sent - last.sent) / span, (received - last.received) / span];
		if (span > 5)
			return;
		for (let t = Math.floor(last.time) + 1; t <= Math.floor(time); t++)
			card.live.set(t, rates);
		for (const t of card.live.keys()) {
			if (t >= time - LIVE_S)
				break;
			card.live.delete(t);
		}
	}

	carrier(card, time, up) {
		if (card.up !== null && card.up !== up)
			this.mark(time, `${card.device} ${up ? "back" : "lost"}`, up ? "back" : "lost");
		card.up = up;
	}

	// What was before the page was opened, or while it could not ask.
	async fill() {
		for (const device of await this.devices()) {
			const both = await this.both(device, `last=${LIVE_S}`);
			const before = this.card(device).live;
			const live = new Map([...both, ...before]);
			this.card(device).live = new Map([...live].sort((a, b) => a[0] - b[0]));
		}
	}

	async fillLong(range) {
		for (const device of await this.devices())
			this.card(device).long = await this.both(device, `step=${range.word}`);
	}

	async devices() {
		const {series} = await askJson("/v1/history");
		return series.map((name) => /^card\.(.*)\.transmit$/.exec(name)?.[1]).filter((d) => d);
	}

	async both(device, query) {
		const [sent, received] = await Promise.all(["transmit", "receive"].map((way) =>
			askJson(`/v1/history/card.${device}.${way}?${query}`)));
		const points = new Map();
		sent.points.forEach((p, i) => {
			const other = received.points[i]?.mean ?? null;
			if (p.mean !== null && other !== null)
				points.set(Math.floor(sent.begin + i * sent.step), [p.mean, other]);
		});
		return points;
	}

	// Columns of one card over a range: a value or null for each slot.
	slots(card, range) {
		const from = range.word ? card.long ?? new Map() : card.live;
		const wide = Math.max(range.step, Math.ceil(range.seconds / 600));
		const end = Math.floor(this.time / wide) * wide;
		const count = Math.floor(range.seconds / wide);
		const times = Array.from({length: count}, (_, i) => end - (count - 1 - i) * wide);
		const sums = times.map(() => [0, 0, 0]);
		for (const [t, [sent, received]] of from) {
			const sum = sums[Math.floor((t - times[0]) / wide)];
			if (sum) {
				sum[0] += sent;
				sum[1] += received;
				sum[2]++;
			}
		}
		return {times, wide, sent: sums.map((s) => (s[2] ? s[0] / s[2] : null)),
			received: sums.map((s) => (s[2] ? s[1] / s[2] : null))};
	}
}
