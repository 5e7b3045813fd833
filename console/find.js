// One box for every message: by keys at once, then by words in what messages hold. Results as they come, newest first.

import { hear, path, post, query } from "./api.js";
import { confirm } from "./act.js";
import { button, copy, field, link, make, mark, put, renew, text } from "./dom.js";
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
  // How far a look is stands above the list, in a place of its own: nothing moves below it.
  const far = make("div", { class: "far" });
  const search = { wanted, list, foot, far, picked, chosen: new Map(), asking: null, last: null, shown: 0, into: null };
  let typing = null;
  const box = make("input", { id: "search", type: "search", value: wanted.q, "aria-label": say("find.box"), placeholder: say("find.box"), autocomplete: "off", spellcheck: "false",
    disabled: !may("content"), oninput: () => {
      wanted.q = box.value.trim();
      clearTimeout(typing);
      typing = setTimeout(() => begin(search), PAUSE);
    } });
  const choice = (name, words, values, show) => field(words, make("select", { onchange: (event) => { wanted[name] = event.target.value; if (name === "channel") wanted.destination = ""; again(search); } },
    values.map((value) => make("option", { value, selected: value === wanted[name] }, value ? show(value) : say("find.any")))));
  put(content, make("h1", { class: "unseen" }, say("top.find")),
    make("form", { class: "search", role: "search", onsubmit: (event) => { event.preventDefault(); clearTimeout(typing); begin(search, "entered"); } }, box,
      make("div", { class: "filters" },
        choice("state", say("find.state"), ["", ...STATES], (one) => named("state", one)),
        choice("channel", say("find.channel"), ["", ...[...known.channels.keys()].sort()], (one) => one),
        choice("since", say("find.since"), SINCE, (one) => say(`find.${one}`)),
        button(say("now.command"), () => copy(command(search), say("act.copied", { what: command(search) })), { class: "plain" })),
      !may("content") && make("p", { class: "note" }, say("find.no_content")),
      wanted.destination && make("p", { class: "note" }, say("find.to", { name: wanted.destination }))),
    going, picked, far, list, foot);
  const end = goes(going);
  if (may("content")) box.focus();
  begin(search);
  return () => { clearTimeout(typing); search.asking?.abort(); end(); };
}

function command({ wanted: { q, state, channel, since }, into }) {
  const words = into ? `--text ${quoted(into)}` : q && quoted(q);
  return ["relais find", words, state && `--state ${state}`, channel && `--channel ${quoted(channel)}`, since && `--since ${since}`].filter(Boolean).join(" ");
}

