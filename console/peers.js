// Who is connected to a channel, and to whom it is.

import { get, path } from "./api.js";
import { make, mark, renew, table } from "./dom.js";
import { listen } from "./live.js";
import { clock, say } from "./words.js";

/** Asked again when something was counted, and no more often than this. */
const REST = 2000;
const WEEK = 7 * 24 * 3600 * 1000;

export function peers(panel, name) {
  let [last, waiting, isOver] = [0, null, false];
  const load = async () => {
    waiting = null;
    last = Date.now();
    try {
      const open = await get(path("channels", name, "connections"));
      if (!isOver) renew(panel, shown(open));
    } catch (problem) {
      if (!isOver) renew(panel, make("p", { class: "problem" }, problem.message));
    }
  };
  const soon = () => { waiting ??= setTimeout(load, Math.max(0, last + REST - Date.now())); };
  load();
  const ends = [listen("counts", soon), listen("channels", (names) => names.has(name) && soon())];
  return () => {
    isOver = true;
    clearTimeout(waiting);
    ends.forEach((end) => end());
  };
}

function shown({ all, connections }) {
  if (all === 0) return make("p", { class: "calm" }, say("peers.none"));
  const heads = ["who", "peer", "since", "in", "out", "certificate"].map((key) => say(`peers.${key}`));
  return [make("p", { class: "faint" }, say("peers.open", { count: all }), all > connections.length && ` ${say("peers.some", { number: connections.length })}`),
    table(say("channel.tab.peers"), heads, connections.map(row), { class: "list" }),
    make("p", { class: "faint" }, say("peers.which"))];
}

function row(one) {
  const when = (time) => (time ? make("time", { datetime: time }, clock(time)) : say("peers.never"));
  const ends = one.certificate_ends && new Date(one.certificate_ends) - Date.now();
  const certificate = one.certificate_ends ? mark(ends < WEEK ? "bad" : ends < 4 * WEEK ? "warning" : "good", clock(one.certificate_ends, false)) : "–";
  return [one.destination ? `→ ${one.destination}` : say("peers.sender"), make("code", {}, one.peer), when(one.since), when(one.last_in), when(one.last_out), certificate];
}
