// Everything that a filter fits, sent again: a plan, a confirmation, then how far it is.

import { get, path, post } from "./api.js";
import { confirm, form } from "./act.js";
import { button, field, make, put, tell } from "./dom.js";
import { known, listen, may } from "./live.js";
import { named, say } from "./words.js";

const FILTERS = ["q", "state", "channel", "destination", "since"];

/** Whether something is filtered by: of everything nobody sends everything again. */
export const isFiltered = (wanted) => FILTERS.some((name) => wanted[name]);

/** Asks where to, where that is a question. */
export function sendMany(wanted) {
  const filter = Object.fromEntries(FILTERS.filter((name) => wanted[name]).map((name) => [name, wanted[name]]));
  const names = known.channels.get(wanted.channel)?.destinations.map((one) => one.name) ?? [];
  const to = make("select", { name: "to" }, make("option", { value: "" }, wanted.destination ? wanted.destination : say("message.to_unsent")),
    names.filter((name) => name !== wanted.destination).map((name) => make("option", { value: name }, name)));
  form(say("many.title"), [make("p", {}, say("many.what")), names.length > 0 && field(say("message.to"), to)], {
    verb: say("act.plan"),
    act: async (given, close) => {
      close();
      sure(given.to ? { ...filter, to: given.to } : filter);
      return false;
    },
  });
}

function sure(wish) {
  confirm(say("many.title"), {
    plan: async () => {
      const plan = await post(path("resends"), { ...wish, plan: true });
      if (plan.messages === 0) throw new Error([say("many.nothing"), ...plan.reasons].join(" · "));
      const notes = [plan.left > 0 && say("many.left", { count: plan.left }), !plan.is_whole && say("many.first"), say("many.note")];
      return { lines: plan.deeds.map((one) => planned(one, wish.to)), notes: notes.filter(Boolean) };
    },
    verb: say("act.resend"),
    act: async () => {
      const go = await post(path("resends"), wish);
      return say("many.begun", { count: go.messages });
    },
  });
}

function planned({ channel, destination, state, number }, to) {
  const words = { number, channel, destination, state: named("state", state), to };
  if (destination === null) return say(state === "held" ? "many.held" : "many.whole", words);
  if (to && to !== destination) return say("many.instead", words);
  return say(state === "sent" ? "many.second" : "many.deed", words);
}

/** How far those are that go now; says when one is over. */
export function goes(box) {
  if (!may("operate")) return () => {};
  const [all, over] = [new Map(), new Set()];
  const shown = () => put(box, [...all.values()].map(strip));
  const take = (go) => {
    if (go.ended) {
      over.add(go.id);
      if (all.delete(go.id)) tell(say(`many.${go.state}`, go), go.failed ? "warning" : "good");
    } else {
      all.set(go.id, go);
    }
    shown();
  };
  get(path("resends")).then((list) => list.filter((go) => !go.ended && !over.has(go.id)).forEach(take)).catch(() => {});
  return listen("go", take);
}

function strip(go) {
  const stop = button(say("many.stop"), async () => {
    stop.disabled = true;
    await post(path("resends", String(go.id), "stop")).catch((problem) => tell(problem.message, "bad"));
  }, { class: "danger" });
  return make("div", { class: "go", role: "status" }, make("progress", { max: String(go.messages), value: go.done + go.failed, "aria-label": say("many.title") }),
    make("span", {}, say("many.running", go)), go.failed > 0 && make("span", { class: "is-wrong" }, say("many.failed", { count: go.failed })), stop);
}
