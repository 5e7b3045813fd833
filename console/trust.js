// Certificates: our own, those we trust, those that peers show; the ones that end first come first.

import { get, path } from "./api.js";
import { link, make, mark, put, table } from "./dom.js";
import { clock, number, say } from "./words.js";

export async function certificates(panel) {
  put(panel, make("p", { class: "faint" }, say("act.reading")));
  try {
    const all = await get(path("certificates"));
    const heads = ["ends", "kind", "channel", "place", "subject"].map((key) => say(`certificates.${key}`));
    put(panel, make("p", {}, say("certificates.what")), all.length === 0 ? make("p", { class: "calm" }, say("certificates.none"))
      : table(say("system.certificates"), heads, all.map(row), { class: "list" }));
  } catch (problem) {
    put(panel, make("p", { class: "problem", role: "alert" }, problem.message));
  }
}

function row(one) {
  const where = one.channel ? [link(["channels", one.channel], {}, one.channel), one.destination && ` → ${one.destination}`] : say("now.server");
  const held = [one.subject ?? "–", one.number > 1 && make("small", {}, say("certificates.first", { number: number(one.number) }))];
  return [one.trouble ? mark("bad", one.trouble) : ending(one), say(`certificates.${one.kind}`), where, make("code", {}, one.place), held];
}

function ending({ ends, days_left: left }) {
  if (left === null) return "–";
  const tone = left <= 7 ? "bad" : left <= 30 ? "warning" : "good";
  return [mark(tone, left < 0 ? say("certificates.over") : say("certificates.left", { count: left })), make("small", {}, clock(ends, false))];
}
