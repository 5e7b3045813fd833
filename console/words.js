// Words in the language of whoever reads, and numbers with their unit.

import english from "./words_en.js";
import french from "./words_fr.js";

const ALL = { en: english, fr: french };
const KEPT = "relais-language";

export const languages = Object.keys(ALL);
export let language = chosen();

function chosen() {
  const kept = recall();
  if (kept && Object.hasOwn(ALL, kept)) return kept;
  const wanted = navigator.languages?.map((tag) => tag.slice(0, 2)).find((tag) => tag in ALL);
  return wanted ?? "en";
}

function recall() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

export function speak(tag) {
  language = tag;
  try {
    localStorage.setItem(KEPT, tag);
  } catch {
    // A browser that keeps nothing asks again.
  }
  document.documentElement.lang = tag;
}

document.documentElement.lang = language;

/** Made once for each way to write: a thousand rows ask for thousands of numbers. */
const writers = new Map();

function writer(kind, asked) {
  const key = `${language} ${kind.name} ${JSON.stringify(asked)}`;
  if (!writers.has(key)) writers.set(key, new kind(language, asked));
  return writers.get(key);
}

/** The words of a key. `{name}` is put in; with `count`, `key.one` and `key.other` are told apart. */
export function say(key, given = {}) {
  const words = ALL[language];
  let found = words[key];
  if (given.count !== undefined) {
    const rule = writer(Intl.PluralRules).select(given.count);
    found = words[`${key}.${rule}`] ?? words[`${key}.other`] ?? found;
  }
  if (found === undefined) return key;
  return found.replace(/\{(\w+)\}/g, (_, name) => {
    const value = given[name];
    return typeof value === "number" ? number(value) : (value ?? "");
  });
}

/** Whether there are words for a key. */
export const knows = (key) => key in ALL[language] || `${key}.other` in ALL[language];

/** The words of a state, a cause, a code: its own name where it has none. */
export function named(kind, code) {
  return knows(`${kind}.${code}`) ? say(`${kind}.${code}`) : String(code ?? "").replaceAll("_", " ");
}

export function number(value, digits = 0) {
  return writer(Intl.NumberFormat, { maximumFractionDigits: digits }).format(value);
}

/** A length of time in two units at most. */
export function lasting(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds > 0 && seconds < 0.001) return `${number(seconds * 1e6)} µs`;
  if (seconds < 1) return `${number(seconds * 1000)} ms`;
  if (seconds < 60) return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return say("unit.days", { count: Math.floor(hours / 24) });
}

export function sized(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = language === "fr" ? ["o", "ko", "Mo", "Go", "To"] : ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${number(value, value < 10 && unit ? 1 : 0)} ${units[unit]}`;
}

/** A time of the clock; with its day unless that is today. */
export function clock(when, seconds = true) {
  const date = new Date(when);
  if (Number.isNaN(date.getTime())) return "–";
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { day: "numeric", month: "short" };
  const year = date.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  const time = { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}), hourCycle: "h23" };
  return writer(Intl.DateTimeFormat, { ...day, ...year, ...time }).format(date);
}

/** For how many seconds something lasts; a second at least. */
export function ago(when) {
  return Math.max(1, Math.round((Date.now() - new Date(when).getTime()) / 1000));
}

/** A number with its unit and the time that it counts. */
export function measured({ value, unit, window }) {
  const shown = value === null || value === undefined ? "–" : unitOf(value, unit);
  return window && unit !== "per_hour" ? say("unit.within", { what: shown, time: lasting(window) }) : shown;
}

function unitOf(value, unit) {
  switch (unit) {
    case "s": return lasting(value);
    case "days": return say("unit.days", { count: Math.floor(value) });
    case "percent": return `${number(value, 1)} %`;
    case "per_hour": return `${number(value, 1)}/h`;
    case "bytes": return sized(value);
    default: return number(value);
  }
}
