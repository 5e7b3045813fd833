// What the console knows of the server, kept true by its events: nothing is asked again and again.

import { get, path, query } from "./api.js";

/** How long changes are gathered before they are asked for together. */
const GATHER = 250;
/** From so many changed channels on, the whole list is one question. */
const MANY = 8;
const KINDS = ["received", "sent", "wrong"];

export const known = {
  session: null,
  channels: new Map(),
  episodes: [],
  groups: [],
  server: null,
  series: null,
  isConnected: true,
  lost: null,
};

const listeners = new Map();
let source = null;
let changed = new Set();
let gathering = null;
let attended = null;

/** Calls `act` when something of this kind changed; gives what ends that. */
export function listen(kind, act) {
  if (!listeners.has(kind)) listeners.set(kind, new Set());
  listeners.get(kind).add(act);
  return () => listeners.get(kind).delete(act);
}

function told(kind, what) {
  for (const act of listeners.get(kind) ?? []) act(what);
}

export const may = (right) => known.session?.rights?.includes(right) ?? false;

/** Asks for everything once, then listens. */
export async function begin() {
  await refresh();
  open();
}

export function end() {
  source?.close();
  source = null;
  known.session = null;
  known.channels.clear();
  known.episodes = [];
}

async function refresh() {
  const [channels, server, series, episodes] = await Promise.all([
    get(path("channels")), get(path("server")), get(path("series")), get(path("episodes")),
  ]);
  known.channels = new Map(channels.map((channel) => [channel.name, channel]));
  known.server = server;
  takeSeries(series);
  takeEpisodes(episodes);
  told("all");
}

function takeSeries(series) {
  // Steps before the first in which there was any are left out.
  const whole = (steps) => [...new Array(series.steps - steps.length).fill(0), ...steps];
  for (const one of series.channels) for (const kind of KINDS) one[kind] = whole(one[kind]);
  known.series = { ...series, of: new Map(series.channels.map((one) => [one.channel, one])) };
}

function takeEpisodes(answer) {
  known.episodes = answer.episodes;
}

/** Also tells what happens to one message, while somebody looks at it. */
export function attend(message) {
  // What is no number names no message: the server would tell nothing at all.
  const named = /^\d{1,18}$/.test(message) ? message : null;
  if (attended === named) return;
  attended = named;
  if (known.session) open();
}

function open() {
  source?.close();
  source = new EventSource(path("events") + query({ about: "states", message: attended }));
  let isFirst = true;
  source.onopen = () => {
    // What happened while nobody listened is asked for.
    if (!isFirst || !known.isConnected) refresh().catch(() => {});
    isFirst = false;
    connected(true);
  };
  source.onerror = () => {
    connected(false);
    // A browser gives up on an answer that is no stream: signed out, or a proxy.
    if (source?.readyState === EventSource.CLOSED) setTimeout(again, 3000);
  };
  const heard = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
  heard("counts", count);
  heard("state", ({ channel }) => ask(channel));
  heard("episode", episode);
  heard("go", ({ go }) => told("go", go));
  heard("delivery", (event) => told("message", event));
  heard("message", (event) => told("message", event));
  heard("held", (event) => told("message", event));
  heard("missed", () => refresh().catch(() => {}));
}

async function again() {
  if (!known.session) return;
  try {
    await get(path("session"));
    open();
  } catch {
    if (known.session) setTimeout(again, 3000);
  }
}

function connected(is) {
  if (known.isConnected === is) return;
  known.isConnected = is;
  known.lost = is ? null : new Date().toISOString();
  told("connection");
}

function count(counts) {
  for (const one of counts) {
    const channel = known.channels.get(one.channel);
    if (channel) tally(channel, one);
    else ask(one.channel);
  }
  told("counts");
}

/** Adds what came since the last count to the newest step of the series. */
function tally(channel, one) {
  const series = known.series?.of.get(one.channel);
  if (series) {
    const at = step();
    for (const kind of KINDS) {
      const more = one[kind] - series.totals[kind];
      if (more > 0) series[kind][at] += more;
      series.totals[kind] = one[kind];
    }
    series.p95_seconds = one.p95_seconds;
    series.to = Object.fromEntries(Object.entries(one.queues).map(([name, queue]) => [name, queue[4]]));
  }
  // What the counts do not hold, why above all, is asked for when something that a person looks at has changed.
  const isOther = channel.state !== one.state || Boolean(channel.trouble) !== one.trouble || (channel.wrong ?? one.wrong) !== one.wrong;
  Object.assign(channel, { received: one.received, connections: one.connections, wrong: one.wrong });
  let isMoved = false;
  for (const destination of channel.destinations) {
    const [depth, oldest, state, attempts] = one.queues[destination.name] ?? [0, null, destination.state, 0];
    isMoved ||= isApart(state) !== isApart(destination.state) || (isApart(state) && attempts !== (destination.head?.attempts ?? 0));
    Object.assign(destination, { depth, oldest_seconds: oldest, state });
  }
  if (isOther || isMoved || Object.keys(one.queues).length !== channel.destinations.length) ask(channel.name);
}

/** Sending and resting follow each other all the time; the other states have a reason. */
const isApart = (state) => state !== "idle" && state !== "sending";

/** The number of the present step; turns the series when a new one has begun. */
function step() {
  const { series } = known;
  const now = Math.floor(Date.now() / 1000 / series.step_seconds);
  const last = series.number + series.steps - 1;
  for (let turns = Math.min(now - last, series.steps); turns > 0; turns -= 1) {
    for (const one of series.of.values()) {
      for (const kind of KINDS) one[kind] = [...one[kind].slice(1), 0];
    }
  }
  if (now > last) series.number = now - series.steps + 1;
  return series.steps - 1;
}

/** How many within the last hour: the steps of an hour, the present one among them. */
export function lately(channel, kind, seconds = 3600) {
  const series = known.series?.of.get(channel);
  if (!series) return 0;
  const steps = Math.ceil(seconds / known.series.step_seconds);
  return series[kind].slice(-steps).reduce((sum, one) => sum + one, 0);
}

export const sum = (channel, kind) => known.series?.of.get(channel)?.[kind].reduce((all, one) => all + one, 0) ?? 0;

function ask(channel) {
  changed.add(channel);
  gathering ??= setTimeout(gather, GATHER);
}

async function gather() {
  const names = changed;
  changed = new Set();
  try {
    if (names.size > MANY) {
      const channels = await get(path("channels"));
      known.channels = new Map(channels.map((channel) => [channel.name, channel]));
    } else {
      await Promise.all([...names].map(one));
    }
    told("channels", names);
  } catch {
    // The stream says when the server is there again, and then everything is asked for.
  }
  gathering = changed.size ? setTimeout(gather, GATHER) : null;
}

async function one(name) {
  try {
    known.channels.set(name, await get(path("channels", name)));
  } catch (problem) {
    if (problem.status === 404) known.channels.delete(name);
  }
}

/** Asks for a channel now: somebody did something to it. */
export async function renewed(name) {
  await one(name);
  told("channels", new Set([name]));
}

function episode({ episode: now }) {
  const rest = known.episodes.filter((one) => one.id !== now.id);
  known.episodes = [...rest, now];
  told("episodes");
}

export function putEpisode(now) {
  episode({ episode: now });
}

/** Channels that were brought into force, or left, are known after this. */
export async function renewAll() {
  await refresh();
}
