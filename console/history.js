// The versions of a channel that came into force, and what each changed.

import { get, path } from "./api.js";
import { shownDifference } from "./channel.js";
import { dialog } from "./act.js";
import { button, make, mark, put, table } from "./dom.js";
import { may } from "./live.js";
import { clock, say } from "./words.js";

/** The list, newest first; who runs the channel sees what each said. */
export async function history(panel, name) {
  const box = make("section", {}, make("h2", {}, say("history.title")));
  panel.append(box);
  try {
    const all = await get(path("channels", name, "versions"));
    const heads = ["version", "since", "by", ...(may("operate") ? ["act"] : [])].map((key) => say(`history.${key}`));
    box.append(all.length === 0 ? make("p", { class: "calm" }, say("history.none"))
      : table(say("history.title"), heads, all.map((one, at) => row(name, all, one, at)), { class: "list history" }));
  } catch (problem) {
    box.append(make("p", { class: "problem" }, problem.message));
  }
}

function row(name, all, one, at) {
  const short = one.version.slice(0, 12);
  const named = (words) => ({ "aria-label": `${words}: ${short}` });
  const before = all[at + 1];
  const shown = (words, from, to) => button(words, () => compare(name, from, to), named(words));
  const acts = [before && shown(say("history.changed"), before, one), at > 0 && shown(say("history.against"), one, all[0]), !before && at === 0 && "–"];
  return [[make("code", {}, short), one.in_force && [" ", mark("good", say("history.in_force"))]],
    make("time", { datetime: one.at }, clock(one.at)), one.by ?? make("span", { class: "faint" }, say("history.files")),
    ...(may("operate") ? [make("div", { class: "buttons" }, acts)] : [])];
}

/** Two versions, with their scripts and tables. */
function compare(name, from, to) {
  const short = (one) => one.version.slice(0, 12);
  dialog(say("history.between", { from: short(from), to: short(to) }), () => {
    const box = make("div", {}, make("p", { class: "faint" }, say("act.reading")));
    const text = async (one) => (await get(path("channels", name, "versions", one.version))).text;
    Promise.all([text(from), text(to)]).then(([before, after]) => {
      put(box, make("p", { class: "faint" }, `${short(from)} · ${clock(from.at)} → ${short(to)} · ${clock(to.at)}`), shownDifference(before, after));
    }).catch((problem) => put(box, make("p", { class: "problem", role: "alert" }, problem.message)));
    return box;
  }, { class: "broad" });
}
