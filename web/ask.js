// SPDX-License-Identifier: MIT
// The one way to what drover-web gives: fetch() in a browser of its own, or Cockpit's channel to the
// same socket.

const SOCKET = "/run/drover/web.sock";
const TIMEOUT_MS = 8000;

// What this host or the way to it says; any other error is a mistake of the page's.
export class Refusal extends Error {}

async function byFetch(path) {
	let answer, body;
	try {
		answer = await fetch(`.${path}`, {cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS)});
		body = await answer.text();
	} catch (e) {
		throw new Refusal(`drover-web does not answer: ${e.message}`);
	}
	if (!answer.ok)
		throw new Refusal(sentence(body, answer.status));
	return body;
}

// Its channel ends at a process of the one who has logged in there, or of root.
function byCockpit(cockpit) {
	const http = cockpit.http(SOCKET, {superuser: "try", headers: {Host: "localhost"}});
	return (path) => new Promise((done, fail) => {
		const [way, query] = path.split("?");
		http.get(way, Object.fromEntries(new URLSearchParams(query ?? "")))
			.then((body) => done(body))
			.catch((e, body) => fail(new Refusal(sentence(body ?? "", e.status ?? e.message))));
	});
}

// Cockpit serves these files from a folder of its own, beside its library.
async function within() {
	if (!/\/cockpit\/.*\/drover\//.test(location.pathname))
		return null;
	const script = document.createElement("script");
	script.src = "../base1/cockpit.js";
	await new Promise((done, fail) => {
		script.onload = done;
		script.onerror = () => fail(new Error("Cockpit does not give its library"));
		document.head.append(script);
	});
	return globalThis.cockpit;
}

function sentence(body, status) {
	try {
		return JSON.parse(body).error;
	} catch {
		return `drover-web gave status ${status}`;
	}
}

const cockpit = await within();
const ask = cockpit ? byCockpit(cockpit) : byFetch;

export const askText = ask;
export const askJson = async (path) => JSON.parse(await ask(path));

// The token in the address becomes a cookie and leaves the address.
export async function enter() {
	const token = /[#&]token=([0-9a-f]+)/.exec(location.hash);
	if (!token)
		return;
	history.replaceState(null, "", location.pathname);
	const answer = await fetch("./login", {method: "POST", body: token[1]});
	if (!answer.ok)
		throw new Refusal(sentence(await answer.text(), answer.status));
}
