// What needs a person, grouped by cause; calm when there is nothing.

import { path, post } from "./api.js";
import { form } from "./act.js";
import { button, copy, field, link, make, mark, put, renew } from "./dom.js";
import { known, lately, listen, may, putEpisode } from "./live.js";
import { spark } from "./chart.js";
import { ago, clock, knows, lasting, measured, named, number, say, sized } from "./words.js";
import { actOnDestination, channelStands, queueOf } from "./standing.js";

const WORST = ["critical", "warning"];

/** Open, and nobody has it in hand. */
const fresh = () => known.episodes.filter((one) => one.state === "open" && !one.acknowledged && !isSnoozed(one));

/** What goes on by itself is shown, and needs nobody. */
const goesOn = (one) => one.reason === "by_itself";

/** What needs somebody. */
export const waiting = () => fresh().filter((one) => !goesOn(one));

const isSnoozed = (one) => one.snoozed && new Date(one.snoozed.until) > new Date();

export function show(content) {
  const headline = make("div", { class: "headline" });
  const strip = make("div", { class: "strip" });
  const list = make("div");
  const later = make("div");
  put(content, make("h1", { class: "unseen" }, say("top.now")), headline, strip, list, later);
  const all = () => {
    summary(headline);
    numbers(strip);
    episodes(list, later);
  };
  all();
  const ends = ["all", "episodes", "channels"].map((kind) => listen(kind, all));
  ends.push(listen("counts", () => numbers(strip)));
  // Lengths of time grow while nothing happens.
  const clockwork = setInterval(all, 30_000);
  return () => {
    ends.forEach((end) => end());
    clearInterval(clockwork);
  };
}

function summary(headline) {
  const open = waiting();
  const tone = open.some((one) => one.severity === "critical") ? "bad" : open.length ? "warning" : "good";
  const words = open.length ? say("now.need", { count: open.length }) : say("now.calm");
  const since = open.map((one) => one.since).sort()[0];
  renew(headline, make("p", { class: `big ${tone}` }, mark(tone, words)),
    make("p", { class: "faint" }, open.length ? say("now.since", { since: clock(since), lasting: lasting(ago(since)) }) : say("now.calm_more")));
}

function numbers(strip) {
  const channels = [...known.channels.values()];
  const running = channels.filter((one) => one.state === "running").length;
  const good = channels.filter((one) => channelStands(one)[0] === "good").length;
  const came = channels.reduce((sum, one) => sum + lately(one.name, "received"), 0);
  const wait = channels.reduce((sum, one) => sum + queueOf(one).depth, 0);
  const { store_full_days: days, store_free_bytes: free } = known.server;
  const cell = (value, words, to) => make(to ? "a" : "div", { class: "cell", href: to }, make("b", {}, value), make("span", {}, words));
  renew(strip,
    cell(`${number(good)} / ${number(channels.length)}`, say("now.normal", { count: running }), "#/channels"),
    cell(number(came), say("now.came")),
    cell(number(wait), say("now.waits"), "#/find?state=waiting"),
    cell(days && days < 3650 ? say("unit.days", { count: Math.floor(days) }) : sized(free), say(days && days < 3650 ? "now.disk_days" : "now.disk_free"), "#/system"),
    make("div", { class: "cell chart" }, spark(together(), 200, 30), make("span", {}, say("now.day"))));
}

/** All channels' day in one. */
function together() {
  const empty = () => new Array(known.series.steps).fill(0);
  const sum = { received: empty(), wrong: empty() };
  for (const one of known.series.of.values()) {
    one.received.forEach((value, at) => { sum.received[at] += value; });
    one.wrong.forEach((value, at) => { sum.wrong[at] += value; });
  }
  return sum;
}

function episodes(list, later) {
  const open = known.episodes.filter((one) => one.state === "open");
  const inHand = open.filter((one) => one.acknowledged || isSnoozed(one));
  renew(list, groups(fresh()));
  const closed = known.episodes.filter((one) => one.state === "closed").sort((one, other) => (one.closed < other.closed ? 1 : -1));
  renew(later,
    inHand.length > 0 && make("section", {}, make("h2", {}, say("now.in_hand")), inHand.map(card)),
    closed.length > 0 && make("details", { class: "closed" }, make("summary", { "data-key": "closed" }, say("now.over", { count: closed.length })),
      make("ul", { class: "rows" }, closed.slice(0, 50).map((one) => make("li", {}, mark("off", title(one)),
        make("span", { class: "faint" }, say("now.lasted", { since: clock(one.since), lasting: lasting((new Date(one.closed) - new Date(one.since)) / 1000) })))))));
}

/** Headings are causes: what has one cause has one remedy. */
function groups(open) {
  const byCause = Map.groupBy ? Map.groupBy(open, (one) => one.cause) : open.reduce((map, one) => map.set(one.cause, [...(map.get(one.cause) ?? []), one]), new Map());
  const worst = ([, list]) => Math.min(...list.map((one) => WORST.indexOf(one.severity)));
  const sorted = [...byCause].sort((one, other) => worst(one) - worst(other));
  return sorted.map(([cause, list]) => make("section", {},
    make("h2", {}, named("cause", cause), list.length > 1 && make("span", { class: "faint" }, ` · ${number(list.length)}`)),
    list.sort((one, other) => (one.since < other.since ? -1 : 1)).map(card)));
}

