// What a message holds, stage by stage: as a tree with names, as text, as bytes; with what changed from the stage before.

import { bytes, path } from "./api.js";
import { difference } from "./difference.js";
import { button, make, put, table } from "./dom.js";
import { hex, isHl7, leaves, segments } from "./hl7.js";
import { number, say, sized } from "./words.js";

/** More than this is not laid out as a tree. */
const LARGEST = 400_000;
/** As many bytes as are shown as numbers. */
const MOST_BYTES = 65_536;

/** What came, what its steps made of it, what left, what came back: each with its name and its body. */
export function stages(message) {
  const found = [{ words: say("stage.came"), body: message.body, before: null, isRaw: true }];
  found.push(...single(message));
  let before = message.body;
  for (const part of message.parts ?? []) {
    const words = part.place ? say("stage.part", { place: part.place }) : say("stage.steps");
    if (part.body) found.push({ words, body: part.body, before: message.body });
    if (part.body && !part.place) before = part.body;
  }
  for (const payload of message.payloads ?? []) {
    const delivery = message.deliveries.find((one) => one.id === payload.delivery);
    const names = { name: delivery?.destination ?? "", id: String(payload.delivery) };
    const part = message.parts?.find((one) => one.place && one.place === delivery?.part);
    if (payload.body) found.push({ words: say("stage.left", names), body: payload.body, before: part?.body ?? before });
    if (payload.response) found.push({ words: say("stage.answered", names), body: payload.response, before: null });
    for (const late of payload.late ?? []) if (late.body) found.push({ words: say("stage.late", names), body: late.body, before: null });
  }
  return found.filter((one) => one.body);
}

/** What it was behind each single step, where that was run once more. */
function single(message) {
  let before = [message.body];
  let made = before;
  return (message.steps ?? []).flatMap((step) => {
    if (step.destination) before = made;
    const contents = step.contents ?? before;
    const from = before;
    before = contents;
    if (!step.destination) made = contents;
    return (step.contents ?? []).map((body) => ({ words: step.name, body, before: from.length === 1 ? from[0] : null }));
  });
}

/** The steps of a message, each with its time and what it did. */
export function steps(message) {
  const did = (step) => step.halt ?? (step.contents ? say("steps.changed") : say("steps.unchanged"));
  return [make("h3", {}, say("steps.title")), make("p", { class: "faint" }, say("steps.note")),
    table(say("steps.title"), [say("steps.step"), say("steps.took"), say("steps.did")], message.steps.map((step) => [step.name, `${number(step.took * 1000, 2)} ms`, did(step)]), { class: "list" })];
}

/** A stage is chosen above, a view of it beside. */
export function browse(message) {
  const all = stages(message);
  if (!all.length) return make("p", { class: "calm" }, say("content.gone"));
  const chosen = { stage: 0, view: "tree" };
  const [picks, shown] = [make("div", { class: "tabs stages", role: "group", "aria-label": say("content.stages") }), make("div", { class: "stage" })];
  const views = make("div", { class: "views", role: "group", "aria-label": say("content.views") });
  const again = () => {
    const focused = document.activeElement?.dataset?.key;
    put(picks, all.map((one, at) => button(one.words, () => { chosen.stage = at; again(); }, { class: "tab", "aria-pressed": String(at === chosen.stage), "data-key": `stage${at}` })));
    put(views, ["tree", "text", "changes", "bytes"].filter((view) => view !== "changes" || all[chosen.stage].before).map((view) =>
      button(say(`content.${view}`), () => { chosen.view = view; again(); }, { class: "tag", "aria-pressed": String(view === chosen.view), "data-key": `view${view}` })));
    if (chosen.view === "changes" && !all[chosen.stage].before) chosen.view = "tree";
    look(shown, all[chosen.stage], chosen.view, message);
    if (focused) document.querySelector(`[data-key="${focused}"]`)?.focus();
  };
  again();
  return make("div", {}, picks, views, shown);
}

function look(shown, stage, view, message) {
  const { body, before } = stage;
  const size = make("p", { class: "faint" }, sized(body.size), !body.exact && ` · ${say("content.not_exact")}`);
  if (view === "bytes") {
    put(shown, size, make("pre", { class: "code", tabindex: "0" }, say("act.reading")));
    inBytes(stage, message).then((found) => put(shown.querySelector("pre"), found));
  } else if (view === "changes") {
    put(shown, size, changed(lineByLine(before.text), lineByLine(body.text)));
  } else {
    put(shown, size, (view === "tree" && tree(body, before)) || make("pre", { class: "code", tabindex: "0" }, lineByLine(body.text)));
  }
}

/** HL7 ends its lines as no browser does; JSON is set out. */
function lineByLine(text) {
  if (isHl7(text)) return text.replace(/\r\n?/g, "\n");
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function inBytes({ body, isRaw }, message) {
  try {
    const all = isRaw ? await bytes(path("messages", String(message.id), "body")) : body.exact ? new TextEncoder().encode(body.text) : null;
    if (!all) return say("content.no_bytes");
    return hex(all.slice(0, MOST_BYTES)) + (all.length > MOST_BYTES ? `\n… ${sized(all.length - MOST_BYTES)}` : "");
  } catch (problem) {
    return problem.message;
  }
}

function changed(before, after) {
  const all = difference(before, after);
  if (all.every((one) => one.kind === "same")) return make("p", { class: "calm" }, say("content.same"));
  const signs = { same: " ", gone: "−", new: "+" };
  return make("div", { class: "code difference", tabindex: "0", role: "region", "aria-label": say("content.changes") }, all.map(({ kind, line }) =>
    make("div", { class: `line ${kind}` }, make("span", { class: "at", "aria-hidden": "true" }, signs[kind]), kind !== "same" && make("span", { class: "unseen" }, say(`changes.${kind}`)), make("code", {}, line || " "))));
}

/** `null` where there is no tree of it. */
function tree(body, before) {
  if (body.size > LARGEST) return null;
  if (isHl7(body.text)) return ofHl7(segments(body.text), before && isHl7(before.text) ? segments(before.text) : null);
  const found = leaves(body.text);
  if (!found) return null;
  const old = before && leaves(before.text);
  const known = old && new Map(old.map((one) => [one.path, one.value]));
  return make("div", { class: "tree" }, make("table", {}, make("caption", { class: "unseen" }, say("content.tree")), make("tbody", {}, found.map((one) => leaf(one, "", known)))));
}

function ofHl7(all, before) {
  const known = before && new Map(before.flatMap(({ fields }) => fields.map((one) => [one.path, one.value])));
  return make("div", { class: "tree" }, all.map(({ place, fields }) => make("details", { open: true }, make("summary", {}, make("b", {}, place)),
    make("table", {}, make("caption", { class: "unseen" }, place), make("tbody", {}, fields.flatMap((one) => [leaf(one, one.name, known), ...one.parts.map((part) => leaf(part, "", null, "part"))]))))));
}

function leaf({ path: where, value }, name, known, kind = "") {
  const was = known?.get(where);
  const isOther = known && was !== value;
  return make("tr", { class: `${kind} ${isOther ? "other" : ""}` }, make("th", { scope: "row" }, make("code", {}, where)), make("td", { class: "faint" }, name),
    make("td", { class: "value" }, value, isOther && make("small", {}, was === undefined ? say("content.added") : say("content.was", { value: was }))));
}
