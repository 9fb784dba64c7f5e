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

function byCockpit(cockpit) {
	const http = cockpit.http(SOCKET, {superuser: "try"});
	return async (path) => {
		const [way, query] = path.split("?");
		try {
			return await http.get(way, Object.fromEntries(new URLSearchParams(query ?? "")));
		} catch (e) {
			throw new Refusal(sentence(e.data ?? "", e.status ?? e.problem ?? e.message));
		}
	};
}

function sentence(body, status) {
	try {
		return JSON.parse(body).error;
	} catch {
		return `drover-web gave status ${status}`;
	}
}

const ask = globalThis.cockpit ? byCockpit(globalThis.cockpit) : byFetch;

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
