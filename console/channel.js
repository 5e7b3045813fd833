// One channel: from its source over its steps to its destinations, and what belongs to it.

import { get, path, post, query } from "./api.js";
import { confirm } from "./act.js";
import { bars } from "./chart.js";
import { difference, hunks } from "./difference.js";
import { history } from "./history.js";
import { button, link, make, mark, put, renew, table } from "./dom.js";
import { peers } from "./peers.js";
import { rhythm } from "./rhythm.js";
import { known, lately, listen, may, renewAll } from "./live.js";
import { actOnChannel, actOnDestination, actsOf, actsOnDestination, channelStands, destinationStands, versionOf } from "./standing.js";
import { clock, lasting, named, number, say } from "./words.js";

const TABS = { traffic, queue, peers, file, changes, tests };
/** What the files say is for those who run the channel. */
const OPERATORS = ["file", "tests"];

export function show(content, { parts: [, name, wanted] }) {
  if (!known.channels.has(name)) {
    put(content, make("h1", {}, name), make("p", { class: "problem" }, say("channel.none", { name })));
    return undefined;
  }
  const tab = Object.hasOwn(TABS, wanted) ? wanted : "traffic";
  const head = make("header", { class: "subject" });
  const flow = make("div", { class: "flow", role: "group", "aria-label": say("channel.flow") });
  const panel = make("section", { class: "panel", role: "tabpanel", id: "panel", "aria-labelledby": `tab-${tab}` });
  const tabs = make("div", { class: "tabs", role: "tablist", "aria-label": name }, Object.keys(TABS).filter((one) => may("operate") || !OPERATORS.includes(one)).map((one) => link(["channels", name, one], {
    role: "tab", id: `tab-${one}`, "aria-selected": String(one === tab), "aria-controls": "panel" }, say(`channel.tab.${one}`))));
  put(content, head, flow, tabs, panel);
  let outline = null;
  const top = () => {
    const channel = known.channels.get(name);
    if (!channel) return;
    title(head, channel);
    drawing(flow, channel, outline);
  };
  top();
  get(path("channels", name, "outline")).then((found) => { outline = found; top(); }).catch(() => {});
  const ends = ["all", "channels", "counts"].map((kind) => listen(kind, top));
  const end = TABS[tab](panel, name);
  return () => [...ends, end].forEach((one) => typeof one === "function" && one());
}

function title(head, channel) {
  const [tone, words] = channelStands(channel);
  const acts = actsOf(channel).map((act) => button(say(`act.${act}`), () => actOnChannel(channel, act), { "data-key": act }));
  renew(head,
    make("div", {}, make("h1", {}, channel.name), mark(tone, words), versionOf(channel), !channel.in_force && make("span", { class: "chip warning" }, say("channels.edited")),
      channel.tags.map((tag) => make("a", { class: "chip", href: `#/channels?tag=${encodeURIComponent(tag)}`, "data-key": `tag ${tag}` }, tag))),
    make("div", { class: "buttons" }, acts),
    channel.description && make("p", {}, channel.description),
    channel.trouble && make("p", { class: "problem" }, channel.trouble));
}

/** Source, steps, destinations, from left to right; on a narrow page from top to bottom. */
function drawing(flow, channel, outline) {
  const hour = (kind) => say("channel.per_hour", { number: lately(channel.name, kind) });
  const series = known.series?.of.get(channel.name);
  const [tone] = channelStands({ ...channel, destinations: [], failed: 0, held: 0, overdue: 0 });
  const source = make("div", { class: `node ${tone}` }, make("h2", {}, say("channel.source"), outline && make("span", { class: "protocol" }, outline.source)),
    channel.listens.map((one) => make("p", { class: "mono" }, one)), make("p", {}, mark(tone, named("state", channel.trouble ? "not_taking" : channel.state))),
    make("p", { class: "faint" }, say("channel.connections", { count: channel.connections })));
  const edge = (words) => make("div", { class: "edge" }, make("span", {}, words));
  const steps = make("div", { class: "node" }, make("h2", {}, say("channel.steps")),
    outline && (outline.steps.length ? make("ol", {}, outline.steps.map((step) => make("li", {}, make("b", {}, step.verb), " ", make("span", { class: "mono" }, step.words))))
      : make("p", { class: "faint" }, say("channel.no_steps"))),
    channel.failed > 0 && make("p", {}, make("a", { href: `#/find?${new URLSearchParams({ channel: channel.name, state: "failed" })}`, "data-key": "failed" }, mark("warning", say("channel.failed", { count: channel.failed })))),
    channel.held > 0 && make("p", {}, make("a", { href: `#/find?${new URLSearchParams({ channel: channel.name, state: "held" })}`, "data-key": "held" }, mark("warning", say("channel.held", { count: channel.held })))),
    channel.overdue > 0 && make("p", {}, mark("warning", say("channel.overdue", { count: channel.overdue }))),
    series?.p95_seconds ? make("p", { class: "faint" }, say("channel.p95", { time: lasting(series.p95_seconds) })) : null);
  const ends = make("div", { class: "ends" }, channel.destinations.map((one) => make("div", { class: "outlet" }, edge(""),
    target(channel, one, outline?.destinations.find((found) => found.name === one.name)))),
  channel.destinations.length === 0 && make("p", { class: "faint" }, say("channel.no_destinations")));
  renew(flow, source, edge(hour("received")), steps, edge(hour("sent")), ends);
}

