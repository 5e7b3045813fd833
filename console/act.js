// What a person does: first what it will do is said, then it is done.

import { button, make, put, tell } from "./dom.js";
import { say } from "./words.js";

/** Opens a dialog; gives what closes it. The page behind waits. */
export function dialog(title, fillWith, properties) {
  const close = () => shown.close();
  const body = make("div", { class: "body" });
  const shown = make("dialog", { "aria-labelledby": "dialog-title", ...properties },
    make("header", {}, make("h2", { id: "dialog-title" }, title),
      button("×", close, { class: "close", "aria-label": say("act.close") })), body);
  shown.addEventListener("close", () => shown.remove());
  document.body.append(shown);
  put(body, fillWith(close));
  shown.showModal();
  return close;
}

/**
 * Says what will be done, each thing in a line, and does it when that is confirmed.
 * `plan` gives `{ lines, notes }`; `act` does it and gives the words for what was done.
 */
export function confirm(title, { plan, act, verb, danger }) {
  dialog(title, (close) => {
    const box = make("div", { class: "plan" }, make("p", { class: "faint" }, say("act.planning")));
    show(box, { plan, act, verb, danger, close });
    return box;
  });
}

async function show(box, { plan, act, verb, danger, close }) {
  try {
    const { lines, notes = [] } = await plan();
    // The dots that promise a question go where it is answered.
    const go = button(verb.replace(/…$/, ""), () => carryOut(box, go, act, close), { class: danger ? "danger" : "first" });
    put(box,
      make("p", {}, say("act.will", { count: lines.length })),
      make("ul", { class: "lines", tabindex: lines.length > 8 ? "0" : null }, lines.map((line) => make("li", {}, line))),
      notes.map((note) => make("p", { class: "note" }, note)),
      make("div", { class: "buttons" }, go, button(say("act.leave"), close)));
    go.focus();
  } catch (problem) {
    put(box, make("p", { class: "problem", role: "alert" }, problem.message),
      make("div", { class: "buttons" }, button(say("act.close"), close)));
  }
}

async function carryOut(box, go, act, close) {
  go.disabled = true;
  try {
    const said = await act();
    close();
    tell(said ?? say("act.done"));
  } catch (problem) {
    go.disabled = false;
    box.querySelector(".problem")?.remove();
    box.append(make("p", { class: "problem", role: "alert" }, problem.message));
  }
}

/** A form in a dialog. `read` is given its fields, and does what is asked; its words are told. */
export function form(title, fields, { verb, act, note }) {
  dialog(title, (close) => {
    const problem = make("p", { class: "problem", role: "alert", hidden: true });
    const go = make("button", { type: "submit", class: "first" }, verb);
    const sent = async (event) => {
      event.preventDefault();
      go.disabled = true;
      problem.hidden = true;
      try {
        const said = await act(Object.fromEntries(new FormData(event.target)), close);
        if (said !== false) {
          close();
          if (said) tell(said);
        }
      } catch (wrong) {
        problem.textContent = wrong.message;
        problem.hidden = false;
      }
      go.disabled = false;
    };
    return make("form", { onsubmit: sent }, fields, note && make("p", { class: "note" }, note), problem,
      make("div", { class: "buttons" }, go, button(say("act.leave"), close)));
  });
}
