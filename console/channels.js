// Every channel in a row: how it stands, what came and went, what waits.

import { button, link, make, mark, put, text } from "./dom.js";
import { dialog } from "./act.js";
import { spark } from "./chart.js";
import { known, lately, listen, sum } from "./live.js";
import { actOnChannel, actOnDestination, actsOf, actsOnDestination, channelStands, queueOf, versionOf } from "./standing.js";
import { clock, lasting, number, say } from "./words.js";

const TONES = { bad: 0, warning: 1, wait: 2, good: 3, off: 4 };

/** So many rows are made in one frame. */
const AT_ONCE = 100;
const collator = new Intl.Collator();

export function show(content, { asked }) {
  const chosen = { tag: asked.get("tag") ?? "", words: "" };
  const rows = new Map();
  let [meant, later] = [new Set(), 0];
  const body = make("tbody");
  const tags = make("div", { class: "tags" });
  const counted = make("p", { class: "faint", role: "status" });
  const filter = make("input", { id: "search", type: "search", "aria-label": say("channels.filter"), placeholder: say("channels.filter"),
    oninput: () => { chosen.words = filter.value.trim().toLowerCase(); sift(); } });
  const heads = ["state", "channel", "day", "in", "out", "queue", "wrong", "p95", "connections", "act"];
  put(content, make("div", { class: "title" }, make("h1", {}, say("top.channels")), filter), tags, counted,
    make("table", { class: "channels" }, make("caption", { class: "unseen" }, say("top.channels")),
      make("thead", {}, make("tr", {}, heads.map((one) => make("th", { scope: "col", class: `of-${one}` }, say(`channels.${one}`))))), body));
  const fits = (channel) => (!chosen.tag || channel.tags.includes(chosen.tag))
    && (!chosen.words || `${channel.name} ${channel.description ?? ""} ${channel.tags.join(" ")}`.toLowerCase().includes(chosen.words));
  const sift = () => {
    let shown = 0;
    for (const [name, row] of rows) {
      const channel = known.channels.get(name);
      const is = Boolean(channel) && fits(channel);
      row.element.hidden = !is;
      shown += is;
    }
    const since = isYoung() ? ` · ${say("channels.since", { start: clock(known.series.since, false) })}` : "";
    text(counted, say("channels.shown", { count: shown, all: meant.size }) + since);
  };
  const all = () => {
    const sorted = [...known.channels.values()].sort((one, other) => TONES[channelStands(one)[0]] - TONES[channelStands(other)[0]] || collator.compare(one.name, other.name));
    // The first time what is in sight comes first, and the rest frame by frame; after that all at once, and nothing jumps.
    const most = rows.size ? sorted.length : AT_ONCE;
    rows.clear();
    cancelAnimationFrame(later);
    meant = new Set(sorted.map(({ name }) => name));
    put(body);
    put(tags, tagsOf(chosen, () => { all(); }));
    further(sorted, most);
  };
  const further = (left, most) => {
    const made = left.slice(0, most).map(({ name }) => known.channels.get(name)).filter(Boolean).map((channel) => [channel.name, row(channel)]);
    for (const [name, one] of made) rows.set(name, one);
    body.append(...made.map(([, { element }]) => element));
    sift();
    if (left.length > most) later = requestAnimationFrame(() => further(left.slice(most), AT_ONCE));
    reached(left.length > most ? "some rows" : "all rows");
  };
  all();
  const ends = [listen("all", all),
    listen("counts", () => rows.forEach((one, name) => numbers(one, known.channels.get(name)))),
    listen("channels", (names) => {
      const isOther = [...names].some((name) => meant.has(name) !== known.channels.has(name));
      if (isOther) all();
      else names.forEach((name) => { const one = rows.get(name); if (one) { state(one, known.channels.get(name)); numbers(one, known.channels.get(name)); } });
    })];
  return () => {
    cancelAnimationFrame(later);
    ends.forEach((end) => end());
  };
}

/** Whether the server has not counted for a whole day yet. */
const isYoung = () => Boolean(known.series) && Date.now() - new Date(known.series.since) < 24 * 3600 * 1000;

