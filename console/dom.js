// Makes what the page shows. Whatever comes from messages or files is put in as text and never read as HTML.

/** An element; a property that begins with `on` listens, `null` leaves one out. */
export function make(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for drawings. */
export function draw(tag, properties, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(9).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Puts these in place of what an element holds. */
export function put(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** Puts them in place, and leaves the keyboard where it was: on what has the same `data-key`. */
export function renew(element, ...children) {
  const before = document.activeElement;
  const key = element.contains(before) ? before?.dataset?.key : null;
  put(element, ...children);
  if (key) element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

/** Changes text only where it differs: rows that nothing happened to are not laid out anew. */
export function text(element, words) {
  const shown = String(words);
  if (element.textContent !== shown) element.textContent = shown;
}

/** A link to a place of the console. */
export function link(to, properties, ...children) {
  return make("a", { href: `#/${to.map(encodeURIComponent).join("/")}`, ...properties }, ...children);
}

/** A button that does something here. */
export function button(words, act, properties) {
  return make("button", { type: "button", onclick: act, ...properties }, words);
}

/** A word with its shape: nothing is told by colour alone. */
export function mark(tone, words) {
  const shape = make("span", { class: `shape ${tone}`, "aria-hidden": "true" });
  return make("span", { class: `mark ${tone}` }, shape, make("span", {}, words));
}

/** Names and values, one under the other. */
export function facts(pairs) {
  const rows = pairs.filter(Boolean).map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  return make("dl", { class: "facts" }, rows);
}

/** A table whose head names each column; `rows` are lists of cells. */
export function table(caption, heads, rows, properties) {
  const head = heads.map((words) => make("th", { scope: "col" }, words));
  const body = rows.map((cells) => make("tr", {}, cells.map((cell) => make("td", {}, cell))));
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    make("table", properties, make("caption", { class: "unseen" }, caption),
      make("thead", {}, make("tr", {}, head)), make("tbody", {}, body)));
}

/** A field with its name before it. */
export function field(words, input) {
  return make("label", { class: "field" }, make("span", {}, words), input);
}

/** Says something to whoever sees and to whoever listens. */
export function tell(words, tone = "good") {
  const told = document.getElementById("told");
  put(told, make("p", { class: tone }, words));
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => put(told), 9000);
}

export async function copy(words, said) {
  try {
    await navigator.clipboard.writeText(words);
    tell(said);
  } catch {
    window.prompt(said, words);
  }
}
