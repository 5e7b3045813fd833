// One message: its whole way in the order of time, and what it holds for whoever asks for that.

import { get, path, post } from "./api.js";
import { confirm, dialog, form } from "./act.js";
import { browse, steps } from "./content.js";
import { planned } from "./find.js";
import { button, copy, facts, field, link, make, mark, put, table, tell } from "./dom.js";
import { attend, known, listen, may } from "./live.js";
import { latest, messageStands, stateStands } from "./standing.js";
import { clock, lasting, named, number, say, sized } from "./words.js";

export function show(content, { parts: [, id] }) {
  const shown = { id, message: null, full: null, content: make("section", { class: "content", "aria-label": say("content.title") }) };
  const [head, trace] = [make("header", { class: "subject" }), make("section")];
  put(content, head, trace, shown.content);
  put(head, make("h1", {}, say("message.title", { id })), make("p", { class: "faint" }, say("act.reading")));
  const load = async () => {
    try {
      shown.message = await get(`${path("messages", id)}?content=hidden`);
      top(head, shown);
      put(trace, way(shown.message), await tries(shown.message));
      document.title = `${say("message.title", { id })} · Relais`;
    } catch (problem) {
      put(head, make("h1", {}, say("message.title", { id })), make("p", { class: "problem" }, problem.message));
    }
  };
  shown.load = load;
  load();
  hidden(shown);
  attend(id);
  let soon = null;
  const heard = (event) => {
    if (String(event.message ?? event.id) !== id) return;
    clearTimeout(soon);
    soon = setTimeout(load, 120);
  };
  const ends = [listen("message", heard), listen("all", load), listen("channels", (names) => shown.message && names.has(shown.message.channel) && load())];
  return () => {
    clearTimeout(soon);
    ends.forEach((end) => end());
  };
}

function top(head, shown) {
  const { message } = shown;
  const [tone, words] = messageStands(message);
  const id = String(message.id);
  const resend = `relais show ${id}`;
  put(head,
    make("div", {}, make("h1", {}, say("message.title", { id })), mark(tone, words), message.kind && make("span", { class: "chip" }, message.kind), message.flags.map((flag) => make("span", { class: "chip" }, named("flag", flag)))),
    make("div", { class: "buttons" },
      may("operate") && button(say("act.resend"), () => act(shown, "resend"), { class: "first" }),
      may("operate") && button(say("act.drop"), () => act(shown, "drop")),
      button(say("now.command"), () => copy(resend, say("act.copied", { what: resend })), { class: "plain" })),
    facts([
      [say("message.channel"), link(["channels", message.channel], {}, message.channel)],
      [say("message.received"), make("time", { datetime: message.received }, clock(message.received))],
      message.control_id && [say("message.control"), make("code", {}, message.control_id)],
      [say("message.size"), sized(message.size)],
      [say("message.heard"), heard(message)],
      message.why && [say("message.why"), make("span", { class: "mono" }, message.why)],
      message.superseded_by && [say("message.superseded_by"), link(["messages", String(message.superseded_by)], {}, String(message.superseded_by))],
      message.supersedes?.length && [say("message.supersedes"), message.supersedes.map((one) => [link(["messages", String(one)], {}, String(one)), " "])],
      [say("message.version"), [make("code", {}, message.version.slice(0, 12)), " ", known.channels.get(message.channel)?.version === message.version ? make("span", { class: "faint" }, say("message.same_version")) : make("span", { class: "faint" }, say("message.other_version"))]],
    ]));
}

function heard(message) {
  const outcome = named("outcome", message.reply?.outcome ?? message.outcome ?? "");
  return named("answer", message.answer).replace("…", outcome);
}

