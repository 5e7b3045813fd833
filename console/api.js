// Asks the server. What goes wrong is an error with the server's own words.

export class Problem extends Error {
  constructor(status, detail, code) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

let onStranger = () => {};

/** What to do when the server no longer knows who asks. */
export function whenStranger(act) {
  onStranger = act;
}

/** A path of parts, each of them escaped. */
export function path(...parts) {
  return `/api/v1/${parts.map(encodeURIComponent).join("/")}`;
}

export function query(pairs) {
  const given = Object.entries(pairs).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

export const get = (where, signal) => ask("GET", where, undefined, signal);
export const post = (where, body) => ask("POST", where, body);
export const remove = (where) => ask("DELETE", where);

async function ask(method, where, body, signal) {
  // A page elsewhere cannot send this header without being asked about.
  const headers = { "relais-console": "1" };
  if (body !== undefined) headers["content-type"] = "application/json";
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const answer = await fetch(where, { method, headers, body: sent, signal, credentials: "same-origin" });
  if (answer.status === 204) return null;
  const isJson = (answer.headers.get("content-type") ?? "").includes("json");
  const said = isJson ? await answer.json() : await answer.text();
  if (answer.ok) return said;
  if (answer.status === 401 && where.startsWith("/api/")) onStranger();
  throw new Problem(answer.status, said?.detail ?? `${answer.status}`, said?.code);
}

/** Hands on each event that a path tells, until it ends; what it could not do is an error with the server's words. */
export async function hear(where, heard, signal) {
  const answer = await fetch(where, { headers: { "relais-console": "1" }, signal, credentials: "same-origin" });
  if (!answer.ok) {
    if (answer.status === 401) onStranger();
    const said = await answer.json().catch(() => null);
    throw new Problem(answer.status, said?.detail ?? `${answer.status}`, said?.code);
  }
  const words = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let come = "";
  for (;;) {
    const { done, value } = await words.read();
    if (done) return;
    const events = (come + value).split("\n\n");
    come = events.pop();
    for (const event of events) {
      const part = (name) => event.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const told = part("data") && JSON.parse(part("data"));
      if (part("event") === "problem") throw new Problem(503, told.detail, told.code);
      if (told) heard(told);
    }
  }
}

/** The bytes as they came. */
export async function bytes(where) {
  const answer = await fetch(where, { headers: { "relais-console": "1" }, credentials: "same-origin" });
  if (!answer.ok) throw new Problem(answer.status, (await answer.json().catch(() => null))?.detail ?? `${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}
