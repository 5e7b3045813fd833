// The server itself: room on its disk, its files, who may do what, and who did.

import { get, path, post, query, remove } from "./api.js";
import { confirm, dialog, form } from "./act.js";
import { button, copy, facts, field, link, make, mark, put, table, tell } from "./dom.js";
import { known, listen, may, renewAll } from "./live.js";
import { logs } from "./logs.js";
import { rules } from "./rules.js";
import { certificates } from "./trust.js";
import { clock, lasting, named, number, say, sized } from "./words.js";

const PARTS = { server, certificates, alerts: rules, logs, accounts, tokens, audit };
/** What one must be allowed, where looking is not enough. */
const NEEDS = { alerts: ["operate"], logs: ["operate", "content"], accounts: ["administer"], tokens: ["administer"] };
const ROLES = ["viewer", "operator", "engineer", "administrator"];
const RIGHTS = ["look", "content", "operate", "deploy", "administer"];
const DAYS = [7, 30, 90, 365];
const PAGE = 100;

export function show(content, { parts: [, wanted] }) {
  const able = Object.keys(PARTS).filter((one) => (NEEDS[one] ?? []).every(may));
  const part = able.includes(wanted) ? wanted : "server";
  const panel = make("section", { class: "panel", role: "tabpanel", id: "panel", "aria-labelledby": `tab-${part}` });
  put(content, make("h1", {}, say("top.system")), make("div", { class: "tabs", role: "tablist", "aria-label": say("top.system") }, able.map((one) => link(["system", one], {
    role: "tab", id: `tab-${one}`, "aria-selected": String(one === part), "aria-controls": "panel" }, say(`system.${one}`)))), panel);
  const end = PARTS[part](panel);
  return typeof end === "function" ? end : undefined;
}

function server(panel) {
  const all = async () => {
    try {
      known.server = await get(path("server"));
    } catch (problem) {
      tell(problem.message, "bad");
    }
    const now = known.server;
    // Of the whole server, for whoever sees all of its channels.
    const settings = await get(path("settings")).catch(() => null);
    const budget = now.store_budget_bytes;
    put(panel,
      (now.store_trouble || now.store_refuses) && make("p", { class: "problem" }, now.store_trouble ?? now.store_refuses),
      make("h2", {}, say("system.store")), room(now),
      facts([
        [say("system.used"), budget ? say("system.of", { used: sized(now.store_bytes), budget: sized(budget) }) : sized(now.store_bytes)],
        [say("system.free"), say("system.free_floor", { free: sized(now.store_free_bytes), floor: sized(now.store_floor_bytes) })],
        [say("system.full"), now.store_full_days === null ? say("system.not_known") : now.store_full_days > 3650 ? say("system.never") : say("unit.days", { count: Math.floor(now.store_full_days) })],
      ]),
      make("h2", {}, say("system.server")),
      facts([[say("system.version"), now.version], [say("system.up"), lasting(now.up_seconds)], [say("system.project"), make("span", { class: "mono" }, now.project)],
        [say("system.channels"), number(known.channels.size)], [say("system.metrics"), make("a", { href: "/metrics" }, "/metrics")]]),
      settings && [make("h2", {}, say("system.settings")), facts(Object.entries(settings).filter(([, value]) => value !== null).map(([name, value]) => [make("code", {}, name), name.endsWith("_bytes") ? sized(value) : String(value)]))],
      make("h2", {}, say("system.files")),
      now.edit_faults.length ? [make("p", { class: "problem" }, say("system.edit_faults", { count: now.edit_faults.length })),
        make("ul", { class: "rows" }, now.edit_faults.map((fault) => make("li", {}, mark("bad", `${fault.file}:${fault.line}:${fault.column}`), " ", make("span", {}, `${fault.code}: ${fault.message}`))))]
        : make("p", {}, mark("good", say("system.files_sound"))),
      may("deploy") && make("div", { class: "buttons" }, button(say("changes.deploy_all"), deploy)));
  };
  all();
  return listen("all", all);
}

/** How much is taken, and where no new messages are taken any more. */
function room(now) {
  const whole = now.store_bytes + now.store_free_bytes;
  const limit = Math.min(now.store_budget_bytes ?? Infinity, whole - now.store_floor_bytes);
  const meter = make("meter", { min: "0", max: String(limit), low: String(limit * 0.75), high: String(limit * 0.9), optimum: "0", value: now.store_bytes, "aria-label": say("system.room", { used: sized(now.store_bytes), limit: sized(limit) }) });
  return make("p", { class: "room" }, meter, make("span", {}, say("system.room", { used: sized(now.store_bytes), limit: sized(limit) })));
}