/** A column for each component, in the order of time; how long each took stands beside it. */
function way(message) {
  const columns = [message.channel, ...new Set(message.deliveries.map((one) => one.destination))];
  const events = [{ at: message.received, column: 0, words: say("trace.came", { size: sized(message.size) }), tone: "good" }];
  const [tone, state] = stateStands(message.state);
  const { steps_ended: ran, steps_took: took, answered } = message.times ?? {};
  events.push({ at: ran, column: 0, words: say("trace.steps", { state }), detail: message.why, tone, lasted: took !== null && took !== undefined && say("trace.took", { time: lasting(took) }) });
  if (answered && ["told", "untold", "unavailable"].includes(message.answer)) events.push({ at: answered, column: 0, words: say("trace.answered", { words: heard(message) }), tone: message.answer === "told" ? "good" : "warn" });
  const now = new Set(latest(message.deliveries).map((one) => one.id));
  for (const one of message.deliveries) {
    const [tone, state] = stateStands(one.stopped ? "stopped" : one.state);
    const part = one.part ? say("trace.part", { part: one.part }) : "";
    events.push({
      at: one.ended, column: columns.indexOf(one.destination), tone: now.has(one.id) ? tone : "off",
      words: `${state}${part}`, detail: one.why, attempts: one.attempts,
      lasted: one.ended && ran && say("trace.since_steps", { time: lasting(between(ran, one.ended)) }),
      next: one.state === "waiting" ? one.next_try : null, isOld: !now.has(one.id),
    });
  }
  const later = (one) => (one.at ? new Date(one.at).getTime() : Infinity);
  // Steps whose end nobody wrote down stand behind what came.
  const [first, ...rest] = events;
  const placed = rest.map((one, place) => [place === 0 && !one.at ? -Infinity : later(one), one]);
  const sorted = [first, ...placed.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0)).map(([, one]) => one)];
  const head = [make("th", { scope: "col" }, say("trace.time")), columns.map((name, at) => make("th", { scope: "col" }, at === 0 ? make("span", {}, name) : `→ ${name}`))];
  return [make("h2", {}, say("trace.title")), make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": say("trace.title") },
    make("table", { class: "trace" }, make("caption", { class: "unseen" }, say("trace.title")), make("thead", {}, make("tr", {}, head)),
      make("tbody", {}, sorted.map((one, at) => make("tr", {}, make("td", { class: "time" }, make("span", { class: "order" }, `${at + 1}`), one.at ? clock(one.at) : "", one !== first && one.at && make("small", {}, `+${lasting(between(message.received, one.at))}`)),
        columns.map((_, column) => make("td", {}, column === one.column && box(one))))))))];
}

/** How many seconds from one time to a later one: a clock may have been set back. */
function between(one, other) {
  return Math.max(0, (new Date(other) - new Date(one)) / 1000);
}

function box(one) {
  return make("div", { class: `event ${one.tone}` }, mark(one.tone, one.words), one.lasted && make("small", {}, one.lasted), one.isOld && make("small", {}, say("trace.replaced")),
    one.attempts > 0 && make("small", {}, say("trace.attempts", { count: one.attempts })),
    one.next && make("small", {}, say("trace.next", { at: clock(one.next) })),
    one.detail && make("small", { class: "mono" }, one.detail));
}

/** The attempts one by one, where one was not enough. */
async function tries(message) {
  const made = message.deliveries.filter((one) => one.attempts > 1 || (one.attempts === 1 && one.state !== "sent"));
  if (!message.deliveries.length) return null;
  const known = await get(path("messages", String(message.id), "attempts")).catch(() => []);
  const missing = made.filter(({ id }) => !known.some((one) => one.delivery === id)).reduce((sum, one) => sum + one.attempts, 0);
  const row = (one) => [clock(one.at), `→ ${one.destination}`, String(one.number), `${number(one.took * 1000, 1)} ms`, named("attempt", one.outcome),
    make("span", { class: "mono" }, one.why ?? ""), one.next === null ? "–" : say("tries.in", { time: lasting(one.next) })];
  const gap = (one) => ["…", `→ ${one.destination}`, "", "", "", say("tries.left_out", { count: one.left_out }), ""];
  const rows = known.flatMap((one) => (one.left_out > 0 ? [gap(one), row(one)] : [row(one)]));
  if (!rows.length && !missing) return null;
  return [make("h3", {}, say("tries.title")), missing > 0 && make("p", { class: "note" }, say("tries.forgotten", { count: missing })),
    rows.length > 0 && table(say("tries.title"), ["when", "where", "number", "took", "outcome", "why", "next"].map((head) => say(`tries.${head}`)), rows, { class: "list" })];
}

/** Nothing of what a message holds is asked for before somebody asks. */
function hidden(shown) {
  const box = shown.content;
  if (!may("content")) {
    put(box, make("h2", {}, say("content.title")), make("p", { class: "note" }, say("content.not_yours")));
    return;
  }
  put(box, make("h2", {}, say("content.title")), make("div", { class: "veil" }, make("p", {}, say("content.hidden", { name: known.session.name })),
    button(say("content.show"), () => reveal(shown), { class: "first", "data-key": "reveal" })));
}

async function reveal(shown) {
  const box = shown.content;
  try {
    shown.full = await get(path("messages", shown.id));
    const source = Object.entries(shown.full.source ?? {});
    const keys = shown.full.keys ?? [];
    put(box, make("h2", {}, say("content.title")), make("p", { class: "note" }, say("content.noted", { name: known.session.name })),
      make("div", { class: "buttons" }, button(say("content.hide"), () => { shown.full = null; hidden(shown); }), button(say("content.each"), () => each(shown), { "data-key": "each" }), button(say("content.test"), () => asTest(shown.full))),
      make("div", { class: "each" }, browse(shown.full)),
      source.length > 0 && [make("h3", {}, say("content.source")), facts(source.map(([name, value]) => [name, String(value)]))],
      keys.length > 0 && [make("h3", {}, say("content.keys")), facts(keys.map(({ name, value }) => [name, value]))]);
    box.querySelector("button").focus();
  } catch (problem) {
    tell(problem.message, "bad");
  }
}

