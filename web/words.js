// SPDX-License-Identifier: MIT
// Quantities for people, as drover(1) writes them: bits for wires, bytes for memory.

function scaled(value, step, units) {
	let unit = 0;
	while (value >= step && unit < units.length - 1) {
		value /= step;
		unit++;
	}
	const said = value.toFixed(value >= 100 || unit === 0 ? 0 : 1);
	return `${said.replace(/\.0$/, "")} ${units[unit]}`;
}

const known = (value, say) => (value === null || value === undefined || Number.isNaN(value) ? "–" : say(value));

// of bytes a second
export const bits = (rate) =>
	known(rate, (r) => scaled(r * 8, 1000, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]));

export const bytes = (n) => known(n, (b) => scaled(b, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]));

export const rate = (n) => known(n, (b) => `${bytes(b)}/s`);

export const duration = (ms) => known(ms, (t) => {
	if (t < 1000)
		return `${Math.round(t)} ms`;
	if (t < 60000)
		return `${(t / 1000).toFixed(1)} s`;
	const s = Math.round(t / 1000);
	if (s < 3600)
		return `${Math.floor(s / 60)} min ${s % 60} s`;
	return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
});

export const clock = (seconds) => known(seconds, (s) => new Date(s * 1000).toLocaleTimeString());

export const moment = (seconds) => known(seconds, (s) => new Date(s * 1000).toLocaleString());

export const text = (value) => known(value, String);

export function timeLeft(p) {
	if (p.time_left_ms === null)
		return "–";
	if (p.time_left_least_ms === null)
		return duration(p.time_left_ms);
	const most = p.time_left_most_ms === null ? "no end in sight" : duration(p.time_left_most_ms);
	return `${duration(p.time_left_ms)} (${duration(p.time_left_least_ms)} to ${most}, ${p.sure})`;
}

const ends = {
	"converges": "converges", "throttled": "the guest is slowed down", "paused": "the guest is paused",
	"timed-out": "ends at its time limit", "never": "does not end as it goes", "unknown": "not known yet",
};

export const ending = (word) => ends[word] ?? text(word);

// {labels: {device: "eth0"}, value: 1} for each line of each family of text for Prometheus
export function metrics(all) {
	const families = new Map();
	for (const line of all.split("\n")) {
		const m = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
		if (!m)
			continue;
		const labels = {};
		for (const [, name, value] of (m[2] ?? "").matchAll(/([a-z]+)="((?:[^"\\]|\\.)*)"/g))
			labels[name] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
		if (!families.has(m[1]))
			families.set(m[1], []);
		families.get(m[1]).push({labels, value: Number(m[3])});
	}
	return families;
}
