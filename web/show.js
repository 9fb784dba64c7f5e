// SPDX-License-Identifier: MIT
// Nodes that are made once and then changed in place, so that a reader's focus and a screen reader's
// place stay.  Text is only ever text: nothing that comes from a host is parsed as HTML.

export const $ = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes))
		if (value !== null && value !== false)
			node.setAttribute(name, value === true ? "" : value);
	node.append(...children.filter((c) => c !== null));
	return node;
}

export function say(node, words) {
	if (node.textContent !== words)
		node.textContent = words;
}

// One child of @parent for each of @list, by key, in its order.
export function each(parent, list, key, make, update) {
	const old = new Map([...parent.children].map((c) => [c.dataset.key, c]));
	list.forEach((item, i) => {
		const k = String(key(item));
		let node = old.get(k);
		if (!node) {
			node = make(item);
			node.dataset.key = k;
		}
		old.delete(k);
		update?.(node, item);
		if (parent.children[i] !== node)
			parent.insertBefore(node, parent.children[i] ?? null);
	});
	for (const node of old.values())
		node.remove();
}

// columns: {title, text(item), number: it is one, node(item): in place of text}
export function table(parent, caption, columns, list, key) {
	parent.hidden = list.length === 0;
	let box = parent.querySelector(":scope > .scroll");
	if (!box) {
		box = el("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
			el("table", {}, el("caption", {class: "unseen"}, caption),
				el("thead", {}, el("tr", {}, ...columns.map((c) =>
					el("th", {scope: "col", class: c.number ? "number" : null}, c.title)))),
				el("tbody")));
		parent.append(box);
	}
	each(box.querySelector("tbody"), list, key,
		(item) => el("tr", {}, ...columns.map((c, i) =>
			el(i ? "td" : "th", {scope: i ? null : "row", class: c.number ? "number" : null},
				...(c.node ? [c.node(item)] : [])))),
		(row, item) => columns.forEach((c, i) => {
			if (!c.node)
				say(row.children[i], c.text(item));
		}));
}

// pairs of words and values
export function facts(list, pairs) {
	each(list, pairs, (p) => p[0], (p) => el("div", {}, el("dt", {}, p[0]), el("dd")),
		(node, p) => say(node.lastChild, p[1]));
}