/** Has the steps run once more, and shows what each of them made. */
async function each(shown) {
  const place = shown.content.querySelector(".each");
  try {
    shown.full.steps = (await get(path("messages", shown.id, "steps"))).steps;
    put(place, steps(shown.full), browse(shown.full));
  } catch (problem) {
    put(place, make("p", { class: "note", role: "status" }, problem.message), browse(shown.full));
  }
}

/** Which, where to, edited or not; then the plan; then it is done. */
function act(shown, verb) {
  const { message } = shown;
  const channel = known.channels.get(message.channel);
  const names = [...new Set([...(channel?.destinations.map((one) => one.name) ?? []), ...message.deliveries.map((one) => one.destination)])];
  const to = make("select", { name: "to" }, make("option", { value: "" }, say(verb === "resend" ? "message.to_unsent" : "message.to_all")), message.deliveries.length > 0 && names.map((name) => make("option", { value: name }, name)));
  const body = shown.full?.body;
  const edited = verb === "resend" && body?.exact && make("details", {}, make("summary", {}, say("message.edit")),
    make("textarea", { name: "body", rows: "10", spellcheck: "false", "aria-label": say("message.edit") }, ""));
  if (edited) edited.querySelector("textarea").value = body.text.replace(/\r\n?/g, "\n");
  const wasHl7 = body?.text.includes("\r");
  form(say(`message.${verb}.title`, { id: shown.id }), [make("p", {}, say(`message.${verb}.what`)), field(say("message.to"), to), edited], {
    verb: say("act.plan"),
    note: verb === "resend" && !shown.full && may("content") ? say("message.edit_first") : null,
    act: async (given, close) => {
      const wish = {};
      if (given.to) wish.to = given.to;
      if (edited?.open && given.body !== undefined) {
        const text = given.body.replace(/\r\n/g, "\n");
        const now = wasHl7 ? text.replace(/\n/g, "\r") : text;
        if (now !== body.text) wish.body = now;
      }
      close();
      sure(shown, verb, wish);
      return false;
    },
  });
}

function sure(shown, verb, wish) {
  const where = path("messages", shown.id, verb);
  confirm(say(`message.${verb}.title`, { id: shown.id }), {
    plan: async () => {
      const plan = await post(where, { ...wish, plan: true });
      return { lines: plan.map((one) => planned(one, verb, wish.to)), notes: wish.body === undefined ? [] : [say("message.edited_note", { count: wish.body.length })] };
    },
    verb: say(`act.${verb}`),
    danger: verb === "drop",
    act: async () => {
      const done = await post(where, wish);
      await shown.load();
      return say(`message.${verb}.done`, { count: done.length });
    },
  });
}

/** The message as a file, and the lines that make a test of it. */
function asTest(message) {
  const name = (message.control_id ?? `message-${message.id}`).replace(/[^\w.-]/g, "_");
  const end = message.body.text.startsWith("{") ? "json" : message.body.text.startsWith("<") ? "xml" : "hl7";
  const file = `messages/${name}.${end}`;
  const outcome = { queued: "accepted", filtered: "filtered", unrouted: "unrouted", refused: "refused", failed: "failed" }[message.state] ?? "accepted";
  const expect = [...new Set(message.deliveries.map((one) => one.destination))].map((one) => `      ${one}: { file: messages/${name}.${one}.${end} }\n`).join("");
  const lines = `  - name: message ${message.id}\n    message: ${file}\n    at: ${message.received}\n    outcome: ${outcome}\n${expect ? `    expect:\n${expect}` : ""}`;
  dialog(say("content.test"), () => [make("p", {}, say("content.test_what", { file })), make("pre", { class: "code", tabindex: "0" }, lines),
    make("p", { class: "note" }, say("content.test_note")),
    make("div", { class: "buttons" }, button(say("content.copy"), () => copy(lines, say("act.copied", { what: "tests:" })), { class: "first" }),
      button(say("content.save", { name: `${name}.${end}` }), () => save(message, `${name}.${end}`)))]);
}

async function save(message, name) {
  const answer = await fetch(path("messages", String(message.id), "body"), { headers: { "relais-console": "1" } });
  const address = URL.createObjectURL(await answer.blob());
  make("a", { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}

