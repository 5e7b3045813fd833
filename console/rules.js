// The rules by which people are told, and a trial of each.

import { get, path, post } from "./api.js";
import { confirm, dialog } from "./act.js";
import { button, make, mark, put, table } from "./dom.js";
import { lasting, named, say } from "./words.js";

export async function rules(panel) {
  put(panel, make("p", { class: "faint" }, say("act.reading")));
  try {
    const all = await get(path("alerts"));
    const heads = ["rule", "states", "about", "tell", "act"].map((key) => say(`rules.${key}`));
    put(panel, make("p", {}, say("rules.what")), all.length === 0 ? make("p", { class: "calm" }, say("rules.none"))
      : table(say("system.alerts"), heads, all.map(row), { class: "list" }));
  } catch (problem) {
    put(panel, make("p", { class: "problem", role: "alert" }, problem.message));
  }
}

function row(one) {
  const about = [...one.channels, ...one.tags.map((tag) => `#${tag}`)];
  const states = one.states === null ? say("channels.all") : one.states.map((state) => named("cause", state)).join(", ");
  return [make("code", {}, one.name), states, about.length ? about.join(", ") : say("channels.all"), one.tell.length ? one.tell.join(", ") : say("rules.nobody"),
    one.tell.length > 0 && button(say("rules.test"), () => test(one), { "aria-label": `${say("rules.test")}: ${one.name}` })];
}

/** Whoever is told is told that it is a trial. */
function test(rule) {
  confirm(say("rules.test_title", { name: rule.name }), {
    plan: async () => ({ lines: rule.tell.map((way) => say("rules.test_plan", { way })), notes: [say("rules.test_note")] }),
    verb: say("rules.test"),
    act: async () => {
      const tried = await post(path("alerts", rule.name, "test"));
      dialog(say("rules.test_title", { name: rule.name }), () => make("ul", { class: "rows tried" }, tried.map((one) => make("li", {},
        mark(one.problem ? "bad" : "good", `${one.number}. ${one.way}: ${one.problem ? say("rules.not_told") : say("rules.told", { time: lasting(one.seconds) })}`),
        one.problem && make("p", { class: "mono" }, one.problem)))));
      return tried.every((one) => !one.problem) ? say("rules.all_told") : say("rules.some_not");
    },
  });
}
