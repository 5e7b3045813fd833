// The console: who is signed in, where one is, and the keys.

import { get, path, remove, whenStranger } from "./api.js";
import { dialog } from "./act.js";
import { button, link, make, put } from "./dom.js";
import * as live from "./live.js";
import { clock, language, languages, named, say, speak } from "./words.js";
import * as channel from "./channel.js";
import * as channels from "./channels.js";
import * as find from "./find.js";
import * as message from "./message.js";
import * as now from "./now.js";
import * as signIn from "./sign_in.js";
import * as system from "./system.js";

const SCREENS = { now, channels: channels, find, system };
const content = document.getElementById("content");
let leave = () => {};
let wanted = null;

/** Where one is: the parts behind `#/`, and what is asked behind `?`. */
function place() {
  const [way, asked = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = way.split("/").filter(Boolean).map(unescaped);
  return { parts, asked: new URLSearchParams(asked) };
}

function unescaped(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function screenOf({ parts: [first, second] }) {
  if (first === "channels" && second !== undefined) return channel;
  if (first === "messages" && second !== undefined) return message;
  return Object.hasOwn(SCREENS, first) ? SCREENS[first] : now;
}

function go() {
  const here = place();
  leave();
  leave = () => {};
  live.attend(null);
  document.querySelectorAll("dialog").forEach((open) => open.close());
  if (here.parts[0] === "welcome" || !live.known.session) {
    if (!["welcome", "sign-in"].includes(here.parts[0])) wanted = location.hash;
    document.body.classList.add("alone");
    top();
    leave = signIn.show(content, here, entered) ?? leave;
    return;
  }
  document.body.classList.remove("alone");
  const screen = screenOf(here);
  top(here);
  leave = screen.show(content, here) ?? leave;
  document.title = `${content.querySelector("h1")?.textContent ?? "Relais"} · Relais`;
}

async function entered(session) {
  live.known.session = session;
  try {
    await live.begin();
  } catch (problem) {
    put(content, make("p", { class: "problem", role: "alert" }, problem.message));
    return;
  }
  const next = wanted && !wanted.startsWith("#/welcome") ? wanted : "#/now";
  wanted = null;
  if (location.hash === next) go();
  else location.hash = next;
}

const PLACES = [["now", "n"], ["channels", "c"], ["find", "f"], ["system", "s"]];

function top(here) {
  const bar = document.getElementById("top");
  put(document.getElementById("skip"), say("top.skip"));
  const tongue = languages.map((tag) => button(tag.toUpperCase(), () => turn(tag), {
    class: "tongue", lang: tag, "aria-pressed": String(tag === language), title: say(`language.${tag}`),
  }));
  const name = make("a", { class: "name", href: "#/now" },
    make("img", { src: "/console/relais.svg", alt: "", width: "24", height: "24" }), "Relais");
  if (!here) {
    put(bar, name, make("div", { class: "end" }, tongue));
    return;
  }
  const first = here.parts[0] === "messages" ? "find" : (here.parts[0] ?? "now");
  const ways = PLACES.map(([to]) => link([to], { "aria-current": to === first ? "page" : null, "data-to": to }, say(`top.${to}`)));
  const { session } = live.known;
  const role = session.role ? named("role", session.role) : "";
  put(bar, name, make("nav", { "aria-label": say("top.places") }, ways), make("div", { class: "end" },
    tongue,
    make("span", { class: "who", title: role }, session.name, role && make("small", {}, role)),
    button("?", keys, { class: "plain", "aria-label": say("keys.title") }),
    button(say("top.out"), signOut, { class: "plain" })));
  badge();
}

/** How many need somebody, beside *Now* and in the title. */
function badge() {
  const open = now.waiting().length;
  const to = document.querySelector('nav [data-to="now"]');
  if (!to) return;
  to.querySelector(".badge")?.remove();
  if (open) to.append(" ", make("span", { class: "badge", "aria-label": say("now.need", { count: open }) }, String(open)));
}

function turn(tag) {
  speak(tag);
  go();
  connection();
}

async function signOut() {
  await remove(path("session")).catch(() => {});
  live.end();
  wanted = null;
  location.hash = "#/sign-in";
  go();
}

function connection() {
  const { isConnected, lost } = live.known;
  const banner = document.getElementById("banner");
  put(banner, !isConnected && live.known.session && make("p", {}, say("top.lost", { since: clock(lost) })));
}

const KEYS = [["/", "search"], ["g n", "now"], ["g c", "channels"], ["g f", "find"], ["g s", "system"], ["j k", "rows"],
  ["Enter", "open"], ["x", "pick"], ["Esc", "back"], ["?", "help"]];

function keys() {
  dialog(say("keys.title"), () => make("dl", { class: "facts keys" }, KEYS.map(([key, what]) => [
    make("dt", {}, key.split(" ").map((one) => make("kbd", {}, one))), make("dd", {}, say(`keys.${what}`))])));
}

let pressed = null;

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (isTyping) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (!live.known.session) return;
  const before = pressed;
  pressed = null;
  if (before === "g") {
    const to = PLACES.find(([, key]) => key === event.key);
    if (to) location.hash = `#/${to[0]}`;
    return;
  }
  switch (event.key) {
    case "g": pressed = "g"; break;
    case "/": event.preventDefault(); search(); break;
    case "?": keys(); break;
    case "j": step(1); break;
    case "k": step(-1); break;
    case "x": document.activeElement.closest?.("[data-row]")?.querySelector("input[type=checkbox]")?.click(); break;
    case "Escape": if (place().parts.length > 1) history.back(); break;
  }
}

function search() {
  const box = document.getElementById("search");
  if (box) box.focus();
  else location.hash = "#/find";
}

/** To the next row, or the one before. */
function step(by) {
  const rows = [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const row = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))];
  row?.querySelector("a, button")?.focus();
  row?.scrollIntoView({ block: "nearest" });
}

whenStranger(() => {
  if (!live.known.session) return;
  live.end();
  wanted = location.hash;
  go();
});
live.listen("connection", connection);
for (const kind of ["all", "episodes"]) live.listen(kind, badge);
document.getElementById("skip").addEventListener("click", (event) => {
  // The address says where one is, not what has the keyboard.
  event.preventDefault();
  content.focus();
});
addEventListener("hashchange", go);
addEventListener("keydown", press);

try {
  live.known.session = await get(path("session"));
} catch {
  // Nobody is signed in.
}
if (live.known.session && !location.hash.startsWith("#/welcome")) {
  wanted = location.hash.startsWith("#/sign-in") ? null : location.hash || null;
  await entered(live.known.session);
} else {
  go();
}
