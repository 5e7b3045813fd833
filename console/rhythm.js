// What usually comes in each hour of a week, as the server has learned it.

import { get, path } from "./api.js";
import { draw, make, put } from "./dom.js";
import { lately } from "./live.js";
import { clock, language, number, say } from "./words.js";

/** Before so many days no silence is told. */
const LEARNED = 21;
const [LEFT, TOP, WIDE, HIGH] = [44, 18, 38, 20];

export async function rhythm(box, name) {
  put(box, make("h2", {}, say("rhythm.title")));
  try {
    const found = await get(path("channels", name, "rhythm"));
    const isKnown = found.now && found.week.some((one) => one !== null);
    box.append(...(isKnown ? [picture(found), words(name, found)] : [make("p", { class: "faint" }, say("rhythm.unknown"))]));
  } catch (problem) {
    box.append(make("p", { class: "faint" }, problem.message));
  }
}

function words(name, { now, learned_days: days }) {
  const usual = number(now.usual_per_hour, now.usual_per_hour < 10 ? 1 : 0);
  return make("p", {}, say("rhythm.now", { usual, came: lately(name, "received") }),
    days < LEARNED && make("span", { class: "faint" }, ` ${say("rhythm.learning", { days: say("unit.days", { count: days }), from: say("unit.days", { count: LEARNED }) })}`));
}

/** Monday is the first of 2024. */
const dayOf = (day, weekday) => new Intl.DateTimeFormat(language, { weekday, timeZone: "UTC" }).format(new Date(Date.UTC(2024, 0, 1 + day)));

function picture({ week, last }) {
  const most = Math.max(1, ...week.map((one) => one ?? 0));
  const cell = (usual, at) => {
    const [day, hour] = [Math.floor(at / 24), at % 24];
    const told = usual === null ? say("rhythm.unseen", { day: dayOf(day, "long"), hour: String(hour) })
      : say("rhythm.cell", { day: dayOf(day, "long"), hour: String(hour), usual: number(usual, usual < 10 ? 1 : 0) });
    return draw("g", {}, draw("title", {}, told), draw("rect", {
      class: usual === null ? "unseen-hour" : "hour", x: LEFT + hour * WIDE + 1, y: TOP + day * HIGH + 1, width: WIDE - 2, height: HIGH - 2,
      "fill-opacity": usual === null ? null : (usual === 0 ? 0.04 : 0.12 + 0.88 * (usual / most)).toFixed(2),
    }));
  };
  const days = [...new Array(7).keys()].map((day) => draw("text", { x: LEFT - 6, y: TOP + day * HIGH + 14, "text-anchor": "end" }, dayOf(day, "short")));
  const hours = [0, 4, 8, 12, 16, 20].map((hour) => draw("text", { x: LEFT + hour * WIDE + 2, y: TOP - 5 }, `${hour} h`));
  const at = week.indexOf(Math.max(...week.map((one) => one ?? 0)));
  const label = say("rhythm.picture", { day: dayOf(Math.floor(at / 24), "long"), hour: String(at % 24), most: number(most, 0) });
  return make("figure", { class: "bars rhythm", tabindex: "0", role: "region", "aria-label": say("rhythm.title") }, draw("svg", { viewBox: `0 0 ${LEFT + 24 * WIDE} ${TOP + 7 * HIGH}`, role: "img", "aria-label": label }, ...hours, ...days, ...week.map(cell)),
    make("figcaption", {}, make("span", {}, label), last && make("span", {}, say("rhythm.last", { at: clock(last) }))));
}