function deploy() {
  const edited = [...known.channels.values()].filter((one) => !one.in_force);
  confirm(say("changes.deploy_all"), {
    plan: async () => ({ lines: [say("system.deploy_plan")], notes: edited.map((one) => say("system.deploy_edited", { name: one.name })) }),
    verb: say("changes.deploy"),
    act: async () => {
      const done = await post(path("deploy"));
      if (!done.in_force) throw new Error(done.report);
      await renewAll();
      return [...done.changes, ...done.losses].join(" · ") || say("system.deploy_nothing");
    },
  });
}

function accounts(panel) {
  const load = () => filled(panel, async () => {
    const list = await get(path("accounts"));
    return [make("p", {}, button(say("accounts.add"), () => add(load), { class: "first" })),
      table(say("system.accounts"), ["accounts.name", "accounts.role", "accounts.tags", "accounts.password", "accounts.act"].map((key) => say(key)), list.map((one) => [
        one.name, named("role", one.role), one.tags?.length ? one.tags.join(", ") : say("channels.all"), one.has_password ? say("accounts.chosen") : one.link_until ? say("accounts.link_until", { until: clock(one.link_until) }) : "–",
        make("div", { class: "buttons" },
          button(say("accounts.change"), () => change(one, load), { "aria-label": say("accounts.of", { act: say("accounts.change"), name: one.name }) }),
          button(say("accounts.link"), () => relink(one, load), { "aria-label": say("accounts.of", { act: say("accounts.link"), name: one.name }) }),
          button(say("accounts.remove"), () => gone(say("accounts.remove_title", { name: one.name }), say("accounts.remove_plan", { name: one.name }), path("accounts", one.name), load), { class: "danger", "aria-label": say("accounts.of", { act: say("accounts.remove"), name: one.name }) }))]), { class: "list" }),
      make("dl", { class: "facts" }, ROLES.map((role) => [make("dt", {}, named("role", role)), make("dd", {}, say(`role.${role}.may`))]))];
  });
  load();
}

async function filled(panel, make_) {
  try {
    put(panel, await make_());
  } catch (problem) {
    put(panel, make("p", { class: "problem", role: "alert" }, problem.message));
  }
}

const roles = (role) => field(say("accounts.role"), make("select", { name: "role" }, ROLES.map((one) => make("option", { value: one, selected: one === role }, named("role", one)))));

/** Which channels somebody sees: those with one of these tags. */
const tags = (of) => field(say("accounts.tags_field"), make("input", { name: "tags", value: (of ?? []).join(", "), autocomplete: "off", spellcheck: "false" }));

const listed = (words) => words.split(",").map((tag) => tag.trim()).filter(Boolean);

function add(load) {
  form(say("accounts.add"), [field(say("accounts.name"), make("input", { name: "name", required: true, pattern: "[A-Za-z0-9.\\-_@]{1,64}", autocomplete: "off", autocapitalize: "none" })), roles("viewer"), tags()], {
    verb: say("accounts.add"),
    note: say("accounts.add_note"),
    act: async ({ name, role, tags: seen }, close) => {
      const made = await post(path("accounts"), { name, role, tags: listed(seen) });
      close();
      load();
      once(say("accounts.link_of", { name: made.name }), `${location.origin}/#/welcome/${made.link}`, say("accounts.link_note"));
      return false;
    },
  });
}

function change(one, load) {
  form(say("accounts.of", { act: say("accounts.change"), name: one.name }), [roles(one.role), tags(one.tags)], {
    verb: say("accounts.change"),
    act: async ({ role, tags: seen }) => {
      await post(path("accounts", one.name, "role"), { role, tags: listed(seen) });
      load();
      return say("accounts.changed", { name: one.name, role: named("role", role) });
    },
  });
}

function relink(one, load) {
  confirm(say("accounts.link_of", { name: one.name }), {
    plan: async () => ({ lines: [say("accounts.link_plan", { name: one.name })] }),
    verb: say("accounts.link"),
    act: async () => {
      const made = await post(path("accounts", one.name, "link"));
      load();
      once(say("accounts.link_of", { name: one.name }), `${location.origin}/#/welcome/${made.link}`, say("accounts.link_note"));
      return say("act.done");
    },
  });
}

/** A secret that is told this once. */
function once(title, secret, note) {
  dialog(title, () => [make("p", { class: "note" }, note), make("pre", { class: "code secret", tabindex: "0" }, secret),
    make("div", { class: "buttons" }, button(say("content.copy"), () => copy(secret, say("act.copied", { what: title })), { class: "first" }))]);
}

function gone(title, words, where, load) {
  confirm(title, {
    plan: async () => ({ lines: [words] }),
    verb: say("accounts.remove"),
    danger: true,
    act: async () => {
      await remove(where);
      load();
    },
  });
}