const quoted = (word) => (/^[\w.@:*-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** By keys; of what was `entered`, and is nobody's key, contents are looked into after that. */
function begin(search, how = "typed") {
  anew(search, null);
  put(search.far);
  put(search.foot, make("p", { class: "faint" }, say("find.looking")));
  more(search, () => put(search.list), how);
}

/** Into what messages hold, from the newest backwards. */
function look(search) {
  anew(search, plain(search.wanted.q));
  put(search.list);
  more(search);
}

/** The same once more, after another filter was chosen or something was done. */
const again = (search) => (search.into ? look(search) : begin(search));

/** Words as they may stand anywhere: a beginning is a piece too. */
const plain = (words) => words.replace(/\*$/, "").trim();

function anew(search, into) {
  // What patients are found by does not stay in the address.
  const { q: _, ...shared } = search.wanted;
  history.replaceState(null, "", `#/find${query(shared)}`);
  search.asking?.abort();
  Object.assign(search, { into, last: null, shown: 0, looked: null });
  search.chosen.clear();
  tellPicked(search);
}

/** The next page; `first` is called before its first rows are put in. */
async function more(search, first = () => {}, how = "typed") {
  search.asking?.abort();
  const asking = new AbortController();
  search.asking = asking;
  const { wanted: { q, ...filters }, into, list } = search;
  const began = performance.now();
  let [isFirst, isEnded] = [true, false];
  if (into) begins(search, asking);
  const before = search.looked;
  try {
    await hear(path("messages", "found") + query({ ...filters, ...(into ? { text: into } : { q }), before: search.last, limit: PAGE }), (told) => {
      if (isFirst && (told.messages.length || told.is_end)) {
        isFirst = false;
        first();
      }
      list.append(...told.messages.map(({ message, place }) => row(search, message, place)));
      search.shown += told.messages.length;
      search.last = told.before ?? search.last;
      isEnded = told.is_end;
      if (told.looked) tellFar(search, summed(before, told.looked));
      if (isEnded) ended(search, told.before, { how, took: performance.now() - began });
    }, asking.signal);
    if (!isEnded) throw new Error(say("find.cut"));
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (isFirst) first();
    put(search.far);
    put(search.foot, make("p", { class: "problem", role: "alert" }, problem.message));
  }
}

/** A page is whole, or there is no more. */
function ended(search, before, { how, took }) {
  const { wanted, foot, shown, into } = search;
  const mayLook = !into && plain(wanted.q) && may("content");
  if (mayLook && how === "entered" && shown === 0) {
    look(search);
    return;
  }
  const told = into ? say("find.shown", { count: shown }) : say("find.count", { count: shown, took: Math.round(took) });
  const all = may("operate") && !into && shown > 0 && isFiltered(wanted) && button(say("many.open"), () => sendMany(wanted), { "data-key": "many" });
  renew(foot, make("p", { class: "faint", role: "status" }, shown ? told : say("find.nothing")),
    before && further(search), mayLook && button(say("find.look"), () => look(search), { "data-key": "look" }), all);
  if (into) isOver(search, before ? "page" : "all");
}

const further = (search) => button(say(search.into ? "find.further" : "find.more"), () => more(search), { class: "more", "data-key": "more" });

/** Says that contents are looked into, and what ends that. The rows that are there stay where they are. */
function begins(search, asking) {
  const { far, foot } = search;
  const hadKeyboard = foot.contains(document.activeElement);
  const stop = button(say("find.stop"), () => {
    asking.abort();
    renew(foot, make("p", { class: "faint", role: "status" }, say("find.stopped", { count: search.shown })), search.last && further(search));
    isOver(search, "page");
  });
  put(far, make("p", { role: "status" }, say("find.far.begins", { words: search.into })), make("p", { class: "how-far" }), stop);
  if (search.shown) foot.querySelectorAll("button").forEach((one) => { one.disabled = true; });
  else put(foot);
  if (hadKeyboard) stop.focus({ preventScroll: true });
}

const COUNTED = ["messages", "forgotten", "unread"];

/** What was looked into before, on pages that were shown, and now. */
function summed(before, now) {
  return { ...now, ...Object.fromEntries(COUNTED.map((what) => [what, now[what] + (before?.[what] ?? 0)])) };
}

function tellFar(search, looked) {
  search.looked = looked;
  const line = search.far.querySelector(".how-far");
  if (line && looked.until) text(line, say("find.far", { number: looked.messages, until: clock(looked.until) }));
}

/** Nothing goes on any more: how far it came, and what was not seen. */
function isOver({ far, foot, into, looked }, how) {
  const hadKeyboard = far.contains(document.activeElement);
  const words = looked?.until ? say(`find.far.${how}`, { words: into, number: looked.messages, until: clock(looked.until) }) : say("find.far.none", { words: into });
  const notes = COUNTED.slice(1).filter((what) => looked?.[what]).map((what) => say(`find.${what}`, { count: looked[what] }));
  put(far, make("p", { role: "status" }, [words, ...notes].join(" · ")));
  if (hadKeyboard) foot.querySelector(".more")?.focus({ preventScroll: true });
}

function row(search, message, place) {
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
    make("span", { class: "of" }, message.channel, message.kind && ` · ${message.kind}`, ` · ${sized(message.size)}`, place && ` · ${say(`find.in.${place}`)}`),
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
      again(search);
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
