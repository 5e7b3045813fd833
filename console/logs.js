// The last lines of the server's log.

import { get, path, query } from "./api.js";
import { button, field, make, mark, put } from "./dom.js";
import { known } from "./live.js";
import { clock, say } from "./words.js";

const LEVELS = ["error", "warn", "info", "debug"];
const TONES = { error: "bad", warn: "warning", info: "good" };
const LIMIT = 300;

export function logs(panel) {
  const wanted = { channel: "", level: "", limit: LIMIT };
  const list = make("tbody");
  const foot = make("p", { class: "faint", role: "status" });
  let source = null;
  const follow = () => {
    source?.close();
    source = new EventSource(path("logs", "events") + query({ channel: wanted.channel, level: wanted.level }));
    source.addEventListener("lines", (event) => {
      list.prepend(...JSON.parse(event.data).reverse().map(row));
      while (list.rows.length > LIMIT) list.lastElementChild.remove();
      put(foot, say("logs.count", { count: list.rows.length }));
    });
  };
  const load = async () => {
    follow();
    try {
      const lines = await get(path("logs") + query(wanted));
      put(list, lines.map(row));
      put(foot, lines.length ? say("logs.count", { count: lines.length }) : say("logs.none"));
    } catch (problem) {
      put(foot, make("span", { class: "problem", role: "alert" }, problem.message));
    }
  };
  const choice = (name, words, values) => field(words, make("select", { onchange: (event) => { wanted[name] = event.target.value; load(); } },
    values.map((value) => make("option", { value }, value || say("find.any")))));
  put(panel, make("p", { class: "faint" }, say("logs.what")),
    make("div", { class: "filters" }, choice("channel", say("find.channel"), ["", ...[...known.channels.keys()].sort()]),
      choice("level", say("logs.level"), ["", ...LEVELS]), button(say("logs.again"), load)),
    make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": say("system.logs") }, make("table", { class: "list logs" }, make("caption", { class: "unseen" }, say("system.logs")),
      make("thead", {}, make("tr", {}, ["at", "level", "channel", "words"].map((one) => make("th", { scope: "col" }, say(`logs.${one}`))))), list)), foot);
  load();
  return () => source?.close();
}

function row(one) {
  return make("tr", {}, make("td", {}, make("time", { datetime: one.at }, clock(one.at))), make("td", {}, mark(TONES[one.level] ?? "off", one.level)),
    make("td", {}, one.channel ?? "–"), make("td", {}, make("code", {}, one.words)));
}