function tokens(panel) {
  const load = () => filled(panel, async () => {
    const list = await get(path("tokens"));
    return [make("p", {}, button(say("tokens.add"), () => addToken(load), { class: "first" })), list.length === 0 ? make("p", { class: "calm" }, say("tokens.none"))
      : table(say("system.tokens"), ["accounts.name", "tokens.rights", "tokens.until", "tokens.by", "accounts.act"].map((key) => say(key)), list.map((one) => [
        one.name, one.rights.map((right) => named("right", right)).join(", "), one.expired ? mark("off", say("tokens.expired")) : clock(one.until), one.by,
        button(say("tokens.revoke"), () => gone(say("tokens.revoke_title", { name: one.name }), say("tokens.revoke_plan", { name: one.name }), path("tokens", one.name), load), { class: "danger", "aria-label": say("accounts.of", { act: say("tokens.revoke"), name: one.name }) })]), { class: "list" })];
  });
  load();
}

function addToken(load) {
  form(say("tokens.add"), [field(say("accounts.name"), make("input", { name: "name", required: true, pattern: "[A-Za-z0-9.\\-_@]{1,64}", autocomplete: "off" })),
    make("fieldset", {}, make("legend", {}, say("tokens.rights")), RIGHTS.map((right) => make("label", { class: "choice" }, make("input", { type: "checkbox", name: `right.${right}`, checked: right === "look" }), named("right", right)))),
    field(say("tokens.days"), make("select", { name: "days" }, DAYS.map((days) => make("option", { value: String(days), selected: days === 90 }, say("unit.days", { count: days }))))), tags()], {
    verb: say("tokens.add"),
    act: async (given, close) => {
      const rights = RIGHTS.filter((right) => `right.${right}` in given);
      const made = await post(path("tokens"), { name: given.name, rights, days: Number(given.days), tags: listed(given.tags) });
      close();
      load();
      once(say("tokens.made", { name: made.name }), made.token, say("tokens.note"));
      return false;
    },
  });
}

/** How it ended; 102 is the line that is written before something is changed. */
function answered(status) {
  if (status === 102) return say("audit.begins");
  return status >= 400 ? mark("warning", String(status)) : String(status);
}

/** The whole log: whether it is as it was written, and all of it as a file. */
function whole() {
  const said = make("div", { role: "status", class: "verified" });
  const verify = async () => {
    put(said, make("p", { class: "faint" }, say("audit.verifying")));
    try {
      const { sound, broken } = await get(path("audit", "verified"));
      put(said, broken ? make("p", { class: "problem" }, say(`audit.broken.${broken.what}`, { line: broken.line }), " ", say("audit.broken"))
        : [make("p", {}, mark("good", say("audit.sound", { count: sound.lines }))), sound.is_cut && make("p", {}, say("audit.cut")),
          make("p", {}, say("audit.hash"), " ", make("code", { class: "hash" }, sound.hash))]);
    } catch (problem) {
      put(said, make("p", { class: "problem" }, problem.message));
    }
  };
  const file = (form, name) => make("a", { href: path("audit", "export") + query({ form }), download: name }, say(`audit.export.${form}`));
  return [make("div", { class: "buttons" }, button(say("audit.verify"), verify, { "data-key": "verify" }), file("jsonl", "audit.jsonl"), file("fhir", "audit.json")), said];
}

/** Everybody's lines for administrators, else one's own. */
function audit(panel) {
  const [list, foot] = [make("tbody"), make("div", { class: "foot" })];
  let last = null;
  const more = async () => {
    try {
      const lines = await get(path("audit") + query({ before: last, limit: PAGE }));
      list.append(...lines.map((one) => make("tr", { "data-row": String(one.number) }, [String(one.number), clock(one.at), one.who, named("deed", one.what.replaceAll(" ", "_")), make("code", {}, one.subject), one.from ?? "–", answered(one.status)].map((cell) => make("td", {}, cell)))));
      last = lines.at(-1)?.number ?? last;
      put(foot, lines.length === PAGE && button(say("find.more"), more, { class: "more" }));
    } catch (problem) {
      put(foot, make("p", { class: "problem", role: "alert" }, problem.message));
    }
  };
  put(panel, make("p", { class: "faint" }, say(may("administer") ? "audit.all" : "audit.own")), may("administer") && whole(),
    make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": say("system.audit") }, make("table", { class: "list audit" }, make("caption", { class: "unseen" }, say("system.audit")),
      make("thead", {}, make("tr", {}, ["number", "at", "who", "what", "subject", "from", "status"].map((one) => make("th", { scope: "col" }, say(`audit.${one}`))))), list)), foot);
  more();
}