const toneOf = (one) => (one.severity === "critical" && !goesOn(one) ? "bad" : "warning");

function title(one) {
  const where = [one.channel, one.destination].filter(Boolean).join(" → ") || one.subject || say("now.server");
  return say("now.what", { where, cause: named("cause", one.cause) });
}

function card(one) {
  const where = [one.channel && link(["channels", one.channel], { "data-key": `to${one.id}` }, one.channel), one.destination && ` → ${one.destination}`,
    one.subject && ` ${one.subject}`].filter(Boolean);
  const advice = knows(`advice.${one.advice}`) ? say(`advice.${one.advice}`) : one.advice_words;
  const reason = one.reason && knows(`reason.${one.reason}`) && say(`reason.${one.reason}`);
  return make("article", { class: `episode ${toneOf(one)}`, "data-row": true, "data-episode": one.cause, "aria-label": title(one) },
    make("header", {}, mark(toneOf(one), make("strong", {}, where.length ? where : say("now.server"))),
      make("span", { class: "since" }, say("now.since", { since: clock(one.since), lasting: lasting(ago(one.since)) }),
        one.times > 1 && ` · ${say("now.times", { count: one.times })}`)),
    (reason || one.detail) && make("p", { class: "why" }, reason, reason && one.detail && make("br"), one.detail && make("code", {}, one.detail)),
    make("ul", { class: "evidence" }, one.evidence.filter(({ value }) => value !== null).map((each) =>
      make("li", {}, make("span", {}, named("evidence", each.name)), " ", make("b", {}, measured(each))))),
    one.rule && make("p", { class: "faint" }, say("now.rule", { rule: one.rule })),
    make("p", { class: "advice" }, make("span", { class: "faint" }, say("now.do")), " ", advice),
    one.acknowledged && make("p", { class: "note" }, say("now.taken", { by: one.acknowledged.by, at: clock(one.acknowledged.at) }), one.acknowledged.note && `: ${one.acknowledged.note}`),
    isSnoozed(one) && make("p", { class: "note" }, say("now.snoozed", { by: one.snoozed.by, until: clock(one.snoozed.until) })),
    make("div", { class: "buttons" }, buttons(one)));
}

/** A state of messages behind a cause: where they are found. */
const STATES = { given_up: "given_up", set_aside: "set_aside", unsure: "unsure", failed: "failed", unmapped: "held", destination_down: "waiting",
  destination_stopped: "waiting", queue_old: "waiting" };

function buttons(one) {
  const channel = known.channels.get(one.channel);
  const destination = channel?.destinations.find((each) => each.name === one.destination);
  const key = (name) => ({ "data-key": `${name}${one.id}` });
  const asked = new URLSearchParams({ channel: one.channel ?? "", destination: one.destination ?? "", state: STATES[one.cause] ?? "" });
  const list = [STATES[one.cause] && one.channel && make("a", { class: "button", href: `#/find?${asked}`, ...key("see") }, say("now.see")),
    ["channel_broken", "edit_not_in_force"].includes(one.cause) && one.channel && link(["channels", one.channel, "file"], { class: "button", ...key("file") }, say("now.file"))];
  if (may("operate")) {
    if (destination && destination.state !== "held" && STATES[one.cause] === "waiting") {
      list.push(button(say("act.hold"), () => actOnDestination(channel, destination, "hold"), key("hold")));
    }
    if (one.acknowledged || isSnoozed(one)) list.push(button(say("now.wake"), () => settle(one, "wake", {}), key("wake")));
    else list.push(button(say("now.take"), () => take(one), key("take")), button(say("now.snooze"), () => snooze(one), key("snooze")));
  }
  if (one.command) list.push(button(say("now.command"), () => copy(one.command, say("act.copied", { what: one.command })), { class: "plain", ...key("command") }));
  return list;
}

const settle = async (one, act, body) => putEpisode(await post(path("episodes", String(one.id), act), body));

function take(one) {
  form(say("now.take_title"), [make("p", {}, say("now.take_plan")),
    field(say("now.note"), make("input", { name: "note", maxlength: "200", autocomplete: "off" }))], {
    verb: say("now.take"),
    act: ({ note }) => settle(one, "acknowledge", note ? { note } : {}).then(() => say("now.take_done")),
  });
}

const LENGTHS = ["30m", "2h", "8h", "1d"];

function snooze(one) {
  form(say("now.snooze_title"), [make("p", {}, say("now.snooze_plan")), make("fieldset", {}, make("legend", {}, say("now.how_long")),
    LENGTHS.map((length, at) => make("label", { class: "choice" }, make("input", { type: "radio", name: "for", value: length, checked: at === 0 }), say(`snooze.${length}`))))], {
    verb: say("now.snooze"),
    act: (given) => settle(one, "snooze", { for: given.for }).then(() => say("now.snooze_done")),
  });
}
