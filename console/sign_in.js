// Signing in, and the one-time link by which a password is chosen.

import { get, post } from "./api.js";
import { field, make, put } from "./dom.js";
import { say } from "./words.js";

/** Fewer signs than this are no password. */
const SHORTEST = 12;

export function show(content, { parts }, entered) {
  const isWelcome = parts[0] === "welcome" && parts[1];
  const problem = make("p", { class: "problem", role: "alert", hidden: true });
  const go = make("button", { type: "submit", class: "first" }, say(isWelcome ? "sign_in.choose" : "sign_in.enter"));
  const sent = async (event) => {
    event.preventDefault();
    problem.hidden = true;
    go.disabled = true;
    try {
      const given = Object.fromEntries(new FormData(event.target));
      entered(await (isWelcome ? welcome(parts[1], given) : post("/sign-in", given)));
    } catch (wrong) {
      problem.textContent = wrong.message;
      problem.hidden = false;
      event.target.querySelector("input[type=password]").focus();
    }
    go.disabled = false;
  };
  const password = (name, words, complete) => field(words, make("input", {
    type: "password", name, required: true, autocomplete: complete, minlength: isWelcome ? SHORTEST : null, maxlength: "200",
  }));
  const fields = isWelcome
    ? [make("p", {}, say("sign_in.welcome", { count: SHORTEST })),
      password("password", say("sign_in.new"), "new-password"), password("again", say("sign_in.again"), "new-password")]
    : [field(say("sign_in.name"), make("input", { name: "name", required: true, autocomplete: "username", autocapitalize: "none", spellcheck: "false" })),
      password("password", say("sign_in.password"), "current-password")];
  const elsewhere = make("p", { hidden: true });
  put(content, make("form", { class: "sign-in", onsubmit: sent },
    make("h1", {}, say(isWelcome ? "sign_in.first" : "sign_in.title")), elsewhere, fields, problem, go,
    !isWelcome && make("p", { class: "faint" }, say("sign_in.lost"))));
  if (!isWelcome) provider(elsewhere);
  if (parts[0] === "sign-in" && SHUT.includes(parts[1])) {
    problem.textContent = say(`sign_in.shut.${parts[1].replace("-", "_")}`);
    problem.hidden = false;
  }
  document.title = `${say("sign_in.title")} · Relais`;
  content.querySelector("input").focus();
}

/** Why the provider's way ended here, as the server says it in the address. */
const SHUT = ["stale", "away", "denied", "unproven", "no-role", "no-name", "taken", "wait", "broken"];

/** The way through a provider of accounts, where the server has one. */
async function provider(place) {
  const ways = await get("/sign-in").catch(() => ({}));
  if (!ways.provider) return;
  put(place, make("a", { class: "button", href: "/sign-in/provider" }, say("sign_in.provider", { name: ways.provider })));
  place.hidden = false;
}

async function welcome(link, { password, again }) {
  if (password !== again) throw new Error(say("sign_in.differ"));
  const session = await post("/welcome", { link, password });
  // The link works once: it does not stay in the address.
  history.replaceState(null, "", "#/now");
  return session;
}