function target(channel, destination, outline) {
  const [tone, words] = destinationStands(destination);
  const { head } = destination;
  const unsettled = Object.entries(destination.unsettled ?? {}).filter(([, count]) => count > 0);
  const found = (state) => `#/find?${new URLSearchParams({ channel: channel.name, destination: destination.name, state })}`;
  return make("div", { class: `node ${tone}`, "data-destination": destination.name },
    make("h2", {}, destination.name, outline && make("span", { class: "protocol" }, outline.to)),
    outline?.when && make("p", { class: "faint" }, say("channel.when"), " ", make("span", { class: "mono" }, outline.when)),
    outline?.after && make("p", { class: "faint" }, say("channel.after", { name: outline.after })),
    make("p", {}, mark(tone, words)),
    make("p", { class: "faint rate" }, say("channel.per_hour", { number: known.series?.of.get(channel.name)?.to[destination.name] ?? 0 })),
    destination.depth > 0 && make("p", {}, make("a", { href: found("waiting"), "data-key": `wait ${destination.name}` }, say("destination.waiting", { count: destination.depth, oldest: lasting(destination.oldest_seconds) }))),
    (destination.trouble || head?.why) && make("p", { class: "mono why" }, destination.trouble ?? head.why),
    head && head.attempts > 0 && make("p", { class: "faint" }, say("destination.attempts", { count: head.attempts }),
      head.next_try_seconds !== null && ` · ${say("destination.next", { time: lasting(Math.max(0, head.next_try_seconds)) })}`),
    unsettled.map(([state, count]) => make("p", {}, make("a", { href: found(state), "data-key": `${state} ${destination.name}` }, mark("warning", `${number(count)} ${named("state", state)}`)))),
    make("div", { class: "buttons" }, actsOnDestination(destination).map((act) => button(say(`act.${act}`), () => actOnDestination(channel, destination, act), {
      "data-key": `${act} ${destination.name}`, "aria-label": say("destination.act_on", { act: say(`act.${act}`), name: destination.name }) }))));
}

function traffic(panel, name) {
  const [day, week] = [make("div"), make("section")];
  put(panel, day, week);
  rhythm(week, name);
  const all = () => {
    const series = known.series?.of.get(name);
    if (!series) return;
    const total = (kind) => series[kind].reduce((sum, one) => sum + one, 0);
    const window = say("unit.day_or_start", { start: clock(known.series.since, false) });
    renew(day, bars(series, known.series),
      make("dl", { class: "numbers" }, [["in", "received"], ["out", "sent"], ["wrong", "wrong"]].map(([key, kind]) => [
        make("div", {}, make("dt", {}, say(`chart.${key}`)), make("dd", {}, make("b", {}, number(total(kind))), " ", make("span", { class: "faint" }, window)))])),
      make("p", {}, make("a", { class: "button", href: `#/find?${new URLSearchParams({ channel: name })}`, "data-key": "messages" }, say("channel.messages"))));
  };
  all();
  return listen("counts", all);
}

function queue(panel, name) {
  const load = async () => {
    try {
      const waiting = await get(path("deliveries") + query({ channel: name, state: "waiting", limit: 50 }));
      renew(panel, waiting.length === 0 ? make("p", { class: "calm" }, say("channel.queue_empty"))
        : [make("p", { class: "faint" }, say("channel.queue_first", { count: waiting.length })), table(say("channel.tab.queue"), ["queue.message", "queue.destination", "queue.attempts", "queue.next", "queue.why"].map((key) => say(key)),
          waiting.map((one) => [link(["messages", String(one.message)], { "data-key": `m${one.id}` }, String(one.message)), one.destination, number(one.attempts),
            one.next_try ? clock(one.next_try) : say("queue.turn"), make("span", { class: "mono" }, one.why ?? "")]), { class: "list" })]);
    } catch (problem) {
      put(panel, make("p", { class: "problem" }, problem.message));
    }
  };
  load();
  return listen("channels", (names) => names.has(name) && load());
}

