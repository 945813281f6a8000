// Elements of the page, made without any HTML text: what jobs are called is never read as markup.

import { time } from "./format";

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | EventListener | null | undefined>;

// A function becomes a listener; true an attribute without a value; false, null and undefined none.
export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, String(value));
  }
  append(element, children);
  return element;
}

export function append(parent: Node, children: Child[]): void {
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false)
      parent.appendChild(typeof child === "string" ? document.createTextNode(child) : child);
  }
}

export function replace(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

// Changes nothing where nothing has changed, so that screen readers stay silent and selections stay.
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

// A time as people read it, in one line, and as programs do.
export const when = (text: string | undefined): HTMLElement =>
  h("time", { datetime: text ?? "", title: text ?? "", class: "nowrap" }, time(text));

export function table(caption: string, heads: string[], rows: Child[][]): HTMLElement {
  const body = rows.map((row) =>
    h("tr", {}, ...row.map((cell, at) => (at === 0 ? h("th", { scope: "row" }, cell) : h("td", {}, cell)))),
  );
  // A wide table scrolls by itself, and by the keyboard too.
  return h(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, ...body),
    ),
  );
}
