// How a channel, a destination or a message stands: a word, and the tone of it.

import { lasting, named, say } from "./words.js";
import { may, renewed } from "./live.js";
import { path, post } from "./api.js";
import { confirm } from "./act.js";
import { make } from "./dom.js";

/** From so many seconds on a queue is told as old. */
const OLD = 300;

/** The tone and the word of a channel as a whole: the worst of its own state and its destinations'. */
export function channelStands(channel) {
  if (channel.state === "broken") return ["bad", say("state.broken")];
  if (channel.trouble) return ["bad", say("state.not_taking")];
  if (channel.state === "stopped") return ["off", say("state.stopped")];
  if (channel.state === "paused") return ["off", say("state.paused")];
  if (channel.state === "disabled") return ["off", say("state.disabled")];
  const tones = channel.destinations.map((one) => [destinationStands(one)[0], one]);
  const bad = tones.find(([tone]) => tone === "bad");
  if (bad) return ["bad", say("state.is_down", { name: bad[1].name })];
  if (channel.failed || channel.overdue) return ["warning", say("state.look")];
  const warning = tones.find(([tone]) => tone === "warning");
  if (warning) return ["warning", say("state.look")];
  if (channel.held) return ["warning", say("state.waits_for_code")];
  return ["good", say("state.running")];
}

/** The beginning of a version: as much of it as tells two apart. */
export const versionOf = (channel) => channel.version && make("span", { class: "version", title: channel.version }, say("channels.version", { version: channel.version.slice(0, 8) }));

/** The tone and the word of a destination. */
export function destinationStands(destination) {
  const state = destination.state;
  if (destination.trouble || state === "stopped") return ["bad", named("state", "stopped")];
  if (state === "waiting") return ["bad", say("state.receiver_down")];
  if (state === "held" || state === "closed" || state === "detached") return ["off", named("state", state)];
  if (Object.values(destination.unsettled ?? {}).some((number) => number > 0)) return ["warning", say("state.look")];
  if ((destination.oldest_seconds ?? 0) > OLD) return ["warning", say("state.old")];
  return ["good", named("state", state)];
}

const TONES = {
  sent: "good", accepted: "good", queued: "good", given_up: "bad", failed: "bad", unsure: "bad", stopped: "bad",
  refused: "warning", set_aside: "warning", held: "warning", waiting: "wait", begun: "wait", kept: "wait",
  filtered: "off", unrouted: "off", dropped: "off", superseded: "off",
};

const WORST = ["given_up", "set_aside", "unsure", "begun", "waiting", "dropped", "sent"];

/** Of each part and destination the latest delivery. */
export function latest(deliveries) {
  const newer = (one) => (other) => other.id > one.id && other.destination === one.destination && other.part === one.part;
  return deliveries.filter((one) => !deliveries.some(newer(one)));
}

/** One word for a message: once its steps are done its deliveries say it, the worst of the latest of each. */
export function messageStands(message) {
  let state = message.state;
  if (state === "queued") {
    const now = latest(message.deliveries);
    state = now.some((one) => one.stopped) ? "stopped" : (WORST.find((word) => now.some((one) => one.state === word)) ?? "accepted");
  }
  return stateStands(state);
}

export const stateStands = (state) => [TONES[state] ?? "off", named("state", state)];

/** Sums over a channel's destinations. */
export function queueOf(channel) {
  const depth = channel.destinations.reduce((sum, one) => sum + one.depth, 0);
  const oldest = Math.max(0, ...channel.destinations.map((one) => (one.depth ? one.oldest_seconds ?? 0 : 0)));
  return { depth, oldest };
}

/** What may be done to a channel as it stands: the name of the act. */
export function actsOf(channel) {
  if (!may("operate")) return [];
  switch (channel.state) {
    case "running": return ["pause", "stop"];
    case "paused": return ["start", "stop"];
    case "stopped": return ["start"];
    default: return [];
  }
}

/** Says what an act on a channel means, and does it when confirmed. */
export function actOnChannel(channel, act) {
  const { depth } = queueOf(channel);
  confirm(say(`channel.${act}.title`, { name: channel.name }), {
    plan: async () => ({ lines: [say(`channel.${act}.plan`, { name: channel.name }), say(`channel.${act}.queue`, { count: depth })], notes: [say("act.outlasts")] }),
    verb: say(`act.${act}`),
    danger: act === "stop",
    act: async () => {
      await post(path("channels", channel.name, act));
      await renewed(channel.name);
      return say(`channel.${act}.done`, { name: channel.name });
    },
  });
}

export function actsOnDestination(destination) {
  if (!may("operate") || destination.state === "detached") return [];
  const first = destination.state === "held" ? ["release"] : ["hold"];
  return destination.state === "stopped" || (destination.depth > 0 && destination.state === "waiting") ? [...first, "park"] : first;
}

export function actOnDestination(channel, destination, act) {
  const names = { name: destination.name, channel: channel.name };
  confirm(say(`destination.${act}.title`, names), {
    plan: async () => ({
      lines: [say(`destination.${act}.plan`, names), destination.depth > 0 && say("destination.waiting", { count: destination.depth, oldest: lasting(destination.oldest_seconds) })].filter(Boolean),
      notes: act === "park" ? [say("destination.park.note")] : [say("act.outlasts")],
    }),
    verb: say(`act.${act}`),
    danger: act === "park",
    act: async () => {
      await post(path("channels", channel.name, "destinations", destination.name, act));
      await renewed(channel.name);
      return say(`destination.${act}.done`, names);
    },
  });
}