/** When the page had come so far, by the browser's own clock, for whoever measures it. */
function reached(what) {
  performance.clearMarks(what);
  performance.mark(what);
}

function tagsOf(chosen, changed) {
  const tags = [...new Set([...known.channels.values()].flatMap((one) => one.tags))].sort();
  if (!tags.length) return null;
  const choose = (tag) => button(tag || say("channels.all"), () => {
    chosen.tag = tag;
    history.replaceState(null, "", tag ? `#/channels?tag=${encodeURIComponent(tag)}` : "#/channels");
    changed();
    document.querySelector('.tags [aria-pressed="true"]')?.focus();
  }, { class: "tag", "aria-pressed": String(chosen.tag === tag) });
  return ["", ...tags].map(choose);
}

function row(channel) {
  const cell = (kind, properties) => make("td", { class: `of-${kind}`, "data-name": say(`channels.${kind}`), ...properties });
  const cells = Object.fromEntries(["state", "channel", "day", "in", "out", "queue", "wrong", "p95", "connections", "act"].map((kind) => [kind, cell(kind)]));
  const one = { cells, element: make("tr", { "data-row": channel.name }, Object.values(cells)) };
  state(one, channel);
  numbers(one, channel);
  return one;
}

function state({ cells, element }, channel) {
  const [tone, words] = channelStands(channel);
  element.dataset.tone = tone;
  if (cells.state.textContent !== words || !cells.state.querySelector(`.${tone}`)) put(cells.state, mark(tone, words));
  const marks = [versionOf(channel), !channel.in_force && make("span", { class: "chip warning" }, say("channels.edited")), channel.tags.map((tag) => make("span", { class: "chip" }, tag))];
  if (!cells.channel.contains(document.activeElement) || document.activeElement === document.body) {
    put(cells.channel, link(["channels", channel.name], { class: "name" }, channel.name), marks, channel.description && make("small", {}, channel.description));
  }
  const acts = actsOf(channel);
  put(cells.act, acts.length > 0 && button("⋯", () => choose(channel), { class: "plain", "aria-label": say("channels.act_on", { name: channel.name }) }));
}

function numbers({ cells }, channel) {
  if (!channel) return;
  const series = known.series?.of.get(channel.name);
  const { depth, oldest } = queueOf(channel);
  const wrong = sum(channel.name, "wrong");
  text(cells.in, number(lately(channel.name, "received")));
  text(cells.out, number(lately(channel.name, "sent")));
  text(cells.queue, depth ? say("channels.waits", { number: depth, oldest: lasting(oldest) }) : "0");
  text(cells.wrong, number(wrong));
  cells.wrong.classList.toggle("is-wrong", wrong > 0);
  text(cells.p95, series?.p95_seconds ? lasting(series.p95_seconds) : "–");
  text(cells.connections, number(channel.connections));
  if (series) day(cells.day, series);
}

/** A day is drawn when its row comes into sight, and again when it has changed. */
function day(cell, series) {
  const drawn = `${series.received.join()} ${series.wrong.join()}`;
  if (cell.drawn === drawn) return;
  cell.redraw = () => {
    cell.drawn = drawn;
    put(cell, spark(series));
  };
  if (cell.isSeen) cell.redraw();
  else sight.observe(cell);
}

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.isSeen = isIntersecting;
    if (isIntersecting) target.redraw?.();
  }
}, { rootMargin: "200px" });

function choose(channel) {
  dialog(channel.name, (close) => [actsOf(channel).map((act) => make("p", { class: "choice" },
    button(say(`act.${act}`), () => { close(); actOnChannel(channel, act); }), " ", say(`channel.${act}.plan`, { name: channel.name }))),
  channel.destinations.map((destination) => actsOnDestination(destination).map((act) => make("p", { class: "choice" },
    button(say("destination.act_on", { act: say(`act.${act}`), name: destination.name }), () => { close(); actOnDestination(channel, destination, act); }), " ",
    say(`destination.${act}.plan`, { name: destination.name, channel: channel.name }))))]);
}