/** The file as it is on disk, with what `relais check` says beside its lines. */
async function file(panel, name) {
  if (!await read(panel, name)) return;
  const { text, faults, file: where } = read.last;
  const marked = new Map();
  for (const fault of faults) marked.set(fault.line, [...(marked.get(fault.line) ?? []), fault]);
  const lines = text.replace(/\n$/, "").split("\n");
  put(panel, make("p", { class: "faint" }, say("file.where", { file: where }), " · ", faults.length ? say("file.faults", { count: faults.length }) : say("file.sound")),
    make("div", { class: "code", tabindex: "0", role: "region", "aria-label": where }, lines.map((line, at) => [
      make("div", { class: `line ${marked.has(at + 1) ? "marked" : ""}` }, make("span", { class: "at", "aria-hidden": "true" }, String(at + 1)), make("code", {}, line || " ")),
      (marked.get(at + 1) ?? []).map((fault) => make("p", { class: `fault ${fault.severity === "error" ? "bad" : "warning"}` },
        mark(fault.severity === "error" ? "bad" : "warning", `${fault.code}: ${fault.message}`), fault.help && make("small", {}, fault.help)))])));
}

async function read(panel, name) {
  put(panel, make("p", { class: "faint" }, say("act.reading")));
  try {
    read.last = await get(path("channels", name, "file"));
    return panel.isConnected;
  } catch (problem) {
    put(panel, make("p", { class: "problem" }, problem.message));
    return false;
  }
}

/** What runs, against what the files say by now. */
async function changes(panel, name) {
  if (!may("operate")) {
    history(put(panel), name);
    return;
  }
  if (!await read(panel, name)) return;
  const { version, in_force: before, edited: after, faults } = read.last;
  const isSame = before === after;
  const errors = faults.filter((fault) => fault.severity === "error").length;
  put(panel,
    make("p", {}, say("changes.version"), " ", make("code", {}, version.slice(0, 12)), " · ", isSame ? mark("good", say("changes.none")) : mark("warning", say("channels.edited"))),
    before === null && make("p", { class: "faint" }, say("changes.nothing_runs")),
    !isSame && before !== null && after !== null && shownDifference(before, after),
    errors > 0 && make("p", { class: "problem" }, say("changes.faults", { count: errors })),
    !isSame && errors === 0 && may("deploy") && button(say("changes.deploy"), () => deploy(name, before, after), { class: "first" }));
  history(panel, name);
}

export function shownDifference(before, after) {
  const signs = { same: " ", gone: "−", new: "+" };
  const names = { same: "", gone: say("changes.gone"), new: say("changes.new") };
  return make("div", { class: "code difference", tabindex: "0", role: "region", "aria-label": say("changes.difference") },
    hunks(difference(before, after)).map((one) => (one === null ? make("div", { class: "gap" }, "⋯")
      : make("div", { class: `line ${one.kind}` }, make("span", { class: "at", "aria-hidden": "true" }, signs[one.kind]),
        one.kind !== "same" && make("span", { class: "unseen" }, names[one.kind]), make("code", {}, one.line || " ")))));
}

function deploy(name, before, after) {
  confirm(say("changes.deploy_title", { name }), {
    plan: async () => {
      const all = difference(before ?? "", after ?? "");
      const count = (kind) => all.filter((one) => one.kind === kind).length;
      return { lines: [say("changes.deploy_plan", { name, gone: count("gone"), come: count("new") })], notes: [say("changes.deploy_note")] };
    },
    verb: say("changes.deploy"),
    act: async () => {
      const done = await post(path("deploy") + query({ channel: name }));
      if (!done.in_force) throw new Error(done.report);
      await renewAll();
      dispatchEvent(new HashChangeEvent("hashchange"));
      return [...done.changes, ...done.losses].join(" · ") || say("act.done");
    },
  });
}

async function tests(panel, name) {
  if (!await read(panel, name)) return;
  const { tests: names } = read.last;
  const results = make("div");
  const run = button(say("tests.run", { count: names.length }), async () => {
    run.disabled = true;
    put(results, make("p", { class: "faint" }, say("tests.running")));
    try {
      put(results, (await post(path("channels", name, "tests"))).map(result));
    } catch (problem) {
      put(results, make("p", { class: "problem", role: "alert" }, problem.message));
    }
    run.disabled = false;
  }, { class: "first" });
  put(panel, make("p", {}, say("tests.what")), names.length === 0 ? make("p", { class: "calm" }, say("tests.none"))
    : [may("operate") && run, make("ul", { class: "rows" }, names.map((one) => make("li", {}, one))), results]);
}

function result({ test, passed, problems, seconds }) {
  return make("article", { class: `episode ${passed ? "good" : "bad"}` },
    make("header", {}, mark(passed ? "good" : "bad", say(passed ? "tests.passed" : "tests.failed")), make("strong", {}, test), make("span", { class: "since" }, lasting(seconds))),
    problems.map((one) => [make("p", {}, one.what), one.diff && make("pre", { class: "mono", tabindex: "0" }, one.diff)]));
}
