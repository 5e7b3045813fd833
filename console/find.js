// One box for every message; results as they come, newest first.

import { get, path, post, query } from "./api.js";
import { confirm } from "./act.js";
import { button, copy, field, link, make, mark, put } from "./dom.js";
import { known, may } from "./live.js";
import { goes, isFiltered, sendMany } from "./many.js";
import { latest, messageStands, stateStands } from "./standing.js";
import { clock, named, say, sized } from "./words.js";

const STATES = ["waiting", "given_up", "set_aside", "unsure", "failed", "refused", "held", "sent", "filtered", "unrouted", "dropped", "superseded", "kept"];
const SINCE = ["", "1h", "24h", "7d", "30d"];
const PAGE = 50;
/** While somebody types, so long. */
const PAUSE = 180;

export function show(content, { asked }) {
  const wanted = Object.fromEntries(["q", "state", "channel", "destination", "since"].map((name) => [name, asked.get(name) ?? ""]));
  const [list, foot, picked, going] = [make("ul", { class: "found", "aria-label": say("find.found") }), make("div", { class: "foot" }), make("div", { class: "picked" }), make("div", { class: "goes" })];
  const search = { wanted, list, foot, picked, chosen: new Map(), asking: null, last: null, shown: 0 };
  let typing = null;
  const box = make("input", { id: "search", type: "search", value: wanted.q, "aria-label": say("find.box"), placeholder: say("find.box"), autocomplete: "off", spellcheck: "false",
    disabled: !may("content"), oninput: () => {
      wanted.q = box.value.trim();
      clearTimeout(typing);
      typing = setTimeout(() => begin(search), PAUSE);
    } });
  const choice = (name, words, values, show) => field(words, make("select", { onchange: (event) => { wanted[name] = event.target.value; if (name === "channel") wanted.destination = ""; begin(search); } },
    values.map((value) => make("option", { value, selected: value === wanted[name] }, value ? show(value) : say("find.any")))));
  put(content, make("h1", { class: "unseen" }, say("top.find")),
    make("form", { class: "search", role: "search", onsubmit: (event) => { event.preventDefault(); clearTimeout(typing); begin(search); } }, box,
      make("div", { class: "filters" },
        choice("state", say("find.state"), ["", ...STATES], (one) => named("state", one)),
        choice("channel", say("find.channel"), ["", ...[...known.channels.keys()].sort()], (one) => one),
        choice("since", say("find.since"), SINCE, (one) => say(`find.${one}`)),
        button(say("now.command"), () => copy(command(wanted), say("act.copied", { what: command(wanted) })), { class: "plain" })),
      !may("content") && make("p", { class: "note" }, say("find.no_content")),
      wanted.destination && make("p", { class: "note" }, say("find.to", { name: wanted.destination }))),
    going, picked, list, foot);
  const end = goes(going);
  if (may("content")) box.focus();
  begin(search);
  return () => { clearTimeout(typing); search.asking?.abort(); end(); };
}

function command({ q, state, channel, since }) {
  return ["relais find", q && quoted(q), state && `--state ${state}`, channel && `--channel ${quoted(channel)}`, since && `--since ${since}`].filter(Boolean).join(" ");
}

const quoted = (word) => (/^[\w.@:*-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

function begin(search) {
  const { wanted, list, foot, chosen } = search;
  // What patients are found by does not stay in the address.
  const { q: _, ...shared } = wanted;
  history.replaceState(null, "", `#/find${query(shared)}`);
  search.last = null;
  search.shown = 0;
  chosen.clear();
  tellPicked(search);
  put(foot, make("p", { class: "faint" }, say("find.looking")));
  more(search, () => put(list));
}

/** The next page; `first` is called before its rows are put in. */
async function more(search, first = () => {}) {
  search.asking?.abort();
  const asking = new AbortController();
  search.asking = asking;
  const { wanted, foot } = search;
  const began = performance.now();
  try {
    const found = await get(path("messages") + query({ ...wanted, before: search.last, limit: PAGE }), asking.signal);
    const took = performance.now() - began;
    first();
    search.list.append(...found.map((message) => row(search, message)));
    search.shown += found.length;
    search.last = found.at(-1)?.id ?? search.last;
    const all = may("operate") && search.shown > 0 && isFiltered(wanted) && button(say("many.open"), () => sendMany(wanted), { "data-key": "many" });
    const next = found.length === PAGE && button(say("find.more"), () => more(search), { class: "more" });
    put(foot, make("p", { class: "faint", role: "status" }, search.shown ? say("find.count", { count: search.shown, took: Math.round(took) }) : say("find.nothing")), next, all);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    first();
    put(foot, make("p", { class: "problem", role: "alert" }, problem.message));
  }
}

function row(search, message) {
  const [tone, words] = messageStands(message);
  const pick = may("operate") && make("input", { type: "checkbox", "aria-label": say("find.pick", { id: String(message.id) }), onchange: (event) => {
    if (event.target.checked) search.chosen.set(message.id, message);
    else search.chosen.delete(message.id);
    tellPicked(search);
  } });
  const ends = latest(message.deliveries).map((one) => make("span", { class: "chip" }, mark(stateStands(one.state)[0], one.destination), make("span", { class: "unseen" }, ` ${named("state", one.state)}`)));
  return make("li", { "data-row": String(message.id) }, pick,
    make("time", { datetime: message.received }, clock(message.received)),
    mark(tone, words),
    link(["messages", String(message.id)], { class: "name" }, message.control_id ?? String(message.id), make("span", { class: "unseen" }, ` ${message.id}`)),
    make("span", { class: "of" }, message.channel, message.kind && ` · ${message.kind}`, ` · ${sized(message.size)}`),
    make("span", { class: "ends-of" }, ends),
    message.why && make("span", { class: "mono why" }, message.why));
}

function tellPicked(search) {
  const { picked, chosen } = search;
  put(picked, chosen.size > 0 && [make("span", { role: "status" }, say("find.picked", { count: chosen.size })),
    button(say("act.resend"), () => many(search, "resend"), { class: "first" }), button(say("act.drop"), () => many(search, "drop"), { class: "danger" })]);
}

/** Many at once: the plan of each first; what cannot be done is said and left. */
function many(search, act) {
  const ids = [...search.chosen.keys()].sort((one, other) => one - other);
  let able = [];
  confirm(say(`message.${act}.many`, { count: ids.length }), {
    plan: async () => {
      const [lines, notes] = [[], []];
      able = [];
      for (const id of ids) {
        try {
          const plan = await post(path("messages", String(id), act), { plan: true });
          able.push(id);
          lines.push(...plan.map((one) => planned(one, act)));
        } catch (problem) {
          notes.push(problem.message);
        }
      }
      if (!able.length) throw new Error(notes.join(" · "));
      return { lines, notes };
    },
    verb: say(`act.${act}`),
    danger: act === "drop",
    act: async () => {
      let done = 0;
      for (const id of able) {
        await post(path("messages", String(id), act), {});
        done += 1;
      }
      begin(search);
      return say(`message.${act}.done_many`, { count: done });
    },
  });
}

/** One thing of a plan, in words of the reader. */
export function planned({ message, destination, delivery, state }, act, to) {
  if (delivery === null) return say(act === "drop" ? "plan.drop_whole" : state === "held" ? "plan.look_again" : "plan.run_again", { id: String(message) });
  if (act === "drop") return say("plan.drop", { id: String(message), destination, state: named("state", state) });
  if (to && to !== destination) return say("plan.instead", { id: String(message), destination, to });
  return say(state === "sent" ? "plan.second" : "plan.send", { id: String(message), destination, state: named("state", state) });
}
